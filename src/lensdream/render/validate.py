"""Validation of tables of scenes, before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lensdream.families import FAMILIES
from lensdream.instrument import DITHERS, EUCLID, N_BANDS, Survey
from lensdream.scene import BACKGROUND_COLUMNS, FLUX_COLUMNS, SKY_COLUMNS, Role, Scenes

REMEDY = "mend the table, or draw it again with `lensdream population`"


@dataclass(frozen=True)
class Bound:
    """Range of a column: low to high, both included, or above low; all numbers or whole ones."""

    low: float
    high: float = math.inf
    above: bool = False
    whole: bool = False

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Mask of the values within the bound; NaN and infinity are outside."""
        inside = (values > self.low if self.above else values >= self.low) & (values <= self.high) & np.isfinite(values)
        return inside & (np.floor(values) == values) if self.whole else inside

    def __str__(self) -> str:
        opening = "(" if self.above or math.isinf(self.low) else "["
        closing = ")" if math.isinf(self.high) else "]"
        return f"{opening}{self.low:.12g}, {self.high:.12g}{closing}{' in whole numbers' if self.whole else ''}"


ANY = Bound(-math.inf)
NOT_NEGATIVE = Bound(0)
POSITIVE = Bound(0, above=True)
SHARE = Bound(0, 1)
AXIS_RATIO = Bound(0, 1, above=True)
COUNT = Bound(0, whole=True)

SCENES = {
    "label": Bound(-1, 1, whole=True), "seed": Bound(0, 2**63 - 1, whole=True), "partner": Bound(-1, whole=True),
    "theta_E_1": NOT_NEGATIVE, "theta_E_2": NOT_NEGATIVE, "theta_E_12": NOT_NEGATIVE, "theta_E_b": NOT_NEGATIVE,
    "mass_phi": ANY, "mass_x": ANY, "mass_y": ANY, "mass_2_phi": ANY, "mass_2_x": ANY, "mass_2_y": ANY,
    "mass_b_phi": ANY, "mass_b_x": ANY, "mass_b_y": ANY,
    "shear_1": Bound(-1, 1), "shear_2": Bound(-1, 1), "dither": Bound(0, len(DITHERS) - 1, whole=True),
    **dict.fromkeys(SKY_COLUMNS, POSITIVE), **dict.fromkeys(BACKGROUND_COLUMNS, ANY),
    "cosmic_rays": COUNT, "hot_pixels": COUNT, "dead_columns": COUNT, "edge": SHARE,
    "edge_side": Bound(0, 3, whole=True), "missing_bands": Bound(0, 2**N_BANDS - 1, whole=True),
}  # fmt: skip
COMPONENTS = {
    "role": Bound(min(Role), max(Role), whole=True), "plane": Bound(0, 2, whole=True),
    # b_n is negative below a sersic_index of 0.164 and not much of a fit below 0.3
    "x": ANY, "y": ANY, "r_e": POSITIVE, "sersic_index": Bound(0.3, 10), "q": AXIS_RATIO, "phi": ANY,
    **dict.fromkeys(FLUX_COLUMNS, NOT_NEGATIVE),
    "ring_width": NOT_NEGATIVE, "arm_contrast": NOT_NEGATIVE, "arm_phase": ANY, "dust_width": NOT_NEGATIVE,
}  # fmt: skip
MASSES = {
    "theta_E_1": {"mass_q": AXIS_RATIO, "z_lens": POSITIVE, "z_source_1": POSITIVE},
    "theta_E_2": {"z_source_2": POSITIVE},
    "theta_E_12": {"mass_2_q": AXIS_RATIO},
    "theta_E_b": {"mass_b_q": AXIS_RATIO},
}
"""columns that are checked where a mass is above 0"""
ARMS = {"arm_contrast": {"arm_number": COUNT, "arm_pitch": Bound(-math.pi / 2, math.pi / 2)}}
"""columns that are checked where the arms' contrast is above 0"""
REDSHIFT_ORDER = (("z_source_1", "z_lens"), ("z_source_2", "z_source_1"))
"""redshifts, the first of which must be the larger if both are given"""


def refuse_impossible(scenes: Scenes, survey: Survey = EUCLID) -> None:
    """Raise `ValueError` with all problems, each with a value, the bound and the scenes, and what to do."""
    table, parts = scenes.scenes, scenes.components
    spreads = Bound(0, len(survey.point_spreads) - 1, whole=True)
    problems = _out_of_bounds(table, {**SCENES, "psf": spreads}, table["index"])
    problems += _out_of_bounds_where(table, MASSES, table["index"])
    for plane, radius in enumerate(("theta_E_1", "theta_E_2"), start=1):
        lensed = table["index"].isin(parts.loc[parts["plane"] >= plane, "scene"])
        problems += _out_of_bounds(
            table[lensed], {radius: POSITIVE}, table.loc[lensed, "index"], f" with light at plane {plane}"
        )
    for behind, before in REDSHIFT_ORDER:
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
    problems += _out_of_bounds_where(parts, ARMS, parts["scene"])
    endless = parts.loc[(parts["arm_contrast"] > 0) & (parts["arm_pitch"] == 0), "scene"]
    if len(endless):
        problems.append(f"arm_pitch = 0 winds arms without end, it must differ from 0{_where(endless)}")
    lost = parts.loc[~parts["scene"].isin(table["index"]), "scene"]
    if len(lost):
        problems.append(f"components belong to no scene of the table{_where(lost)}")
    if not parts["scene"].is_monotonic_increasing:
        problems.append("the components are not sorted by scene")
    if problems:
        raise ValueError("these scenes cannot be drawn:\n  " + "\n  ".join(problems) + f"\n{REMEDY}")


def _out_of_bounds(table: pd.DataFrame, bounds: dict[str, Bound], scene: pd.Series, where: str = "") -> list[str]:
    found = []
    for column, bound in bounds.items():
        values = table[column].to_numpy()
        wrong = ~bound.holds(values)
        if wrong.any():
            found.append(f"{column} = {values[wrong][0]} is not in {bound}{where}{_where(scene[wrong])}")
    return found


def _out_of_bounds_where(table: pd.DataFrame, bounds: dict[str, dict[str, Bound]], scene: pd.Series) -> list[str]:
    """Problems of the columns that are checked where another one is above 0."""
    found = []
    for condition, columns in bounds.items():
        present = table[condition] > 0
        found += _out_of_bounds(table[present], columns, scene[present], f" where {condition} > 0")
    return found


def _where(scenes: pd.Series) -> str:
    others = scenes.nunique() - 1
    return f" (scene {scenes.iloc[0]}{f' and {others} others' if others else ''})"
