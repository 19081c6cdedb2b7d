"""Targets streamed and scored."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import SURVEY, SURVEY_POPULATION, SURVEY_SIMULATE
from lensdream.dataset import target_mix
from lensdream.dataset.on_the_fly import FreshScenes
from lensdream.evaluate import stream
from lensdream.evaluate.stream import Highest
from lensdream.instrument import Band
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.population import drawing

WANTED = {"elliptical": 4, "spiral": 5, "field": 7, "star": 3}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a network that learned nothing."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, LensNet(LensNetConfig(4)), SURVEY_SIMULATE.stamp)
    return folder


def scored(model, keep, workers=0, wanted=WANTED, near_miss=1.0):
    settings = dataclasses.replace(SURVEY, batch_size=8, atlas=keep, near_miss=near_miss)
    with stream.scoring(SURVEY_POPULATION, SURVEY_SIMULATE, model, settings, workers) as score_all:
        return stream.joined(score_all(target_mix.chunks(wanted, stream.SPLIT, stream.EPOCH)), keep)


def test_as_many_targets_as_asked_for_are_scored_and_no_stored_scene_is_among_them(few_catalogs, model):
    found = scored(model, 5)
    assert found.table["family"].value_counts().to_dict() == WANTED
    assert found.table["seed"].is_unique
    stored = drawing.draw_scenes(SURVEY_POPULATION, 1).scenes
    assert {"train", "test"} == set(stored["split"])
    assert not set(found.table["seed"]) & set(stored["seed"])
    trained_on = FreshScenes(SURVEY_POPULATION, SURVEY_SIMULATE, 30, 10**4, map).chunks(10**4 - 1)
    assert all(chunk.epoch < stream.EPOCH and chunk.split != stream.SPLIT for chunk in trained_on)


def test_the_images_kept_are_those_of_the_highest_logits(few_catalogs, model):
    few, everything = scored(model, 5), scored(model, 1000)
    n = sum(WANTED.values())
    assert few.highest.images.shape == (5, len(Band), 40, 40)
    assert few.highest.images.dtype == np.float16
    assert len(everything.highest.images) == n
    assert few.highest.rows["logit"].tolist() == sorted(everything.table["logit"], reverse=True)[:5]
    assert few.highest.rows["seed"].tolist() == everything.highest.rows["seed"].tolist()[:5]
    assert np.array_equal(few.highest.images, everything.highest.images[:5])
    assert {"arc_snr_1", "flux_target_VIS", "chunk", "label", "theta_E_1"} <= set(few.highest.rows)
    assert not few.highest.rows["label"].any()


def test_few_early_types_have_a_source_beside_the_caustic(few_catalogs, model):
    arcs = {}
    for share in (1.0, 0.5, 0.0):
        found = scored(model, 1000, wanted={"elliptical": 4, "field": 2}, near_miss=share)
        rows = found.highest.rows.set_index("seed").loc[found.table["seed"]]
        arcs[share] = (rows["flux_source_1_VIS"] > 0)[rows["family"] == "elliptical"]
        assert not (rows["flux_source_1_VIS"] > 0)[rows["family"] == "field"].any()
    assert arcs[1.0].tolist() == [True] * 4
    assert arcs[0.5].tolist() == [False, True, False, True]
    assert not arcs[0.0].any()
    assert arcs[0.0].index.equals(arcs[1.0].index)  # the same galaxies


def test_equal_logits_stay_in_their_order():
    first = Highest(pd.DataFrame({"seed": [1, 2], "logit": [2.0, 1.0]}), np.array([1, 2]))
    second = Highest(pd.DataFrame({"seed": [3, 4], "logit": [2.0, 1.5]}), np.array([3, 4]))
    both = first.merged_with(second, 3)
    assert both.rows["seed"].tolist() == both.images.tolist() == [1, 3, 4]


@pytest.mark.slow
def test_scores_do_not_depend_on_the_processes(few_catalogs, model, monkeypatch):
    monkeypatch.setattr(drawing, "CHUNK_SIZE", 3)
    here, two = scored(model, 4), scored(model, 4, workers=2)
    pd.testing.assert_frame_equal(here.table, two.table, check_exact=True)
    pd.testing.assert_frame_equal(here.highest.rows, two.highest.rows, check_exact=True)
    assert np.array_equal(here.highest.images, two.highest.images)
