"""Target mix of a survey: chunks of its non-lenses, and the share of its early types with a near miss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lensdream import families
from lensdream.config import SurveyConfig
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.families import LENS, NEAR_MISS, NON_LENS_CLASSES
from lensdream.population import drawing
from lensdream.population.drawing import Chunk, SceneDrawer
from lensdream.scene import SOURCES, Scenes


def counts(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that sum to `n`, in these shares: the largest remainders are rounded up."""
    exact = {name: n * share for name, share in shares.items()}
    whole = {name: int(np.floor(value + 1e-9)) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: n - sum(whole.values())]:
        whole[name] += 1
    return whole


def by_class(by_family: Mapping[str, float], near_miss: float) -> dict[str, float]:
    """Numbers or shares by non-lens class from those by family; `near_miss`: share of the early types with a near miss."""
    early = by_family[families.PAIRED]
    by_name = by_family | {NEAR_MISS: early * near_miss, families.PAIRED: early * (1 - near_miss)}
    return {name: by_name[name] for name in NON_LENS_CLASSES}


def survey_shares(survey: SurveyConfig) -> dict[str, float]:
    """Shares of `NON_LENS_CLASSES` among a survey's non-lenses."""
    return by_class(survey.non_lens_shares, survey.near_miss)


def chunks(numbers: Mapping[str, int], split: str, epoch: int) -> list[Chunk]:
    """Chunks of these numbers of scenes by family; early types are controls, whose lenses are drawn and left out.

    split: its galaxies are drawn; epoch: number of the chunks' epoch, every epoch has other scenes.
    """
    parts = [chunk for family, n in numbers.items() for chunk in drawing.cut(family, split, n, epoch)]
    return [replace(c, family=LENS, n=0, controls=c.n) if c.family == families.PAIRED else c for c in parts]


def draw(drawer: SceneDrawer, chunk: Chunk, near_miss: float) -> Scenes:
    """Draw a chunk of the target mix; of its controls a share, evenly taken, keeps the light of the source."""
    scenes = drawer.draw(chunk)
    return with_sources(scenes, near_miss) if chunk.family == LENS else scenes


def with_sources(scenes: Scenes, share: float) -> Scenes:
    """Remove the sources' light from scenes but for a share of them, evenly taken."""
    steps = np.floor(np.arange(len(scenes) + 1) * share + 1e-9)
    bare = scenes.scenes["index"].to_numpy()[np.diff(steps) == 0]
    parts = scenes.components
    return Scenes(scenes.scenes, parts[~(parts["scene"].isin(bare) & parts["role"].isin(SOURCES))])


def draw_images(drawer: ImageDrawer, chunk: Chunk, near_miss: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw images (n, band, y, x) float16 and labels (n,) float32 of a chunk of the target mix."""
    return drawer.images_and_labels(draw(drawer.scene_drawer, chunk, near_miss))
