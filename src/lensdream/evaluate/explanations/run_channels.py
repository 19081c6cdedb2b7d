"""Run of the channel analysis (`explain.kernels`) in the study: first and last layer, on test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lensdream import config
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.explanations import channel_pages, measure
from lensdream.evaluate.explanations.explained_set import array
from lensdream.explain.chain import Chain, chain_of
from lensdream.explain.dream import Climb, psf_transfer
from lensdream.explain.kernels import Activations, activations, maximising, silencing_effects
from lensdream.explain.occlusion import sky_fill
from lensdream.instrument import EUCLID, N_BANDS
from lensdream.networks.lensnet import LensNet
from lensdream.plots import grid

EFFECT_IMAGES = 64
"""images whose channels are silenced one by one"""
CUTOUTS = 6
"""most activating cutouts drawn of a channel"""
SHOWN = 32
"""channels of a layer with a row of their own, those without which the logit changes most"""


@dataclass(frozen=True)
class _Layer:
    """Layer whose channels are analysed, and the settings for it."""

    name: str
    """of the network's child"""
    title: str
    activation: str
    """the ReLU that the layer ends in"""
    kernel: str | None
    """the convolution whose kernels are drawn"""
    stamp: int
    """side of the images of the highest activation [pixel]"""
    climb: Climb
    crop: int
    """side of a cutout around a peak [pixel]"""


LAYERS = (
    # An output of the first layer depends on 5 pixels, and the blur of the contrast on 13: a small image without octaves is
    # enough. Steps are larger than those of dreams, as these ascents begin with empty sky.
    _Layer("stem", "First layer", "stem.2", "stem.0", 24, Climb(steps=24, octaves=1, jitter=0, step_size=2.0), 24),
    _Layer(
        "block_3", "Last block", "block_3.relu_2", None, 48, Climb(steps=24, octaves=2, jitter=2, step_size=2.0), 48
    ),
)


def run(
    model: LensNet, store: ImageStore, settings: config.ExplainConfig, device: torch.device
) -> tuple[dict, dict[str, Figure], pd.DataFrame]:
    """Analyse the channels of `LAYERS` on `settings.channel_scenes` test images; returns metrics, pages, a row a channel."""
    chosen = _test_images(store, settings)
    if not len(chosen):
        return {}, {}, pd.DataFrame()
    images = torch.from_numpy(store.images(chosen).astype(np.float32)).to(device)
    lens = store.truth["label"].to_numpy()[chosen] == 1
    result, pages, tables = {}, {}, []
    for layer in LAYERS:
        chain = _up_to(model, layer.name)
        found = activations(chain, images)
        some = np.linspace(0, len(chosen) - 1, min(EFFECT_IMAGES, len(chosen))).astype(int)
        effect = array(silencing_effects(chain, images[some]))
        table = measure.channel_table(array(found.mean), effect, lens, lens[some])
        result[layer.name] = measure.measure_channels(table, array(found.mean), lens, settings.seed)
        dreamt = _maximising(model, layer, images.amax((0, 2, 3)), settings)
        order = table["effect"].fillna(0).sort_values(ascending=False, kind="stable").index.to_numpy()
        pages[f"kernels-{layer.name}"] = _page(model, layer, table, order[:SHOWN], found, array(images), dreamt)
        if len(order) > SHOWN:
            title = (
                f"{layer.title}: the image of each channel's highest activation, by the channel's effect on the logit"
            )
            pages[f"kernels-{layer.name}-images"] = channel_pages.images_page(title, dreamt[order], [*map(str, order)])
        tables.append(table.assign(layer=layer.name))
    everything = pd.concat(tables, ignore_index=True)
    pages["kernels"] = channel_pages.channels_chart(everything, {layer.name: layer.title for layer in LAYERS})
    return result, pages, everything


def _test_images(store: ImageStore, settings: config.ExplainConfig) -> np.ndarray:
    """Positions of test images, by the seed; shuffled over families, so that any part of them is a random sample."""
    truth = store.truth.reset_index(drop=True)
    rows = np.flatnonzero((truth["split"] == "test") & truth["label"].isin([0, 1]))
    return np.random.default_rng([settings.seed, 5]).permutation(rows)[: settings.channel_scenes]


def _up_to(model: nn.Module, name: str) -> Chain:
    chain, last = chain_of(model), model.get_submodule(name)
    if isinstance(last, nn.Sequential):  # which a chain takes apart
        last = last[-1]
    return chain.split(chain.layers.index(last) + 1)


def _maximising(model: nn.Module, layer: _Layer, highest: Tensor, settings: config.ExplainConfig) -> np.ndarray:
    activation = model.get_submodule(layer.activation)
    channels = torch.arange(_width(model, layer))
    sky = sky_fill((1, N_BANDS, layer.stamp, layer.stamp), EUCLID, torch.Generator().manual_seed(settings.seed))
    climbed = maximising(
        model,
        activation,
        channels.to(highest.device),
        sky[0].to(highest.device),
        climb=layer.climb,
        sky_sigma=torch.tensor(EUCLID.sky_sigma),
        highest=highest,
        seed=settings.seed,
        transfer=psf_transfer(EUCLID, layer.stamp),
    )
    return array(climbed)


def _width(model: nn.Module, layer: _Layer) -> int:
    """Channels of a layer: those of its last normalisation."""
    return [m for m in model.get_submodule(layer.name).modules() if isinstance(m, nn.BatchNorm2d)][-1].num_features


def _page(
    model: nn.Module,
    layer: _Layer,
    table: pd.DataFrame,
    shown: np.ndarray,
    found: Activations,
    images: np.ndarray,
    dreamt: np.ndarray,
) -> Figure:
    kernels = None if layer.kernel is None else array(model.get_submodule(layer.kernel).weight)
    peak, positions = array(found.peak), array(found.positions)
    rows = []
    for channel in shown:
        strongest = np.argsort(-peak[:, channel], kind="stable")[:CUTOUTS]
        numbers = table.loc[channel]
        rows.append(
            channel_pages.ChannelRow(
                label=f"{channel}: AUROC {numbers['auroc']:.2f}\neffect {numbers['effect_lens']:+.2f} lenses\n"
                f"{numbers['effect_non_lens']:+.2f} non-lenses",
                kernel=None if kernels is None else kernels[channel],
                maximising=dreamt[channel],
                cutouts=[grid.around(images[k], *positions[k, channel], layer.crop) for k in strongest],
            )
        )
    inputs = channel_pages.kernel_inputs() if kernels is not None else ()
    title = f"{layer.title}, the channels without which the logit changes most"
    return channel_pages.channels_page(title, rows, inputs)
