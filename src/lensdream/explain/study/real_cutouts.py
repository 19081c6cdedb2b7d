"""Maps of real cutouts beside those of simulated lenses, as a picture in the report's folder: never in git."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from lensdream import config
from lensdream.cutouts.fits_planes import CutoutError
from lensdream.cutouts.page import credit_of
from lensdream.cutouts.reader import Cutout, read_cutout
from lensdream.cutouts.sources import Kind
from lensdream.dataset.store import ImageStore
from lensdream.explain.study.explained import all_maps, choose_scenes
from lensdream.families import LENS
from lensdream.finder.finder import Scorer
from lensdream.networks.layout import is_model
from lensdream.paths import Paths
from lensdream.plots.heatmaps import MapsRow, maps_page, png
from lensdream.render.batch import ARC_1, ARC_2
from lensdream.report.page import REAL_LENSES
from lensdream.runtime.files import write_whole

REAL, SIMULATED = 6, 3
"""cutouts drawn, those of the highest scores; simulated lenses below them"""
LONGEST = 22
"""letters of a name beside a row"""


def write(paths: Paths) -> None:
    """Write `REAL_LENSES` into the report's folder, if the observe stage has scored cutouts that can still be read.

    Without any, or without a model of ours, an old picture is taken away.
    """
    picture = paths.report / REAL_LENSES
    scorer = Scorer.load(paths.model) if is_model(paths.model) else None
    cutouts = _best(paths, scorer) if scorer else []
    if not cutouts:
        picture.unlink(missing_ok=True)
        return
    settings = config.load("explain", config.ExplainConfig, paths.scale, paths.root / "params.yaml")
    store = ImageStore.open(paths.images)
    simulated = choose_scenes(store.truth, SIMULATED, settings.seed, (LENS,))
    images = np.concatenate([np.stack([c.image for c in cutouts]), store.images(simulated).astype(np.float32)])
    masks = np.concatenate([np.zeros((len(cutouts), *images.shape[-2:]), np.uint8), store.masks(simulated)])
    names = [cutout.object[:LONGEST] for cutout in cutouts]
    names += [f"simulated {index}" for index in store.truth["index"].iloc[simulated]]
    zero, _, maps = all_maps(scorer.first_look, torch.from_numpy(images).to(scorer.device), settings)
    logits = scorer.logits(images)
    rows = [
        MapsRow(
            label=f"{name}\nfinder {logit:+.2f}, p {p:.2f}\nits first look {first:+.2f}",
            image=image,
            arcs=((mask & ARC_1) > 0, (mask & ARC_2) > 0),
            occlusion_zero=maps["occlusion_zero"][k],
            occlusion_sky=maps["occlusion_sky"][k],
            guided_grad_cam=maps["guided_grad_cam"][k],
        )
        for k, (name, image, mask, logit, p, first) in enumerate(
            zip(names, images, masks, logits, scorer.points.probability(logits), zero.original, strict=True)
        )
    ]
    credit = credit_of(cutout.origin for cutout in cutouts)
    note = f"Pixels: {credit}" if credit else ""
    write_whole(
        picture,
        png(maps_page("Real cutouts beside simulated lenses", rows, (settings.window, settings.sky_window), note)),
    )


def _best(paths: Paths, scorer: Scorer) -> list[Cutout]:
    table = paths.observed / "scores.csv"
    if not table.is_file():
        return []
    rows = pd.read_csv(table)
    rows = rows[rows["kind"] == Kind.CUTOUT.value].sort_values("logit", ascending=False, kind="stable")
    found: list[Cutout] = []
    for path in rows["path"]:
        try:
            found.append(read_cutout(path, scorer.stamp, middle=scorer.middle))
        except CutoutError:
            continue  # it was there when the observe stage ran, which names every file that cannot be read
        if len(found) == REAL:
            break
    return found
