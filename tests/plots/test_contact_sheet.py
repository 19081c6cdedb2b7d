"""Pictures of every family."""

import math

import pandas as pd
import pytest

from lensdream.dataset import family_examples
from lensdream.families import BY_NAME, FAMILIES, FAMILIES_NON_LENS

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


def test_twins_share_columns_and_no_training_scene_is_drawn():
    truth = truth_table()
    chosen = family_examples.choose(truth, 3)
    assert list(chosen) == [name for name in FAMILIES if name in chosen]
    assert all((truth["family"].iloc[places] == name).all() for name, places in chosen.items())
    assert all((truth["split"].iloc[places] != "train").all() for places in chosen.values())
    twins = {name: family.twin for name, family in BY_NAME.items() if family.twin}
    assert twins == {"lens": "elliptical", "compound_arc": "matched_single"}
    for original, twin in twins.items():
        assert truth["index"].iloc[chosen[twin]].tolist() == truth["partner"].iloc[chosen[original]].tolist()
    assert len(chosen["undetectable"]) == 1
    assert len(set(chosen["star"])) == 3


def test_families_without_partners_are_drawn_all_the_same():
    truth = truth_table().assign(partner=-1)
    chosen = family_examples.choose(truth, 2)
    assert set(chosen) == set(FAMILIES)
    assert set(family_examples.choose(truth[truth["family"] == "star"], 2)) == {"star"}
    with pytest.raises(ValueError, match=r"raise population\.test"):
        family_examples.choose(truth[truth["split"] == "train"], 2)
