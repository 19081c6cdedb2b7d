"""Truth tables of a few images of every family."""

import math

import pandas as pd

from lensdream.families import FAMILIES_NON_LENS

TWO_SOURCES = ("compound_arc", "double_ring", "faint_second")


def truth_table() -> pd.DataFrame:
    """Lenses and ellipticals in pairs, two-source lenses with their single lenses, a few of the others."""
    rows = []

    def add(family, split, partner=-1, two=False, arcs=True):
        rows.append(
            {
                "index": len(rows) + 100, "family": family, "split": split, "partner": partner,
                "theta_E_1": 0.8 if arcs else math.nan, "theta_E_2": 1.1 if two else 0.0,
                "arc_snr_1": 30.0 if arcs else 0.0, "arc_snr_2": 25.0 if two else 0.0,
            }
        )  # fmt: skip

    for k in range(4):
        add("lens", "test", partner=100 + 4 + k)
    for k in range(4):
        add("elliptical", "test", partner=100 + k, arcs=False)
    for family in FAMILIES_NON_LENS[1:]:
        for _ in range(3):
            add(family, "test", arcs=False)
    add("undetectable", "test")
    for family in TWO_SOURCES:
        for _ in range(3):
            add(family, "compound", partner=100 + len(rows) + 1, two=True)
            add("matched_single", "compound", partner=100 + len(rows) - 1)
    add("lens", "train")
    return pd.DataFrame(rows)
