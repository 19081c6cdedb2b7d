"""The explain stage from a few small scenes to its metrics."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import join, random_scene
from lensdream.commands import explain_study as stage
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timings_of
from lensdream.config import ExplainConfig, SimulateConfig
from lensdream.dataset.store import ImageStore
from lensdream.dataset.write import write_store
from lensdream.evaluate.explanations import run_dreams
from lensdream.evaluate.explanations.explained_set import choose_scenes, explain
from lensdream.families import FAMILIES_NON_LENS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.render.batch import LENS_LIGHT
from lensdream.scene import Scenes

STAMP = 32


RENDERING = {
    "stamp": STAMP, "padding": 8, "supersampling": 1, "fine_width": 16, "shard_size": 1000, "chunk": 16, "workers": 1,
    "renderer": "lensdream",
}  # fmt: skip


METHODS = ("occlusion_zero", "occlusion_sky", "guided_grad_cam", "integrated_gradients")


SETTINGS = {
    "seed": 4, "window": 4, "stride": 4, "sky_window": 8, "sky_stride": 4, "chunk": 32, "dream_steps": 2,
    "dream_octaves": 2, "dream_octave_scale": 1.4,
    "dream_jitter": 2, "dream_step_size": 0.25, "figures_per_family": 1, "scenes_per_family": 2, "sanity_scenes": 2,
    "removal_steps": 3, "dream_scenes": 6, "channel_scenes": 12,
}  # fmt: skip


def make_scenes(families: list[str]) -> Scenes:
    """A scene of each family, all of its parameters drawn; the last of the training split."""
    rng, scenes = np.random.default_rng(0), []
    for index, family in enumerate(families):
        sources = {"lens": 1, "undetectable": 1, "compound_arc": 2, "double_ring": 2}.get(family, 0)
        scene = random_scene(rng, sources, index)
        compound, last = family in ("compound_arc", "double_ring"), index == len(families) - 1
        split = "train" if last else "compound" if compound else "test"
        scenes.append(Scenes(scene.scenes.assign(family=family, split=split), scene.components))
    return join(scenes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository with scenes, a store, a model of random weights and settings; a double ring lost its mask."""
    root = tmp_path_factory.mktemp("made")
    families = ["lens", *FAMILIES_NON_LENS, "compound_arc", "double_ring", "lens"] * 2 + ["undetectable", "lens"]
    scenes, paths = make_scenes(families), Paths("tiny", root)
    scenes.save(paths.scenes)
    write_store(scenes, SimulateConfig(**RENDERING), paths.images)
    masks = np.load(paths.images / "masks-00000.npy")
    masks[families.index("double_ring")] &= LENS_LIGHT
    np.save(paths.images / "masks-00000.npy", masks)
    torch.manual_seed(0)
    save_model(paths.model, LensNet(LensNetConfig(width=4)), STAMP)
    settings = {"explain": SETTINGS, "simulate": RENDERING, "scales": {"tiny": {}}}
    (root / "params.yaml").write_text(yaml.safe_dump(settings))
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of it that a test may change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_stage_writes_metrics_maps_and_figures(root):
    stage.run("tiny", root)
    paths = Paths("tiny", root)
    result = json.loads(paths.metrics("explain").read_text())
    for method in METHODS:
        for name in (
            "relevance_mass",
            "chance",
            "brightness",
            "random",
            "rank_accuracy",
            "pointing",
            "times_chance",
            "times_brightness",
        ):
            assert set(result[method][name]) == {"value", "low", "high"}
        assert set(result[method]["families"]) == {"lens", "compound_arc", "double_ring"}
        assert result[method]["n"] + result[method]["n_undefined"] == 6
        assert result[method]["n_undefined"] >= 1  # the double ring without a mask
    ablation = result["ablation"]
    assert set(ablation["components"]) >= {"lens", "compound_arc", "double_ring", "non_lenses"}
    assert set(ablation["components"]["lens"]) >= {"arcs", "source_1", "target", "neighbours"}
    assert ablation["components"]["double_ring"]["source_2"]["n"] == 2
    at_once = {"covered_at_once_zero", "covered_at_once_sky"}
    assert set(ablation["rank_correlation"]) == {*METHODS, "brightness", "random", "area", *at_once}
    assert set(ablation["source_2_first"]) == {"compound_arc", "double_ring"}
    assert set(result["removal"]) == {"n", *METHODS, "brightness", "random"}
    assert set(result["removal"]["brightness"]) == {"most_first", "least_first", "gap"}
    assert result["sanity"]["n"] == 2
    layers = ["head", "block_3", "block_2", "block_1", "stem"]
    for method in ("occlusion_sky", "guided_grad_cam", "integrated_gradients"):
        assert list(result["sanity"][method]) == layers
    for network in ("trained", "random_weights", "colours_of_galaxies"):
        dreamt = result["dream"][network]
        assert dreamt["towards_lens"]["logit_change"]["value"] > 0 > dreamt["towards_non_lens"]["logit_change"]["value"]
        assert dreamt["towards_lens"]["n"] + dreamt["towards_lens"]["n_undefined"] == 6
        assert dreamt["towards_lens"]["n_undefined"] >= 1
        assert set(dreamt["towards_lens"]["families"]) == {"lens", "compound_arc", "double_ring"}
        assert set(dreamt["between_ways"]) == {"value", "low", "high"}
    assert {layer: block["n_channels"] for layer, block in result["kernels"].items()} == {"stem": 2, "block_3": 16}
    table = pd.read_csv(root / "artifacts" / "tiny" / "explain" / "channels.csv")
    assert len(table) == 18
    assert table["effect"].max() > 0
    assert result["scenes"]["star"] == 2
    assert "seconds" not in result
    assert timings_of("tiny", root)["explain"]["seconds"] > 0
    drawn = {file.name for file in (paths.figures / "explain").iterdir()}
    families = ("lens", *FAMILIES_NON_LENS, "compound_arc", "double_ring")
    run_dreams = ("lens", "elliptical", "compound_arc", "double_ring", "random-twin", "from-sky", "colour")
    ablations = {f"ablation-{f}.png" for f in ("lens", "compound_arc", "double_ring")} | {
        "ablation.png",
        "sanity.png",
        "removal.png",
        "kernels.png",
        "kernels-stem.png",
        "kernels-block_3.png",
    }
    assert drawn == {f"occlusion-{f}.png" for f in families} | {f"dream-{d}.png" for d in run_dreams} | ablations
    with np.load(root / "artifacts" / "tiny" / "explain" / "maps.npz") as maps:
        assert maps["occlusion_zero"].shape == (30, 8, 8)
        assert maps["occlusion_sky"].dtype == np.float32
        assert maps["occlusion_sky"].shape == (30, 7, 7)
        assert maps["corner_y_sky"].tolist() == list(range(0, 25, 4))
        assert maps["guided_grad_cam"].shape == (30, STAMP, STAMP)
        assert json.loads(str(maps["about"]))["settings"]["window"] == 4
        truth = pd.read_parquet(paths.images / "truth.parquet")
        assert (truth["index"].to_numpy()[maps["position"]] == maps["scene"]).all()
    assert not list(root.rglob("*.part"))


def test_maps_and_dreams_repeat_themselves(root):
    paths, settings, cpu = Paths("tiny", root), ExplainConfig(**SETTINGS), torch.device("cpu")
    model, store = load_model(paths.model), ImageStore.open(paths.images)
    positions = choose_scenes(store.truth, 2, seed=0)
    one, other = (explain(model, store, positions, settings, cpu) for _ in range(2))
    for method in METHODS:
        assert np.array_equal(one.maps[method], other.maps[method])
    assert run_dreams.run(model, store, settings, cpu)[0] == run_dreams.run(model, store, settings, cpu)[0]


def test_stage_without_model_leaves_no_metrics(root):
    (Paths("tiny", root).model / "model.json").unlink()
    with pytest.raises(FileNotFoundError, match="run the train stage first"):
        stage.run("tiny", root)
    assert not Paths("tiny", root).metrics("explain").exists()


def test_images_of_other_scenes_are_refused(root):
    paths = Paths("tiny", root)
    scenes = Scenes.load(paths.scenes)
    Scenes(scenes.scenes.assign(seed=scenes.scenes["seed"] + 1), scenes.components).save(paths.scenes)
    with pytest.raises(ValueError, match="run the population and simulate stages again"):
        stage.run("tiny", root)
    assert not paths.metrics("explain").exists()
