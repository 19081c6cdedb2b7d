"""The networks that the poster scale is given, against `models/poster/provenance.yaml`, which says what really ran."""

import json

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from lensdream import config
from lensdream.runtime.files import sha256_of
from lensdream.train.recipes import CLASS_PRIOR, RECIPES

SCALE = "poster"
FOLDER = ROOT / "models" / SCALE
FACTS = {"where", "command", "code", "made", "device", "store", "images", "epochs", "seconds", "seed", "evidence"}
BLOCKS = yaml.safe_load((FOLDER / "provenance.yaml").read_text())
SETTINGS_OF_TODAY = {
    name: RECIPES[name].read_settings(SCALE, ROOT / "params.yaml") for name in BLOCKS if name != CLASS_PRIOR
}


def metrics_of(name):
    stage = "class-prior" if name == CLASS_PRIOR else RECIPES[name].stage
    return json.loads((ROOT / "metrics" / SCALE / f"{stage}.json").read_text())


def test_every_given_network_and_no_other_has_a_block():
    assert set(BLOCKS) == set(config.models(SCALE, ROOT / "params.yaml").given)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_has_all_facts(name):
    block = BLOCKS[name]
    assert set(block) >= FACTS
    assert all(block[fact] not in (None, "", []) for fact in FACTS)
    assert block["files"]
    assert block["where"] in ("pipeline", "elsewhere")
    assert block["command"].startswith("lensdream ") == (block["where"] == "pipeline")


@pytest.mark.parametrize("name", BLOCKS)
def test_the_digests_are_those_of_the_models(name):
    files = BLOCKS[name]["files"]
    for file, digest in files.items():
        assert sha256_of(FOLDER / file) == digest, f"{name}: {file} is another one than the provenance describes"
    folder = FOLDER / next(iter(files))
    there = {file for file in folder.parent.iterdir() if file.suffix == ".safetensors"}
    assert there == {FOLDER / file for file in files if file.endswith(".safetensors")}


@pytest.mark.parametrize("name", SETTINGS_OF_TODAY)
def test_images_epochs_and_seed_are_those_of_metrics_model_and_settings(name):
    block, metrics, settings = BLOCKS[name], metrics_of(name), SETTINGS_OF_TODAY[name]
    for fact in ("epochs", "best_epoch", "images_an_epoch", "seconds"):
        assert metrics[fact] == block[fact]
    assert (settings.fit.epochs, settings.fit.seed) == (block["epochs"], block["seed"])
    curves = ROOT / "metrics" / SCALE / f"{RECIPES[name].stage.replace('train', 'epochs')}.csv"
    assert len(pd.read_csv(curves)) == block["epochs"]
    model = json.loads((FOLDER / RECIPES[name].folder / "model.json").read_text())
    assert model["images_trained_on"] == block["images"]


def test_the_images_of_the_class_prior_are_those_that_passed():
    block, metrics = BLOCKS[CLASS_PRIOR], metrics_of(CLASS_PRIOR)
    assert block["seconds"] == metrics["seconds"]
    drawn_of_each = block["images_drawn"] / len(metrics["let_through"])
    assert block["images"] == round(sum(metrics["let_through"].values()) * drawn_of_each)
