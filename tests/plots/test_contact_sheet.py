"""Pictures of every family."""

import pytest

from lensdream.dataset import family_examples
from lensdream.families import BY_NAME, FAMILIES
from truth_tables import truth_table


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
