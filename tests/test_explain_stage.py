"""The explain stage from a small made-up store to its metrics."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from lensdream.config import ExplainConfig
from lensdream.dataset import ARC_1, ARC_2, LENS_LIGHT, ImageStore
from lensdream.dataset.store import SCHEMA_VERSION, sha256_of
from lensdream.explain import stage
from lensdream.networks import LensNet, LensNetConfig, load_model, save_model
from lensdream.paths import Paths
from lensdream.scene import FAMILIES_NON_LENS
from lensdream.survey import EUCLID, Band

STAMP = 32
METHODS = ("occlusion_zero", "occlusion_sky", "guided_grad_cam", "integrated_gradients")
SETTINGS = {
    "seed": 4, "window": 4, "stride": 4, "chunk": 32, "dream_steps": 2, "dream_octaves": 2, "dream_octave_scale": 1.4,
    "dream_jitter": 2, "dream_step_size": 0.25, "figures_per_family": 1, "scenes_per_family": 2,
}  # fmt: skip


def make_scene(family: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A red blob, and rings of blue light around it for the families that have arcs: image and mask."""
    y, x = np.mgrid[:STAMP, :STAMP] - STAMP / 2
    radius = np.hypot(x, y)
    rings = {"lens": (8.0,), "compound_arc": (8.0,), "double_ring": (6.0, 11.0)}.get(family, ())
    blob = np.exp(-((radius / 3) ** 2))
    image = blob * np.array([30, 60, 80, 90])[:, None, None]
    mask = np.where(blob * 30 > 1, LENS_LIGHT, 0)
    for bit, ring in zip((ARC_1, ARC_2), rings, strict=False):
        light = 10 * np.exp(-((radius - ring) ** 2))
        image = image + light * np.array([1.0, 0.5, 0.4, 0.3])[:, None, None]
        mask |= np.where(light > 1, bit, 0)
    noise = np.random.default_rng(seed).normal(size=image.shape)
    return (image + noise) * np.array(EUCLID.sky_sigma)[:, None, None], mask


@pytest.fixture
def root(tmp_path):
    """A repository with a store, a model of random weights and settings; its last lens has no arc above the sky."""
    families = ["lens", *FAMILIES_NON_LENS, "compound_arc", "double_ring", "lens"] * 2 + ["undetectable", "lens"]
    scenes = [make_scene(family, k) for k, family in enumerate(families)]
    images, masks = np.stack([s[0] for s in scenes]), np.stack([s[1] for s in scenes])
    masks[families.index("double_ring")] &= LENS_LIGHT
    splits = ["compound" if f in ("compound_arc", "double_ring") else "test" for f in families[:-1]] + ["train"]
    truth = pd.DataFrame({"index": np.arange(len(families)) + 100, "split": splits, "family": families})
    paths = Paths("tiny", tmp_path)
    paths.images.mkdir(parents=True)
    truth.to_parquet(paths.images / "truth.parquet")
    np.save(paths.images / "images-00000.npy", images.astype(np.float16))
    np.save(paths.images / "masks-00000.npy", masks.astype(np.uint8))
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "bands": [band.name for band in Band],
        "n": len(families),
        "stamp": STAMP,
        "shard_size": 1000,
        "sha256": {file.name: sha256_of(file) for file in sorted(paths.images.iterdir())},
    }
    (paths.images / "manifest.json").write_text(json.dumps(manifest))
    torch.manual_seed(0)
    save_model(paths.model, LensNet(LensNetConfig(width=4)), STAMP)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"explain": {"shared": SETTINGS, "tiny": {}}}))
    return tmp_path


def test_stage_writes_metrics_maps_and_figures(root):
    stage.run("tiny", root)
    paths = Paths("tiny", root)
    result = json.loads(paths.metrics("explain").read_text())
    for method in METHODS:
        for name in ("relevance_mass", "chance", "brightness", "random", "rank_accuracy", "pointing", "times_chance"):
            assert set(result[method][name]) == {"value", "low", "high"}
        assert set(result[method]["families"]) == {"lens", "compound_arc", "double_ring"}
        assert result[method]["n"] + result[method]["n_undefined"] == 6
        assert result[method]["n_undefined"] >= 1  # the double ring without a mask
    assert result["dream"]["towards_lens"]["logit_change"]["value"] > 0
    assert result["dream"]["towards_non_lens"]["logit_change"]["value"] < 0
    assert result["dream"]["towards_lens"]["n"] + result["dream"]["towards_lens"]["n_undefined"] == 6
    assert result["dream"]["towards_lens"]["n_undefined"] >= 1
    assert result["dream"]["random_twin"]["towards_lens_logit_change"] > 0
    assert result["scenes"]["star"] == 2
    assert result["seconds"] > 0
    drawn = {file.name for file in (paths.figures / "explain").iterdir()}
    families = ("lens", *FAMILIES_NON_LENS, "compound_arc", "double_ring")
    dreams = ("lens", "elliptical", "compound_arc", "double_ring", "random-twin")
    assert drawn == {f"occlusion-{f}.png" for f in families} | {f"dream-{d}.png" for d in dreams}
    with np.load(root / "artifacts" / "tiny" / "explain" / "maps.npz") as maps:
        assert maps["occlusion_zero"].shape == (30, 8, 8)
        assert maps["occlusion_sky"].dtype == np.float32
        assert maps["guided_grad_cam"].shape == (30, STAMP, STAMP)
        assert json.loads(str(maps["about"]))["settings"]["window"] == 4
        truth = pd.read_parquet(paths.images / "truth.parquet")
        assert (truth["index"].to_numpy()[maps["position"]] == maps["scene"]).all()
    assert not list(root.rglob("*.part"))


def test_maps_and_dreams_repeat_themselves(root):
    paths, settings, cpu = Paths("tiny", root), ExplainConfig(**SETTINGS), torch.device("cpu")
    model, store = load_model(paths.model), ImageStore.open(paths.images)
    positions = stage.choose_scenes(store.truth, 2, seed=0)
    one, other = (stage.explain(model, store, positions, settings, cpu) for _ in range(2))
    for method in METHODS:
        assert np.array_equal(one.maps[method], other.maps[method])
    assert stage.dream_scenes(model, one, settings, cpu)[0] == stage.dream_scenes(model, other, settings, cpu)[0]


def test_stage_without_model_leaves_no_metrics(root):
    (Paths("tiny", root).model / "model.json").unlink()
    with pytest.raises(FileNotFoundError, match="run the train stage first"):
        stage.run("tiny", root)
    assert not Paths("tiny", root).metrics("explain").exists()


def test_choice_of_scenes_depends_on_seed_and_own_family_only():
    truth = pd.DataFrame(
        {
            "family": ["lens"] * 50 + ["star"] * 50 + ["double_ring"] * 50 + ["lens"] * 50,
            "split": ["test"] * 100 + ["compound"] * 50 + ["train"] * 50,
        }
    )
    chosen = stage.choose_scenes(truth, 5, seed=1)
    assert len(set(chosen)) == 15
    assert chosen.max() < 150
    assert np.array_equal(chosen, stage.choose_scenes(truth, 5, seed=1))
    assert not np.array_equal(chosen, stage.choose_scenes(truth, 5, seed=2))
    without_stars = stage.choose_scenes(truth[truth["family"] != "star"], 5, seed=1)
    assert np.array_equal(without_stars[:5], chosen[:5])
    assert np.array_equal(stage.choose_scenes(truth, 3, seed=1)[:3], chosen[:3])


def test_store_without_test_scenes_is_refused():
    truth = pd.DataFrame({"family": ["lens"], "split": ["train"]})
    with pytest.raises(ValueError, match="simulate some"):
        stage.choose_scenes(truth, 5, seed=1)
