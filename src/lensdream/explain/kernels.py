"""Single channels of a network: activations on images, effect on the logit, and the image of the highest activation.

A channel's activation is its output after the ReLU, so it is never below 0; a channel is silenced by setting it to 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.explain.chain import Chain
from lensdream.explain.crop import CropWindow
from lensdream.explain.dream import TOWARDS_LENS, Climb, Transfer, dream
from lensdream.explain.score_function import check_images, scored


@dataclass(frozen=True)
class Activations:
    """Activations of the channels of one layer on n images."""

    mean: Tensor
    """(n, channel) mean activation over the image"""
    peak: Tensor
    """(n, channel) largest activation"""
    positions: Tensor
    """(n, channel, 2) position of the peak: y, x in the image [pixel]"""


@torch.inference_mode()
def activations(chain: Chain, images: Tensor, *, batch: int = 64) -> Activations:
    """Activations of a chain's last layer on images (n, band, y, x) [microjansky a pixel]."""
    check_images(images)
    parts = [_activations(chain, part) for part in images.split(batch)]
    return Activations(*(torch.cat([getattr(part, name) for part in parts]) for name in ("mean", "peak", "positions")))


def _activations(chain: Chain, images: Tensor) -> Activations:
    maps = _maps(chain, images)
    width = maps.shape[-1]
    peak, peak_at = maps.flatten(2).max(2)
    # The middle of the cell of image pixels that an activation stands for.
    window = CropWindow.of(chain.cut, images.shape[-2:])
    cell = torch.tensor([window.height / maps.shape[-2], window.width / width])
    start = torch.tensor([window.top, window.left])
    positions = (torch.stack([peak_at // width, peak_at % width], 2) + 0.5) * cell.to(maps) - 0.5 + start.to(maps)
    return Activations(maps.mean((2, 3)), peak, positions)


@torch.inference_mode()
def silencing_effects(chain: Chain, images: Tensor, *, batch: int = 64) -> Tensor:
    """Logit lost (n, channel) when a channel of the chain's last layer is silenced, one at a time.

    Positive where the channel supports 'lens'. Costs one pass of the rest of the network per channel.
    """
    check_images(images)
    lost = []
    for part in images.split(batch):
        maps = _maps(chain, part)
        before, channels = scored(chain.rest, maps), []
        for channel in range(maps.shape[1]):
            silenced = maps.clone(memory_format=torch.preserve_format)
            silenced[:, channel] = 0
            channels.append(before - scored(chain.rest, silenced))
        lost.append(torch.stack(channels, 1))
    return torch.cat(lost)


def _maps(chain: Chain, images: Tensor) -> Tensor:
    images = chain.cut(images)
    for layer in chain.layers:
        images = layer(images.contiguous(memory_format=torch.channels_last))
    return images


def maximising(
    network: nn.Module,
    activation: nn.Module,
    channels: Tensor,
    start: Tensor,
    *,
    climb: Climb,
    sky_sigma: Tensor,
    highest: Tensor,
    seed: int,
    transfer: Transfer | None = None,
    batch: int = 32,
) -> Tensor:
    """Images (m, band, y, x) of a high activation in the middle of each of these channels (m,), by gradient ascent.

    activation: the module of the network whose input is raised; the output of a ReLU has no gradient where it is 0, as
        it often is at the start.
    start: (band, y, x) [microjansky a pixel], where every channel's ascent begins, such as empty sky.
    The other arguments are those of `dream`.
    """
    climbed = []
    for part in channels.split(batch):
        with _inputs_of(activation) as inputs:

            def middle(images: Tensor, part: Tensor = part, inputs: list[Tensor] = inputs) -> Tensor:
                inputs.clear()
                network(images)
                (maps,) = inputs
                height, width = maps.shape[-2:]
                return maps[torch.arange(len(part)), part, height // 2, width // 2]

            climbed.append(
                dream(
                    middle,
                    start.expand(len(part), -1, -1, -1),
                    towards=TOWARDS_LENS,
                    climb=climb,
                    sky_sigma=sky_sigma,
                    highest=highest,
                    generator=torch.Generator().manual_seed(seed),
                    transfer=transfer,
                ).images
            )
    return torch.cat(climbed)


@contextmanager
def _inputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Context in which every input of a module is appended to the list that it gives."""
    inputs: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    try:
        yield inputs
    finally:
        hook.remove()
