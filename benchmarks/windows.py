"""Occlusion with squares of several sizes: how much of each map's weight lies in the arcs; prints a table.

The scenes with arcs that the explain stage of a scale explains (or fewer of each family), covered by sky.
"""

from __future__ import annotations

import argparse

import pandas as pd
import torch

from lensdream.commands.paths import Paths
from lensdream.config import ExplainConfig, load
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.explanations.explained_set import ARCS, FAMILIES_WITH_ARCS, array, choose_scenes, sky_of
from lensdream.evaluate.explanations.measure import score_maps
from lensdream.explain.chain import chain_of
from lensdream.explain.occlusion import occlude
from lensdream.networks.model_file import load_model

SQUARES = ((2, 2), (3, 3), (4, 4), (4, 2), (6, 3), (8, 4), (12, 4))
"""side and step [pixel]"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="poster")
    parser.add_argument("--scenes", type=int, default=34, help="of each family with arcs (default 34)")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    paths = Paths(arguments.scale)
    settings = load("explain", ExplainConfig, arguments.scale)
    store, chain = (
        ImageStore.open(paths.images),
        chain_of(load_model(paths.model).to(memory_format=torch.channels_last)),
    )
    chosen = choose_scenes(store.truth, arguments.scenes, settings.seed, FAMILIES_WITH_ARCS)
    images = torch.from_numpy(store.images(chosen)).float()
    arcs, family = (store.masks(chosen) & ARCS) > 0, store.truth["family"].to_numpy()[chosen].astype(str)
    rows = []
    for window, stride in SQUARES:
        fill = sky_of(images, settings)
        found = occlude(chain, images, window=window, stride=stride, fill=fill, chunk=settings.chunk)
        maps = {"occlusion": array(found.to_pixels(found.logit_change))}
        scored = score_maps(maps, array(images), arcs, family, settings.seed)["occlusion"]
        columns = ("relevance_mass", "times_chance", "times_brightness", "pointing")
        rows.append({"window": window, "stride": stride} | {name: scored[name]["value"] for name in columns})
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
