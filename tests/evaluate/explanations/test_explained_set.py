"""The choice of the scenes that are explained."""

from lensdream.evaluate.explanations.explained_set import FAMILIES, NUMBERED


def test_families_keep_the_numbers_that_seed_their_choice():
    assert sorted(NUMBERED) == sorted(FAMILIES)
    assert {name: NUMBERED.index(name) for name in ("lens", "elliptical", "empty", "compound_arc", "double_ring")} == {
        "lens": 0, "elliptical": 1, "empty": 12, "compound_arc": 13, "double_ring": 14,
    }  # fmt: skip
