"""A survey's targets that are no lenses: in which lots they are drawn, and how few of their early types have a source."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lensdream.config import SurveyConfig
from lensdream.dataset import fresh
from lensdream.population import stage
from lensdream.population.stage import Lot
from lensdream.scene import FAMILIES_NON_LENS, SOURCES, Scenes

BESIDE_CAUSTIC = "beside_caustic"
KINDS = (BESIDE_CAUSTIC, *FAMILIES_NON_LENS)
"""of non-lenses: the families, but early types with the source of a lens beside their caustics are one of their own"""


def counts(n: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`n` in whole numbers by these shares, none of them off by 1: the largest remainders are rounded up."""
    exact = {name: n * share for name, share in shares.items()}
    whole = {name: int(np.floor(value + 1e-9)) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: n - sum(whole.values())]:
        whole[name] += 1
    return whole


def by_kind(by_family: Mapping[str, float], beside_caustic: float) -> dict[str, float]:
    """Numbers or shares of all families as those of `KINDS`, where this share of the early types is beside the caustic."""
    early = by_family[stage.CONTROL]
    apart = {BESIDE_CAUSTIC: early * beside_caustic, stage.CONTROL: early * (1 - beside_caustic)}
    return {kind: (by_family | apart)[kind] for kind in KINDS}


def survey_shares(survey: SurveyConfig) -> dict[str, float]:
    """The shares of `KINDS` among a survey's non-lenses."""
    return by_kind(survey.non_lens_shares, survey.beside_caustic)


def lots(numbers: Mapping[str, int], split: str, epoch: int) -> list[Lot]:
    """Lots of these numbers of scenes of each family; early types are controls whose lenses are drawn and left out.

    split: whose galaxies are drawn; epoch: of the lots, other epochs have other scenes.
    """
    return [
        _lot(family, split, number, min(stage.LOT, n - start), epoch)
        for family, n in numbers.items()
        for number, start in enumerate(range(0, n, stage.LOT))
    ]


def _lot(family: str, split: str, number: int, n: int, epoch: int) -> Lot:
    if family == stage.CONTROL:
        return Lot(stage.LENS, split, number, n=0, controls=n, epoch=epoch)
    return Lot(family, split, number, n, epoch=epoch)


def draw(lot: Lot, beside_caustic: float) -> Scenes:
    """The scenes of such a lot; of its controls only a share, evenly taken, keep the light of their sources."""
    scenes = stage.draw_lot(lot)
    return with_sources(scenes, beside_caustic) if lot.family == stage.LENS else scenes


def with_sources(scenes: Scenes, share: float) -> Scenes:
    """The same scenes, of which only a share, evenly taken, keep the light of their sources."""
    steps = np.floor(np.arange(len(scenes) + 1) * share + 1e-9)
    bare = scenes.scenes["index"].to_numpy()[np.diff(steps) == 0]
    parts = scenes.components
    return Scenes(scenes.scenes, parts[~(parts["scene"].isin(bare) & parts["role"].isin(SOURCES))])


def draw_images(lot: Lot, beside_caustic: float) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, band, y, x) float16 and labels (n,) float32 of such a lot, in a process of `fresh.start_worker`."""
    scenes = draw(lot, beside_caustic)
    return fresh.images_of(scenes), scenes.scenes["label"].to_numpy(np.float32)
