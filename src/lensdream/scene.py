"""The table of scenes: the hinge between the physics of populations and the pixels.

A scene is one row of `scenes` and its rows of `components`. Together they determine the image: nothing else is drawn later
but the noise, and that comes from the scene's own seed. So image k alone equals image k of a batch.

`scenes`, one row a scene (angles in arcsec and radians, x to the right, y up, the stamp's centre at 0, 0):
    index, split, family, label (1 lens, 0 non-lens, -1 lens below the detection rule), seed,
    partner (index of the scene that shares deflector, neighbours and noise; -1 without),
    z_lens, z_source_1, z_source_2 (NaN where there is none), sigma_lens, sigma_source_1 [km/s],
    theta_E_1, theta_E_2 (deflector for source 1 and source 2), theta_E_12 (source 1's mass for source 2) [arcsec],
    mass_q, mass_phi, mass_x, mass_y (deflector), mass_2_q, mass_2_phi, mass_2_x, mass_2_y (source 1's mass),
    shear_1, shear_2 (external shear for source 1),
    theta_E_b (a second deflector in the first one's plane, for source 1; 0 without), mass_b_q, mass_b_phi, mass_b_x, mass_b_y,
    psf (index of the survey's point spread), dither (index of its dither pattern),
    sky_scale_<BAND> (scatter of the sky against the survey's), background_<BAND> [sky scatters],
    cosmic_rays, hot_pixels, dead_columns (how many the image has), edge (share of the stamp beyond the detector's edge),
    edge_side (0 left, 1 bottom, 2 right, 3 top), missing_bands (sum of 2^band),
    magnification_1, magnification_2, arc_snr (of the arcs on the detection rule's rendering).
`components`, one row a light component, sorted by scene:
    scene (index), role (`Role`), plane (0 unlensed, 1 at source 1, 2 at source 2),
    x, y, r_e [arcsec], sersic_index, q, phi, flux_<BAND> [microjansky, before lensing],
    ring_width (of a ring of radius r_e, which stands in place of the Sersic profile [r_e]; 0 for none),
    arm_contrast, arm_number, arm_pitch, arm_phase (log-spiral modulation; contrast 0 for none),
    dust_width (standard deviation of a lane without light along the major axis [arcsec]; 0 for none).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lensdream.instrument import Band


class Role(IntEnum):
    """Role of a light component, by which truth masks are made and components left out."""

    TARGET = 1
    SOURCE_1 = 2
    SOURCE_2 = 3
    NEIGHBOUR = 4


SOURCES = frozenset((Role.SOURCE_1, Role.SOURCE_2))
"""roles of the light in arcs"""


class Shape(NamedTuple):
    """Shape of a component beyond its Sersic profile: the columns of these names."""

    ring_width: float = 0.0
    arm_contrast: float = 0.0
    arm_number: float = 0.0
    arm_pitch: float = 1.0
    arm_phase: float = 0.0
    dust_width: float = 0.0


PLAIN = Shape()

FLUX_COLUMNS = tuple(f"flux_{band.name}" for band in Band)
SKY_COLUMNS = tuple(f"sky_scale_{band.name}" for band in Band)
BACKGROUND_COLUMNS = tuple(f"background_{band.name}" for band in Band)

SCENE_COLUMNS = (
    "index", "split", "family", "label", "seed", "partner",
    "z_lens", "z_source_1", "z_source_2", "sigma_lens", "sigma_source_1",
    "theta_E_1", "theta_E_2", "theta_E_12", "mass_q", "mass_phi", "mass_x", "mass_y",
    "mass_2_q", "mass_2_phi", "mass_2_x", "mass_2_y", "shear_1", "shear_2",
    "theta_E_b", "mass_b_q", "mass_b_phi", "mass_b_x", "mass_b_y",
    "psf", "dither", *SKY_COLUMNS, *BACKGROUND_COLUMNS,
    "cosmic_rays", "hot_pixels", "dead_columns", "edge", "edge_side", "missing_bands",
    "magnification_1", "magnification_2", "arc_snr",
)  # fmt: skip
COMPONENT_COLUMNS = (
    "scene", "role", "plane", "x", "y", "r_e", "sersic_index", "q", "phi", *FLUX_COLUMNS,
    *Shape._fields,
)  # fmt: skip

PARQUET = {"compression": "zstd", "compression_level": 9, "use_dictionary": False}
"""how tables are written: few numbers occur more than twice, and what a partner repeats zstd finds without a dictionary"""


@dataclass(frozen=True)
class Scenes:
    """Table of scenes: two tables, rows of `components` sorted by scene.

    Parameters
    ----------
    scenes : DataFrame
        One row a scene, of the columns `SCENE_COLUMNS`; the module's docstring has their meaning and units.
    components : DataFrame
        One row a light component, of the columns `COMPONENT_COLUMNS`.

    Raises
    ------
    ValueError
        For tables that lack a column.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lensdream import Lens, Scenes
    >>> scenes = Lens(theta_E=1.2).scene()
    >>> len(scenes), len(scenes.components)  # one scene: the deflector's light and the source's
    (1, 2)
    >>> scenes.save(Path("scenes"))
    >>> Scenes.load(Path("scenes")).scenes["theta_E_1"].tolist()  # [arcsec]
    [1.2]
    """

    scenes: pd.DataFrame
    components: pd.DataFrame

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self.scenes)

    def __post_init__(self) -> None:
        """Raise ValueError for a table without a column."""
        for name, table, columns in (
            ("scenes", self.scenes, SCENE_COLUMNS),
            ("components", self.components, COMPONENT_COLUMNS),
        ):
            missing = sorted(set(columns) - set(table.columns))
            if missing:
                raise ValueError(
                    f"the table of {name} lacks {', '.join(missing)}; make it again with `lensdream population`"
                )

    def take(self, positions: np.ndarray | slice) -> Scenes:
        """Scenes at these positions (not indices), in this order.

        Parameters
        ----------
        positions : ndarray of int or slice
            Rows of `scenes`, counted from 0.

        Returns
        -------
        Scenes
            These scenes with their components.
        """
        scenes = self.scenes.iloc[positions]
        order = self.components["scene"].to_numpy()
        first = np.searchsorted(order, scenes["index"].to_numpy(), "left")
        last = np.searchsorted(order, scenes["index"].to_numpy(), "right")
        rows = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)] or [np.empty(0, int)])
        return Scenes(scenes, self.components.iloc[rows.astype(int)])

    def without(self, roles: Set[Role]) -> Scenes:
        """Copy of the scenes, with the same sky and noise, without the components of these roles.

        Parameters
        ----------
        roles : set of Role
            Roles to leave out; `SOURCES` removes the arcs.

        Returns
        -------
        Scenes
            As many scenes, with fewer components.
        """
        return Scenes(self.scenes, self.components[~self.components["role"].isin([int(role) for role in roles])])

    def save(self, folder: Path) -> None:
        """Write both tables as Parquet; each appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in (("components", self.components), ("scenes", self.scenes)):
            part = folder / f"{name}.parquet.part"
            table.to_parquet(part, index=False, **PARQUET)
            part.replace(folder / f"{name}.parquet")

    @classmethod
    def load(cls, folder: Path) -> Scenes:
        """Read the tables of a folder that `save` wrote."""
        for name in ("scenes", "components"):
            if not (folder / f"{name}.parquet").is_file():
                raise FileNotFoundError(f"no {name}.parquet in {folder}: run the population stage first")
        return cls(pd.read_parquet(folder / "scenes.parquet"), pd.read_parquet(folder / "components.parquet"))
