"""The parts of the study on a few small scenes and a network of random weights."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text

from conftest import write_images
from lensdream.config import ExplainConfig
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.explanations import run_channels, run_occlusions, run_removals, run_sanity
from lensdream.evaluate.explanations.explained_set import explain
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.render.batch import ARC_1

STAMP, CPU = 32, torch.device("cpu")
SETTINGS = ExplainConfig(
    window=8, stride=8, sky_window=8, sky_stride=8, removal_steps=2, sanity_scenes=1, channel_scenes=4,
    figures_per_family=1,
)  # fmt: skip
FAMILIES = ("lens", "lens", "double_ring", "star")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LensNet(LensNetConfig(width=4)).eval()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two lenses, a double ring and a star, each of them with a band of arcs but the last."""
    folder = tmp_path_factory.mktemp("study") / "store"
    images = np.random.default_rng(2).normal(0, 0.01, (4, 4, STAMP, STAMP))
    masks = np.zeros((4, STAMP, STAMP), np.uint8)
    masks[:3, 10:13] = ARC_1
    images[:3, :, 10:13] += 0.2
    truth = pd.DataFrame({
        "index": range(4), "family": FAMILIES, "label": [1, 1, 2, 0], "split": ["test", "test", "compound", "test"],
    })  # fmt: skip
    write_images(folder, truth, images, masks)
    return ImageStore.open(folder)


@pytest.fixture(scope="module")
def explained(model, store):
    return explain(model, store, np.arange(4), SETTINGS, CPU)


def without_arcs(explained):
    (star,) = explained.rows_of("star")
    return dataclasses.replace(explained, truth=explained.truth.iloc[[star]])


def test_occlusions_have_a_page_a_family_with_as_many_scenes_as_asked(explained):
    pages = run_occlusions.pages(explained, SETTINGS, "a note below")
    assert list(pages) == ["occlusion-lens", "occlusion-double_ring", "occlusion-star"]
    texts = {text.get_text() for text in pages["occlusion-lens"].findobj(Text)}
    logit = float(explained.zero.original[0])
    assert any(f"scene 0\nlogit {logit:+.2f}" in text for text in texts)
    assert not any("scene 1" in text for text in texts)
    assert "a note below" in texts


def test_removal_begins_with_the_image_and_ends_with_sky_whatever_the_map(model, explained):
    result, pages = run_removals.run(model, explained, SETTINGS, CPU)
    assert result["n"] == 3
    assert set(result) == {"n", *explained.maps, "brightness", "random"}
    assert list(pages) == ["removal"]
    curves = [line.get_ydata() for line in pages["removal"].axes[0].lines if len(line.get_ydata()) == 3]
    assert len(curves) == len(explained.maps) + 2
    start = float(explained.zero.original[:3].mean())
    for curve in curves:
        assert curve[0] == pytest.approx(start, abs=1e-4)
        assert curve[-1] == pytest.approx(curves[0][-1], abs=1e-4)


def test_without_arcs_there_is_no_removal_and_no_sanity_check(model, explained):
    assert run_removals.run(model, without_arcs(explained), SETTINGS, CPU) == ({}, {})
    assert run_sanity.run(model, without_arcs(explained), SETTINGS, CPU) == ({}, {})
    none = dataclasses.replace(SETTINGS, sanity_scenes=0)
    assert run_sanity.run(model, explained, none, CPU) == ({}, {})


def test_the_sanity_check_goes_down_to_the_first_layer_of_as_many_scenes_as_asked(model, explained):
    result, pages = run_sanity.run(model, explained, SETTINGS, CPU)
    assert result["n"] == SETTINGS.sanity_scenes
    assert list(result["occlusion_sky"]) == ["head", "block_3", "block_2", "block_1", "stem"]
    assert list(pages) == ["sanity"]


def test_the_note_has_the_scores_of_the_last_layer():
    layers = {"head": {"value": 0.9}, "stem": {"value": 0.123}}
    undefined = {"head": {"value": 0.9}, "stem": {"value": None}}
    said = run_sanity.note({"guided_grad_cam": layers, "occlusion_sky": undefined})
    assert said.endswith("Guided Grad-CAM 0.12, occlusion undefined")
    assert run_sanity.note({}) == ""


def test_channels_are_those_of_the_first_and_the_last_layer_on_test_images_alone(model, store):
    result, pages, table = run_channels.run(model, store, SETTINGS, CPU)
    assert table.groupby("layer", sort=False).size().to_dict() == {"stem": 2, "block_3": 16}
    assert {name: block["n_channels"] for name, block in result.items()} == {"stem": 2, "block_3": 16}
    assert set(pages) == {"kernels", "kernels-stem", "kernels-block_3"}
    assert np.isfinite(table["effect_lens"]).all()


def test_without_test_images_there_are_no_channels(model, store):
    none = dataclasses.replace(SETTINGS, channel_scenes=0)
    result, pages, table = run_channels.run(model, store, none, CPU)
    assert (result, pages, len(table)) == ({}, {}, 0)
