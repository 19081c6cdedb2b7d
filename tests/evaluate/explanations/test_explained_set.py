"""The choice of the scenes that are explained."""

import numpy as np
import pandas as pd
import pytest

from lensdream.evaluate.explanations.explained_set import FAMILIES, NUMBERED, choose_scenes, explain


def test_families_keep_the_numbers_that_seed_their_choice():
    assert sorted(NUMBERED) == sorted(FAMILIES)
    assert {name: NUMBERED.index(name) for name in ("lens", "elliptical", "empty", "compound_arc", "double_ring")} == {
        "lens": 0, "elliptical": 1, "empty": 12, "compound_arc": 13, "double_ring": 14,
    }  # fmt: skip


def test_choice_of_scenes_depends_on_seed_and_own_family_only():
    truth = pd.DataFrame(
        {
            "family": ["lens"] * 50 + ["star"] * 50 + ["double_ring"] * 50 + ["lens"] * 50,
            "split": ["test"] * 100 + ["compound"] * 50 + ["train"] * 50,
        }
    )
    chosen = choose_scenes(truth, 5, seed=1)
    assert len(set(chosen)) == 15
    assert chosen.max() < 150
    assert np.array_equal(chosen, choose_scenes(truth, 5, seed=1))
    assert not np.array_equal(chosen, choose_scenes(truth, 5, seed=2))
    without_stars = choose_scenes(truth[truth["family"] != "star"], 5, seed=1)
    assert np.array_equal(without_stars[:5], chosen[:5])
    assert np.array_equal(choose_scenes(truth, 3, seed=1)[:3], chosen[:3])
    assert np.array_equal(choose_scenes(truth, 5, 1, ("double_ring",)), chosen[-5:])


def test_store_without_test_scenes_is_refused():
    truth = pd.DataFrame({"family": ["lens"], "split": ["train"]})
    nothing = choose_scenes(truth, 5, seed=1)
    assert not len(nothing)
    with pytest.raises(ValueError, match="simulate some"):
        explain(None, None, nothing, None, None)
