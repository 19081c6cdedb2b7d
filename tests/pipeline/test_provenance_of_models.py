"""The poster's frozen trainings against `models/poster/provenance.yaml`, which says what really ran."""

import hashlib
import json

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from lensdream.runtime.files import sha256_of

SCALE = "poster"
FOLDER = ROOT / "models" / SCALE
PROVENANCE = FOLDER / "provenance.yaml"
KINDS = "train-kinds@poster"
"""a regression: neither epochs nor a model.json"""
FACTS = {"where", "command", "code", "made", "device", "store", "images", "epochs", "seconds", "seed", "evidence"}


def blocks():
    return yaml.safe_load(PROVENANCE.read_text())


def generated():
    """The stages of `dvc.yaml` under the names that DVC gives them: definition, with `${item}` filled in."""
    found = {}
    for group, written in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        items = written.get("foreach") or written["matrix"]["scale"]
        for name in items:
            item = items[name] if isinstance(items, dict) else name
            text = json.dumps(written.get("do", written))
            for key, value in item.items() if isinstance(item, dict) else ():
                text = text.replace(f"${{item.{key}}}", value)
            found[f"{group}@{name}"] = json.loads(text.replace("${item}", name).replace("${item.scale}", name))
    return found


def frozen():
    return {name: stage for name, stage in generated().items() if stage.get("frozen")}


def paths(outputs):
    return [next(iter(output)) if isinstance(output, dict) else output for output in outputs]


def metrics_of(name):
    (path,) = paths(frozen()[name]["metrics"])
    return json.loads((ROOT / path).read_text())


trainings = pytest.mark.parametrize("name", sorted(blocks()))


def test_the_frozen_stages_and_no_others_have_a_block():
    assert set(blocks()) == set(frozen())


def test_every_training_of_the_poster_is_frozen_and_none_of_the_quick_scale():
    assert set(frozen()) == {name for name in generated() if name.startswith("train") and "@poster" in name}


@trainings
def test_a_block_has_all_facts_and_the_command_of_its_stage(name):
    block = blocks()[name]
    assert set(block) >= FACTS
    assert all(block[fact] not in (None, "", []) for fact in FACTS)
    assert block["files"]
    assert block["where"] in ("pipeline", "elsewhere")
    assert block["command"].startswith("lensdream ") == (block["where"] == "pipeline")
    assert block["command"] == frozen()[name]["cmd"]
    assert frozen()[name]["deps"] == [PROVENANCE.relative_to(ROOT).as_posix()]


@trainings
def test_the_digests_are_those_of_the_models(name):
    files = blocks()[name]["files"]
    for file, digest in files.items():
        assert sha256_of(FOLDER / file) == digest, f"{name}: {file} is another one than the provenance describes"
    made = [ROOT / path for path in paths(frozen()[name]["outs"]) if path.startswith("models/")]
    there = [file for path in made for file in ([path] if path.is_file() else path.iterdir())]
    assert {file.relative_to(FOLDER).as_posix() for file in there} == set(files)


@trainings
def test_images_epochs_and_seconds_are_those_of_the_metrics(name):
    block, metrics = blocks()[name], metrics_of(name)
    assert block["seconds"] == metrics["seconds"]
    if name == KINDS:
        drawn_of_each = block["images_drawn"] / len(metrics["let_through"])
        assert block["images"] == round(sum(metrics["let_through"].values()) * drawn_of_each)
        return
    assert {key: metrics[key] for key in ("epochs", "best_epoch", "images_an_epoch")} == {
        key: block[key] for key in ("epochs", "best_epoch", "images_an_epoch")
    }
    (curves,) = (path for path in paths(frozen()[name]["outs"]) if path.endswith(".csv"))
    assert len(pd.read_csv(ROOT / curves)) == block["epochs"]
    (model,) = (file for file in block["files"] if file.endswith("model.json"))
    assert json.loads((FOLDER / model).read_text())["images_trained_on"] == block["images"]


def test_the_lock_ties_the_outputs_to_this_provenance():
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    digest = hashlib.md5(PROVENANCE.read_bytes(), usedforsecurity=False).hexdigest()
    for name, stage in frozen().items():
        (dependency,) = stages[name]["deps"]
        assert dependency["md5"] == digest, f"`dvc commit --force {name}` registers a changed provenance"
        assert stages[name]["cmd"] == stage["cmd"]
        assert {output["path"] for output in stages[name]["outs"]} == set(paths(stage["outs"] + stage["metrics"]))
