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
class Answers:
    """Activations of the channels of one layer on n images."""

    mean: Tensor
    """(n, channel) mean activation over the image"""
    peak: Tensor
    """(n, channel) largest activation"""
    places: Tensor
    """(n, channel, 2) place of the peak: y, x in the image [pixel]"""


@torch.inference_mode()
def answers(chain: Chain, images: Tensor, *, batch: int = 64) -> Answers:
    """Activations of a chain's last layer on images (n, band, y, x) [microjansky a pixel]."""
    check_images(images)
    parts = [_answers(chain, part) for part in images.split(batch)]
    return Answers(*(torch.cat([getattr(part, name) for part in parts]) for name in ("mean", "peak", "places")))


def _answers(chain: Chain, images: Tensor) -> Answers:
    maps = _maps(chain, images)
    width = maps.shape[-1]
    peak, place = maps.flatten(2).max(2)
    # The middle of the cell of image pixels that an activation stands for.
    view = CropWindow.of(chain.cut, images.shape[-2:])
    cell = torch.tensor([view.height / maps.shape[-2], view.width / width])
    start = torch.tensor([view.top, view.left])
    places = (torch.stack([place // width, place % width], 2) + 0.5) * cell.to(maps) - 0.5 + start.to(maps)
    return Answers(maps.mean((2, 3)), peak, places)


@torch.inference_mode()
def effects(chain: Chain, images: Tensor, *, batch: int = 64) -> Tensor:
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
        with _inputs_of(activation) as seen:

            def middle(images: Tensor, part: Tensor = part, seen: list[Tensor] = seen) -> Tensor:
                seen.clear()
                network(images)
                (maps,) = seen
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
    seen: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        hook.remove()
