"""Every benchmark runs as its text says: at its defaults, on little; what asks for a GPU or a survey gets a processor and toys.

Benchmarks run in a folder that looks like the repository after both scales: a few small scenes stand for their stores.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT, join, random_scene
from lensdream.commands.paths import Paths
from lensdream.config import SimulateConfig, load
from lensdream.cutouts.export import write_cutout
from lensdream.dataset.store import ImageStore
from lensdream.dataset.write import write_store
from lensdream.families import FAMILIES_NON_LENS
from lensdream.instrument import EUCLID, Band
from lensdream.networks.layout import digest_of
from lensdream.scene import Scenes

BENCHMARKS = ROOT / "benchmarks"
SCALES = ("quick", "poster")
FIRST_EDITION = "eef0897"
NO_COMMANDS = {"caustics_peer", "tiny_pipeline"}
"""imported by others alone"""
TAKES_AN_HOUR = {"kills"}
"""what it does at each kill is tested by tests/pipeline/test_dvc.py"""
SPLITS = [("train", "lens"), ("train", "elliptical"), ("validation", "lens"), ("validation", "star"), ("test", "lens")]
SPLITS += [("test", family) for family in FAMILIES_NON_LENS] + [
    ("compound", "double_ring"),
    ("compound", "compound_arc"),
]
SOURCES = {"lens": 1, "double_ring": 2, "compound_arc": 2, "matched_single": 1}


def settings():
    """Settings of the repository with small images, few scenes and a small sky."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["population"]["sky_area"] = 0.02
    params["simulate"] |= {"workers": 1, "stamp": 32, "fine_width": 32}
    for scale in SCALES:
        params["scales"][scale]["deep"]["fresh"] |= {"scenes": 8, "targets": 8}
    params["scales"]["poster"]["lensnet"] |= {"hard_negatives": 0, "hard_rounds": 0}
    for blocks in (params, *(params["scales"][scale] for scale in SCALES)):
        for name in ("lensnet", "ou66", "deep"):
            fit = blocks[name].get("fit", {})
            fit |= {"batch_size": 2} if "batch_size" in fit else {}
            fit |= {"threads": 1} if "threads" in fit else {}
    return params


def scenes():
    """Two scenes of each split and family, every parameter drawn; a single lens beside each double ring."""
    rng, found = np.random.default_rng(3), []
    splits = [*SPLITS * 2, ("compound", "matched_single"), ("compound", "matched_single")]
    for index, (split, family) in enumerate(splits):
        scene = random_scene(rng, SOURCES.get(family, 0), index)
        partner = splits.index(("compound", "double_ring")) if family == "matched_single" else -1
        columns = {"family": family, "split": split, "partner": partner, "label": int(family in SOURCES)}
        found.append(Scenes(scene.scenes.assign(**columns), scene.components))
    return join(found)


def scores(truth):
    """The table of logits that the evaluate stage leaves: plain lenses, and non-lenses of which half get a second look."""
    label = truth["label"].to_numpy()
    first = np.where(label == 1, 6.0, np.where(np.arange(len(label)) % 2, -1.0, -9.0))
    return truth[["family", "split", "label"]].assign(logit=2.0 * first, logit_alone=first, logit_one_look=first)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with settings, models, and the files that stages leave at both scales."""
    root = tmp_path_factory.mktemp("place")
    (root / "params.yaml").write_text(yaml.safe_dump(settings()))
    (root / "models").symlink_to(ROOT / "models")
    drawn = scenes()
    for scale in SCALES:
        paths = Paths(scale, root)
        drawn.save(paths.scenes)
        write_store(drawn, load("simulate", SimulateConfig, scale, root / "params.yaml"), paths.images)
        paths.scores.mkdir(parents=True)
        scores(drawn.scenes).to_parquet(paths.scores / "test.parquet")
        paths.survey.mkdir(parents=True)
        atlas = pd.DataFrame({"family": ["elliptical"] * 3 + ["star"], "flux_source_1_VIS": [0.0, 1.0, 2.0, 0.0]})
        atlas.to_parquet(paths.survey / "atlas.parquet")
    sky = np.array(EUCLID.sky_sigma)[:, None, None] * np.random.default_rng(4).normal(size=(2, 4, 100, 100))
    for k, image in enumerate(sky):
        write_cutout(root / "cutouts" / f"sky-{k}.fits", image, f"sky {k}")
    return root


def run(place, name, *arguments, where=None):
    """What a benchmark prints; it ends well and leaves no warning of a mean of nothing."""
    paths = [str(ROOT / "src"), str(BENCHMARKS), os.environ.get("PYTHONPATH", "")]
    ended = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments],
        cwd=where or place, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "Mean of empty" not in ended.stderr
    return ended.stdout


def last_object(printed):
    """The JSON object that ends what was printed."""
    return json.loads(printed[max(0, printed.rfind("\n{\n") + 1) :])


def test_every_benchmark_is_run_here():
    text = Path(__file__).read_text()
    names = {path.stem for path in BENCHMARKS.glob("*.py")} - NO_COMMANDS - TAKES_AN_HOUR
    assert {name for name in names if f'"{name}"' not in text} == set()


def test_architecture_names_rooms_and_floors(place):
    printed = run(place, "architecture", where=ROOT)
    assert "circles of rooms: 0" in printed
    assert printed.startswith("floor ")


def test_controls_counts_both(place):
    printed = run(place, "controls")
    assert "early types among the highest-scoring non-lenses: 3, of which 1 have no source" in printed


def test_gate_has_a_row_for_each_kind(place):
    rows = [line.split("  ")[0] for line in run(place, "gate", "--images", "2").splitlines()[1:]]
    assert rows == ["double_ring", "compound_arc", "matched to double rings", "test lenses", "test non-lenses"]


def test_second_looks_has_every_weight_for_every_split_and_both_speeds(place):
    printed = run(place, "second_looks", "--images", "4").splitlines()
    assert sum(line.split()[:1] in (["test"], ["compound"]) for line in printed) == 14
    assert [line.split()[0] for line in printed[-2:]] == ["first", "second"]
    assert all(line.endswith("images/s") for line in printed[-2:])


def test_half_weights_changes_no_logit_of_the_quick_finder_by_more_than_the_bound(place):
    found = last_object(run(place, "half_weights"))
    assert set(found["networks"]) == {".", "compound", "finder", "compound classifier"}
    assert all(row["largest_change"] <= found["bound"] for row in found["networks"].values())
    assert found["written"] is False


def test_windows_has_a_row_for_each_square(place):
    rows = [line.split() for line in run(place, "windows", "--scenes", "1", "--threads", "1").splitlines()]
    assert [row[:2] for row in rows[1:]] == [["2", "2"], ["3", "3"], ["4", "4"], ["4", "2"], ["6", "3"], ["8", "4"],
                                             ["12", "4"]]  # fmt: skip


def test_noise_finds_the_scatter_of_white_sky(place):
    found = last_object(run(place, "noise", "cutouts", "--pieces", "1"))
    assert found["cutouts"] == 2
    assert found["within_bound"] is False  # white where the simulated sky is correlated
    for band, sigma in zip(Band, EUCLID.sky_sigma, strict=True):
        assert found[f"{band.name}_sigma_real"] == pytest.approx(sigma, rel=0.05)


def test_point_spread_finds_the_surveys_own_profile_in_exported_files(place):
    found = last_object(run(place, "point_spread", "cutouts"))
    # exported profiles lack the detector's pixels, which are wide in the near infrared: only their wings are alike
    widest = max(name.split("_")[2] for name in found)
    for name, ratio in found.items():
        if name.endswith("_ratio") and (name.startswith("VIS") or name.split("_")[2] == widest):
            assert ratio == pytest.approx(1.0, abs=0.1)


def test_occlusion_agrees_with_captum(place):
    found = last_object(run(place, "occlusion", "--images", "1", "--passes", "1"))
    differences = [value for name, value in found.items() if "difference" in name]
    assert differences
    assert max(differences) < 1e-3


@pytest.mark.slow
def test_score_reads_what_plain_astropy_reads(place):
    found = last_object(run(place, "score", "--files", "3"))
    assert (found["n"], found["side_pixels"]) == (3, 150)
    assert found["largest_difference_from_astropy_microjansky"] < 1e-6
    assert all(value > 0 for name, value in found.items() if name.endswith("_second"))


@pytest.mark.slow
def test_simulate_ends_with_one_object_of_its_figures(place):
    found = last_object(run(place, "simulate", "--scenes", "8", "--throughput", "4"))
    assert found["throughput_images"] == 4
    assert found["seconds_for_80000_are"] == "extrapolated from 4 images"
    assert found["agreement_float64_worst_of_peak"] < 1e-8
    assert found["ms_ours_lens"] > 0
    assert found["error_ours_VIS_median_sky_sigmas"] < 1


@pytest.mark.slow
def test_gpu_measures_speeds_on_a_processor(place):
    found = last_object("\n" + run(place, "gpu", "speed", "--device", "cpu", "--images", "8"))
    assert found["device"] == "cpu"
    assert found["worst_difference_from_cpu_in_sky_sigma"] == 0
    assert sum(name.endswith("_scored_images_per_second") for name in found) == 2
    assert all(value > 0 for name, value in found.items() if "per_second" in name)


@pytest.mark.slow
def test_gpu_renders_a_store_and_trains_on_it_on_a_processor(place, tmp_path):
    here = ["--device", "cpu", "--root", str(tmp_path), "--images-in", str(tmp_path / "store")]
    run(place, "gpu", "render", "--workers", "1", *here)
    rendered, stored = (ImageStore.open(folder) for folder in (tmp_path / "store", Paths("poster", place).images))
    everything = np.arange(len(stored))
    np.testing.assert_array_equal(rendered.images(everything), stored.images(everything))
    assert "1 epochs" in run(place, "gpu", "train", "--seconds", "1", *here)
    assert [path.parent.name for path in tmp_path.rglob("model.safetensors")] == ["ou66"]


@pytest.mark.slow
def test_gpu_second_trains_on_the_scenes_of_passing_scenes(place, tmp_path):
    out, trained = tmp_path / "scenes", tmp_path / "trained"
    run(place, "passing_scenes", "--out", str(out), "--parts", "2")
    assert set(json.loads((out / "counts.json").read_text())) == {"lenses", "non_lenses"}
    folders = [str(out / name) for name in ("part-0", "part-1", "validation")]
    images = ["--images-in", str(tmp_path / "images"), "--device", "cpu"]
    run(place, "gpu_second", "draw", *folders, "--workers", "1", *images)
    for name in ("part-0", "part-1", "validation"):
        labels = tmp_path / "images" / f"{name}-labels.npy"
        assert len(np.load(labels)) == len(Scenes.load(out / name).scenes)
    shutil.copytree(place / "models" / "poster", trained / "models" / "poster")
    before = digest_of(trained / "models" / "poster" / "deep")
    more = ["--root", str(trained), "--counts", str(out / "counts.json")]
    printed = run(place, "gpu_second", "train", "--seconds", "1", *more, *images)
    assert "1 epochs" in printed
    assert digest_of(trained / "models" / "poster" / "deep") != before


@pytest.mark.slow
def test_designs_has_a_row_a_design(place):
    found = last_object(run(place, "designs", "--minutes", "0.005", "--epochs", "1", "--threads", "1"))
    assert {"LensNet", "plain", "ResNet-18"} <= set(found)
    assert all(row["parameters"] > 0 and 0 <= row["auroc"] <= 1 for row in found.values())


@pytest.mark.slow
def test_revisions_gives_the_first_editions_logits(place):
    known = subprocess.run(["git", "cat-file", "-e", f"{FIRST_EDITION}^{{commit}}"], cwd=ROOT, check=False)
    if known.returncode:
        pytest.skip(f"no commit {FIRST_EDITION} in this clone")
    store = Paths("quick", place).images
    found = last_object(run(place, "revisions", "--store", str(store), "--images", "2", where=ROOT))
    assert found["n"] == 2
    assert max(found["largest_difference"].values()) < 1e-3
