"""Tables of scenes that nothing could be drawn from, refused before anything is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lensdream.scene import (
    FAMILIES_COMPOUND,
    FAMILIES_LENS,
    FAMILIES_NON_LENS,
    FAMILY_UNDETECTABLE,
    FLUX_COLUMNS,
    SKY_COLUMNS,
    Role,
    Scenes,
)
from lensdream.survey import DITHERS, EUCLID, N_BANDS, Survey

FAMILIES = {*FAMILIES_LENS, *FAMILIES_NON_LENS, *FAMILIES_COMPOUND, FAMILY_UNDETECTABLE}
REMEDY = "mend the table, or draw it again with `lensdream population`"


@dataclass(frozen=True)
class Bound:
    """Values that a column may have: low to high, the ends included, or only above low."""

    low: float
    high: float = math.inf
    above: bool = False

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Tell which values lie in it; NaN and infinity do not."""
        return (values > self.low if self.above else values >= self.low) & (values <= self.high) & np.isfinite(values)

    def __str__(self) -> str:
        opening, closing = "(" if self.above else "[", "]" if math.isfinite(self.high) else ")"
        return f"{opening}{self.low:.12g}, {self.high:.12g}{closing}"


ANY = Bound(-math.inf)
NOT_NEGATIVE = Bound(0)
POSITIVE = Bound(0, above=True)
SHARE = Bound(0, 1)
AXIS_RATIO = Bound(0, 1, above=True)

SCENES = {
    "label": Bound(-1, 1), "seed": Bound(0, 2**63 - 1), "partner": Bound(-1),
    "theta_E_1": NOT_NEGATIVE, "theta_E_2": NOT_NEGATIVE, "theta_E_12": NOT_NEGATIVE, "theta_E_b": NOT_NEGATIVE,
    "mass_phi": ANY, "mass_x": ANY, "mass_y": ANY, "mass_2_phi": ANY, "mass_2_x": ANY, "mass_2_y": ANY,
    "mass_b_phi": ANY, "mass_b_x": ANY, "mass_b_y": ANY,
    "shear_1": Bound(-1, 1), "shear_2": Bound(-1, 1), "dither": Bound(0, len(DITHERS) - 1),
    **dict.fromkeys(SKY_COLUMNS, POSITIVE),
    "cosmic_rays": NOT_NEGATIVE, "hot_pixels": NOT_NEGATIVE, "dead_columns": NOT_NEGATIVE, "edge": SHARE,
    "edge_side": Bound(0, 3), "missing_bands": Bound(0, 2**N_BANDS - 1),
}  # fmt: skip
MASSES = {"theta_E_1": "mass_q", "theta_E_b": "mass_b_q", "theta_E_12": "mass_2_q"}
"""axis ratios that matter where there is a mass"""
COMPONENTS = {
    "role": Bound(min(Role), max(Role)), "plane": Bound(0, 2), "x": ANY, "y": ANY, "r_e": POSITIVE, "sersic_index": POSITIVE,
    "q": AXIS_RATIO, "phi": ANY, **dict.fromkeys(FLUX_COLUMNS, NOT_NEGATIVE),
    "ring_width": NOT_NEGATIVE, "arm_contrast": NOT_NEGATIVE, "arm_number": NOT_NEGATIVE, "arm_pitch": ANY, "arm_phase": ANY,
    "dust_width": NOT_NEGATIVE,
}  # fmt: skip
BEHIND = (("z_source_1", "z_lens"), ("z_source_2", "z_source_1"))
"""redshifts, the first of which must be the larger where there are both"""


def refuse_impossible(scenes: Scenes, survey: Survey = EUCLID) -> None:
    """Raise `ValueError` that lists every kind of problem with a value, the bound, the scenes and the remedy."""
    table, parts = scenes.scenes, scenes.components
    problems = _out_of_bounds(table, {**SCENES, "psf": Bound(0, len(survey.point_spreads) - 1)}, table["index"])
    for radius, axis_ratio in MASSES.items():
        massive = table[table[radius] > 0]
        problems += _out_of_bounds(massive, {axis_ratio: AXIS_RATIO}, massive["index"])
    for behind, before in BEHIND:
        wrong = table[table[behind] <= table[before]]
        if len(wrong):
            values = f"{behind} = {wrong[behind].iloc[0]:g} is not beyond {before} = {wrong[before].iloc[0]:g}"
            problems.append(f"{values}{_where(wrong['index'])}")
    unknown = table[~table["family"].isin(FAMILIES)]
    if len(unknown):
        known = ", ".join(sorted(FAMILIES))
        problems.append(f"family = {unknown['family'].iloc[0]!r} is none of {known}{_where(unknown['index'])}")
    if table["index"].duplicated().any():
        problems.append(f"index is not unique{_where(table.loc[table['index'].duplicated(), 'index'])}")
    problems += _out_of_bounds(parts, COMPONENTS, parts["scene"])
    lost = parts.loc[~parts["scene"].isin(table["index"]), "scene"]
    if len(lost):
        problems.append(f"components belong to no scene of the table{_where(lost)}")
    if not parts["scene"].is_monotonic_increasing:
        problems.append("the components are not sorted by scene")
    if problems:
        raise ValueError("these scenes cannot be drawn:\n  " + "\n  ".join(problems) + f"\n{REMEDY}")


def _out_of_bounds(table: pd.DataFrame, bounds: dict[str, Bound], scene: pd.Series) -> list[str]:
    found = []
    for column, bound in bounds.items():
        values = table[column].to_numpy()
        wrong = ~bound.holds(values)
        if wrong.any():
            found.append(f"{column} = {values[wrong][0]} is not in {bound}{_where(scene[wrong])}")
    return found


def _where(scenes: pd.Series) -> str:
    others = scenes.nunique() - 1
    return f" (scene {scenes.iloc[0]}{f' and {others} others' if others else ''})"
