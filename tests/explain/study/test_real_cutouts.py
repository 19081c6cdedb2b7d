"""Maps of real cutouts in the report's folder."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import join, random_scene
from lensdream.commands import real_maps
from lensdream.config import SimulateConfig
from lensdream.cutouts.export import write_cutout
from lensdream.dataset.write import write_store
from lensdream.finder import operating_points
from lensdream.finder.finder import Scorer
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, N_BANDS, Band
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.paths import Paths
from lensdream.plots.heatmaps import maps_page
from lensdream.report import page as _page_
from lensdream.scene import Scenes

STAMP = 32
RENDERING = {
    "stamp": STAMP, "padding": 8, "supersampling": 1, "fine_width": 16, "shard_size": 100, "chunk": 16, "workers": 1,
    "renderer": "lensdream",
}  # fmt: skip
SETTINGS = {
    "seed": 4, "window": 4, "stride": 4, "sky_window": 4, "sky_stride": 4, "chunk": 32, "dream_scenes": 0,
    "dream_steps": 2, "dream_octaves": 2,
    "dream_octave_scale": 1.4, "dream_jitter": 2, "dream_step_size": 0.25, "figures_per_family": 1,
    "scenes_per_family": 2, "sanity_scenes": 0, "removal_steps": 3, "channel_scenes": 0,
}  # fmt: skip


@pytest.fixture
def paths(tmp_path):
    """A repository with a store of two lenses, a model, and three scored files of which one is gone."""
    paths, rng = Paths("tiny", tmp_path), np.random.default_rng(0)
    scenes = [random_scene(rng, 1, index) for index in range(2)]
    scenes = join([Scenes(s.scenes.assign(family="lens", split="test"), s.components) for s in scenes])
    write_store(scenes, SimulateConfig(**RENDERING), paths.images)
    torch.manual_seed(0)
    save_model(paths.model, LensNet(LensNetConfig(width=4)), STAMP)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"explain": {"shared": SETTINGS, "tiny": {}}}))
    rows = []
    for logit, name in enumerate(("low", "high")):
        path = tmp_path / f"{name}.fits"
        image = rng.normal(size=(N_BANDS, 40, 40)) * np.array(EUCLID.sky_sigma)[:, None, None]
        image[Band.Y :] *= logit  # one without near infrared
        write_cutout(path, image, f"${name}$")
        rows.append({"path": str(path), "kind": "cutout", "logit": float(logit)})
    rows.append({"path": str(tmp_path / "gone.fits"), "kind": "cutout", "logit": 9.0})
    rows.append({"path": str(tmp_path / "low.fits"), "kind": "position", "logit": 8.0})
    paths.observed.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(paths.observed / "scores.csv", index=False)
    return paths


def test_cutouts_are_drawn_into_the_report_beside_simulated_lenses(paths, monkeypatch):
    operating_points.write(paths.model, OperatingPoints(temperature=3.0))
    drawn = []
    monkeypatch.setattr(real_maps, "maps_page", lambda *page: drawn.append(page) or maps_page(*page))
    real_maps.write(paths)
    ((_, rows, _, note),) = drawn
    assert [row.label.splitlines()[0] for row in rows[:2]] == ["$high$", "$low$"]  # the highest first
    assert all(row.label.startswith("simulated ") for row in rows[2:])
    scorer = Scorer.load(paths.model)
    images = np.stack([row.image for row in rows])
    with torch.no_grad():
        first = scorer.first_look(torch.from_numpy(images))
    for row, finder, look in zip(rows, scorer.logits(images), first, strict=True):
        probability = 1 / (1 + np.exp(-finder / 3))
        assert row.label.splitlines()[1:] == [
            f"finder {finder:+.2f}, p {probability:.2f}",
            f"its first look {look:+.2f}",
        ]
    assert len(rows) == 4
    assert not rows[0].arcs[0].any()
    assert any(row.arcs[0].any() for row in rows[2:])
    assert note == ""  # simulated files owe no credit
    assert (paths.report / _page_.REAL_LENSES).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("lost", ["scores", "model"])
def test_without_cutouts_or_model_an_old_picture_goes(paths, lost):
    paths.report.mkdir(parents=True)
    old = paths.report / _page_.REAL_LENSES
    old.write_bytes(b"old")
    (paths.observed / "scores.csv" if lost == "scores" else paths.model / "model.json").unlink()
    real_maps.write(paths)
    assert not old.exists()
    real_maps.write(paths)
