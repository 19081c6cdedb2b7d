"""The compound head: what it learns from, where it starts, and that it learns; on small stores of its own."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from compound_store import SETTINGS, start_of, truth_of, write_store
from conftest import ROOT
from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.instrument import EUCLID
from lensdream.population import drawing
from lensdream.train import compound_data


@pytest.fixture
def paths(tmp_path):
    return start_of(tmp_path)


def test_partners_are_learnt_from_together_or_validate_together(paths):
    store = write_store(paths, truth_of())
    train, validation = compound_data.compound_training_set(store, SETTINGS, "start")
    assert len(train.pairs) == 32
    assert validation.labels.sum() == 4  # a fifth of 20 compound lenses
    learnt = store.truth.iloc[train.pairs]
    assert set(learnt["partner"]) == set(learnt["index"])
    assert set(learnt["split"]) == {"compound_train"}
    assert learnt["family"].value_counts()[["compound_arc", "double_ring"]].tolist() == [8, 8]
    held = validation.images[: 2 * 4]
    assert not any((train.epoch(0).images == image).flatten(1).all(1).any() for image in held)


def test_single_lenses_stand_beside_in_proportion_and_take_turns(paths):
    store = write_store(paths, truth_of())
    train, validation = compound_data.compound_training_set(store, SETTINGS, "start")
    assert train.n_singles == 24  # 1.5 of 16
    assert len(validation) == 4 + 4 + 6
    singles = [train.rows(epoch)[len(train.pairs) :] for epoch in range(5)]
    assert all(store.truth.iloc[rows][["family", "split"]].eq(["lens", "train"]).all(axis=None) for rows in singles)
    assert np.unique(np.concatenate(singles), return_counts=True)[1].tolist() == [3] * 40  # 5 x 24 turns of 40
    assert len(np.unique(singles[1])) == 24
    epoch = train.epoch(1)
    assert len(epoch) == len(train) == 56
    assert epoch.labels.sum() == 16
    # the labels belong to the images: what is below the centre shines in compound lenses only
    below = epoch.images[:, 0, 18:22, 12:20].float().mean((1, 2)) / EUCLID.sky_sigma[0]
    assert torch.equal(below > 2.5, epoch.labels == 1)


def test_the_compound_training_uses_no_test_scene_and_no_non_lens(paths):
    store = write_store(paths, truth_of())
    train, _ = compound_data.compound_training_set(store, SETTINGS, "start")
    used = store.truth.iloc[np.concatenate([train.pairs, train.singles])]
    assert "compound" not in set(used["split"])
    assert (used["label"] == 1).all()


@pytest.mark.parametrize(("per_compound", "n"), [(0.0, 0), (100.0, 40)])
def test_no_single_lens_or_all_there_are(per_compound, n, paths):
    store = write_store(paths, truth_of())
    train, validation = compound_data.compound_training_set(
        store, dataclasses.replace(SETTINGS, singles_per_compound=per_compound), "start"
    )
    assert train.n_singles == n
    assert len(train.epoch(3)) == len(train) == 32 + n
    assert len(validation) == 8 + (12 if n else 0)


def test_the_population_draws_such_pairs(few_catalogs):
    wanted = {"compound_arc_train": 2, "double_ring_train": 1, "sky_area": 0.02}
    none = dict.fromkeys(
        ("train", "validation", "test", "undetectable", "compound_arc", "double_ring", "faint_second"), 0
    )
    settings = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")
    scenes = drawing.draw_scenes(dataclasses.replace(settings, **none, **wanted), 1).scenes
    pairs = compound_data.pairs_of(SimpleNamespace(truth=scenes, folder="drawn"))
    assert scenes["family"].iloc[pairs[:, 0]].tolist() == ["compound_arc", "compound_arc", "double_ring"]
    assert (scenes["theta_E_2"].iloc[pairs[:, 0]] > 0).all()
    same = ["theta_E_1", "z_lens", "z_source_1", "mass_x", "psf", "seed"]
    assert np.array_equal(scenes[same].iloc[pairs[:, 0]], scenes[same].iloc[pairs[:, 1]])


def test_another_start_or_other_images_are_another_training(paths, tmp_path):
    store = write_store(paths, truth_of())
    other = write_store(Paths("other", tmp_path), truth_of(n_train=41))
    identities = {
        compound_data.compound_training_set(*given)[0].identity
        for given in ((store, SETTINGS, "a"), (store, SETTINGS, "b"))
    }
    identities |= {compound_data.compound_training_set(other, SETTINGS, "a")[0].identity}
    assert len(identities) == 3
    assert compound_data.compound_training_set(store, SETTINGS, "a")[0].identity in identities


@pytest.mark.parametrize("n_pairs", [0, 1])
def test_a_store_without_compound_scenes_to_learn_from_names_the_remedy(n_pairs, paths):
    store = write_store(paths, truth_of(n_pairs=n_pairs))
    found = f"compound_train of {paths.images} has {n_pairs} compound lenses, at least 2 .* raise population.compound_arc_train"
    with pytest.raises(ValueError, match=found):
        compound_data.compound_training_set(store, SETTINGS, "start")


def test_a_compound_lens_without_its_partner_is_refused(paths):
    truth = truth_of()
    alone = truth.index[truth["family"] == "compound_arc"][3]
    truth.loc[alone, "partner"] = -1
    found = f"1 of the 20 compound lenses .* have no matched_single .* the first is scene {truth['index'][alone]}:"
    with pytest.raises(ValueError, match=found):
        compound_data.compound_training_set(write_store(paths, truth), SETTINGS, "start")


@pytest.mark.parametrize(("missing", "counts"), [("train", {"n_train": 0}), ("validation", {"n_validation": 0})])
def test_a_split_without_single_lenses_is_refused(missing, counts, paths):
    store = write_store(paths, truth_of(**counts))
    with pytest.raises(ValueError, match=f"the {missing} split .* raise population.{missing} or set it to 0"):
        compound_data.compound_training_set(store, SETTINGS, "start")
