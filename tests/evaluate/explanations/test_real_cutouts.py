"""Maps of real cutouts beside those of simulated lenses."""

import numpy as np
import pytest
import torch

from conftest import join, random_scene
from lensdream.config import ExplainConfig, SimulateConfig
from lensdream.dataset.store import ImageStore
from lensdream.dataset.write import write_store
from lensdream.evaluate.explanations import real_cutouts
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, N_BANDS, Band
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.plots.encoded import png
from lensdream.plots.heatmaps import maps_page
from lensdream.scene import Scenes

STAMP = 32
RENDERING = {
    "stamp": STAMP, "padding": 8, "supersampling": 1, "fine_width": 16, "shard_size": 100, "chunk": 16, "workers": 1,
    "renderer": "lensdream",
}  # fmt: skip
SETTINGS = ExplainConfig(
    seed=4, window=4, stride=4, sky_window=4, sky_stride=4, chunk=32, dream_scenes=0, dream_steps=2, dream_octaves=2,
    dream_octave_scale=1.4, dream_jitter=2, dream_step_size=0.25, figures_per_family=1, scenes_per_family=2,
    sanity_scenes=0, removal_steps=3, channel_scenes=0,
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    """A store of two lenses."""
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, 1, index) for index in range(2)]
    scenes = join([Scenes(s.scenes.assign(family="lens", split="test"), s.components) for s in scenes])
    write_store(scenes, SimulateConfig(**RENDERING), tmp_path / "images")
    return ImageStore.open(tmp_path / "images")


@pytest.fixture
def finder(tmp_path):
    """A network of random weights, with a temperature."""
    torch.manual_seed(0)
    save_model(tmp_path / "model", LensNet(LensNetConfig(width=4)), STAMP)
    operating_points.write(tmp_path / "model", OperatingPoints(temperature=3.0))
    return Finder.load(tmp_path / "model")


@pytest.fixture
def cutouts():
    """Two images, the second without near infrared."""
    images = (
        np.random.default_rng(1).normal(size=(2, N_BANDS, STAMP, STAMP)) * np.array(EUCLID.sky_sigma)[:, None, None]
    )
    images[1, Band.Y :] = 0
    return images.astype(np.float32)


def test_simulated_lenses_stand_below_the_cutouts_and_every_row_gives_both_logits(store, finder, cutouts, monkeypatch):
    drawn = []
    monkeypatch.setattr(real_cutouts, "maps_page", lambda *page: drawn.append(page) or maps_page(*page))
    names = ["$high$", "low, of a name that is longer than the row is high"]
    figure = real_cutouts.page(finder, names, cutouts, store, SETTINGS, "")
    ((_, rows, _, note),) = drawn
    assert [row.label.splitlines()[0] for row in rows[:2]] == ["$high$", "low, of a name that is"]
    assert all(row.label.startswith("simulated ") for row in rows[2:])
    images = np.stack([row.image for row in rows])
    assert np.array_equal(images[:2], cutouts)
    with torch.no_grad():
        first = finder.cascade.first(torch.from_numpy(images).to(finder.device)).cpu()
    for row, logit, of_first_stage in zip(rows, finder.scores(torch.from_numpy(images)).logit, first, strict=True):
        probability = 1 / (1 + np.exp(-logit / 3))
        assert row.label.splitlines()[1:] == [
            f"finder {logit:+.2f}, p {probability:.2f}",
            f"first stage {of_first_stage:+.2f}",
        ]
    assert len(rows) == 4
    assert not rows[0].arcs[0].any()
    assert any(row.arcs[0].any() for row in rows[2:])
    assert note == ""
    assert len([axes for axes in figure.axes if axes.images]) >= 6 * 4
    png(figure)  # places the labels
    labels = [axes.yaxis.label.get_window_extent() for axes in figure.axes if axes.get_ylabel()]
    assert len(labels) == 4
    assert all(label.x0 >= 0 for label in labels)  # three lines are inside the page


def test_the_credit_of_the_pixels_is_on_the_page(store, finder, cutouts):
    figure = real_cutouts.page(finder, ["a", "b"], cutouts, store, SETTINGS, "somebody")
    assert "Pixels: somebody" in [text.get_text() for text in figure.texts]
