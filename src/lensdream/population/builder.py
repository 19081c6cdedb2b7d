"""Builder of a scene: its row of parameters and its light components, until they become a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from lensdream.instrument import DITHERS, EUCLID, Band, microjansky
from lensdream.population.catalogs import CatalogRow
from lensdream.population.galaxy import TILT, Galaxy, draw_sersic_index
from lensdream.scene import (
    BACKGROUND_COLUMNS,
    COMPONENT_COLUMNS,
    PLAIN,
    SCENE_COLUMNS,
    SKY_COLUMNS,
    Role,
    Scenes,
    Shape,
)

NAN = float("nan")
CLUMPY_FLUX = microjansky(23.0)
"""[microjansky]: the clumps of unlensed galaxies fainter than this are lost in the noise"""
LENSED_CLUMPS, UNLENSED_CLUMPS = (0.35, 0.2, 0.2, 0.15, 0.1), (0.5, 0.3, 0.2)
"""chance of 0, 1, 2, ... clumps; lensing shows more of them"""
POINT_R_E = 0.035
"""half-light radius that stands for a point [arcsec]: one sample wide, a fifth of the VIS point spread"""


class Component(NamedTuple):
    """One light component, in the units of `lensdream.scene`."""

    role: Role
    plane: int
    x: float
    y: float
    r_e: float
    sersic_index: float
    q: float
    phi: float
    flux: tuple[float, ...]
    """(band,)"""
    shape: Shape = PLAIN

    @property
    def values(self) -> tuple[float, ...]:
        """Values for `COMPONENT_COLUMNS` without the scene, in their order."""
        return (*self[:-2], *self.flux, *self.shape)


@dataclass
class SceneBuilder:
    """One scene: its row, a dictionary of the columns in `lensdream.scene`, and its components."""

    row: dict[str, object]
    components: list[Component] = field(default_factory=list)

    def add(
        self, role: Role, plane: int, x: float, y: float, r_e: float, sersic_index: float, q: float, phi: float,
        flux: np.ndarray, shape: Shape = PLAIN,
    ) -> None:  # fmt: skip
        """Add a component, in the units of `lensdream.scene`."""
        self.components.append(Component(role, plane, x, y, r_e, sersic_index, q, phi, tuple(flux), shape))


def empty_scene(family: str, label: int, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A scene without light or mass: its field's noise level, sky residual and point spread are drawn here."""
    row: dict[str, object] = dict.fromkeys(SCENE_COLUMNS, 0.0)
    row |= {"family": family, "label": label, "split": split, "partner": -1}
    row |= dict.fromkeys(("z_lens", "z_source_1", "z_source_2", "sigma_lens", "sigma_source_1"), NAN)
    row |= dict.fromkeys(("magnification_1", "magnification_2", "arc_snr"), NAN)
    row |= {"mass_q": 1.0, "mass_b_q": 1.0, "mass_2_q": 1.0}
    row |= {"psf": int(rng.integers(len(EUCLID.point_spreads))), "dither": int(rng.integers(len(DITHERS)))}
    row["seed"] = int(rng.integers(2**63 - 1))
    # one field in ten is shallower, up to twice the scatter; bands scatter by 8 % around it (Q1 cutouts: 5 to 10 %)
    depth = rng.uniform(1.1, 2.2) if rng.random() < 0.1 else 1.0
    for column in SKY_COLUMNS:
        row[column] = depth * rng.lognormal(0.0, 0.08)
    # the sky residual of the mosaics: near 0 in VIS, 0.2 to 0.4 scatters in the near infrared
    for band, column in zip(Band, BACKGROUND_COLUMNS, strict=True):
        row[column] = rng.normal(0.1, 0.1) if band == Band.VIS else rng.normal(0.3, 0.2)
    return SceneBuilder(row)


def fluxes(galaxy: CatalogRow) -> np.ndarray:
    """Fluxes (band,) [microjansky] of a row of a catalogue."""
    return np.array([galaxy[f"flux_{band.name}"] for band in Band])


def redden(flux: np.ndarray, share: float, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Split a galaxy's light in two of different colour: (redder part with `share` of the VIS light, the rest).

    tilt [mag]: how much redder the first is than the whole in VIS - H. Sums to `flux` in every band.
    """
    weight = share * 10 ** (0.4 * tilt * TILT)
    weight = np.minimum(weight, 0.95)
    return flux * weight, flux * (1 - weight)


def add_galaxy(
    builder: SceneBuilder, role: Role, galaxy: CatalogRow, x: float, y: float, rng: np.random.Generator, plane: int = 0
) -> None:
    """A galaxy of the catalogue as it stands: de Vaucouleurs-like if red, a disc with clumps if blue."""
    phi = rng.uniform(0, np.pi)
    flux, r_e, q = fluxes(galaxy), float(galaxy["r_e"]), float(galaxy["q"])
    if galaxy["red"]:
        builder.add(role, plane, x, y, r_e, draw_sersic_index(True, rng), q, phi, flux)
        return
    body = Galaxy(x, y, r_e, q, phi, flux, role)
    chances = LENSED_CLUMPS if plane > 0 else UNLENSED_CLUMPS
    n_clumps = rng.choice(len(chances), p=chances) if plane > 0 or flux[Band.VIS] > CLUMPY_FLUX else 0
    shares = rng.uniform(0.03, 0.12, n_clumps)
    builder.add(role, plane, x, y, r_e, draw_sersic_index(False, rng), q, phi, flux * (1 - shares.sum()))
    for share in shares:
        at = body.sky(body.disc_point(r_e * rng.uniform(0.2, 1.5), rng.uniform(0, 2 * np.pi)))
        # star-forming clumps are bluer than their disc
        tint = 10 ** (-0.4 * rng.uniform(0.0, 0.6) * TILT)
        builder.add(role, plane, *at, max(0.15 * r_e, 0.02), 0.5, 1.0, 0.0, flux * share * tint)


def to_table(builders: list[SceneBuilder], first_index: int = 0) -> Scenes:
    """Number builders from `first_index` and turn them into tables. `partner`, where set, counts from the list's start."""
    parts = [
        (first_index + k, *component.values) for k, builder in enumerate(builders) for component in builder.components
    ]
    values = np.array(parts, dtype=np.float64).reshape(-1, len(COMPONENT_COLUMNS))
    dtypes = {"scene": np.int64, "role": np.int8, "plane": np.int8}
    components = {
        name: column.astype(dtypes.get(name, np.float64))
        for name, column in zip(COMPONENT_COLUMNS, values.T, strict=True)
    }
    dtypes = dict.fromkeys(("index", "seed", "partner"), np.int64) | {
        "label": np.int8,
        "split": object,
        "family": object,
    }
    small = ("psf", "dither", "edge_side", "missing_bands", "cosmic_rays", "hot_pixels", "dead_columns")
    dtypes |= dict.fromkeys(small, np.int16)
    rows = [builder.row | {"index": first_index + k} for k, builder in enumerate(builders)]
    # column by column: from rows pandas takes ten times as long
    scenes = {name: np.array([row[name] for row in rows], dtypes.get(name, np.float64)) for name in SCENE_COLUMNS}
    scenes["partner"][scenes["partner"] >= 0] += first_index
    return Scenes(pd.DataFrame(scenes), pd.DataFrame(components))
