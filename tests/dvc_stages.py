"""Stages of DVC's files and locks of the repository, as DVC has them; several test files share them."""

import json

import yaml

from conftest import ROOT


def lock(scale):
    """Stages of the lock of a scale."""
    path = ROOT / "dvc.lock" if scale == "quick" else ROOT / "scales" / scale / "dvc.lock"
    return yaml.safe_load(path.read_text())["stages"]


def generated(scale):
    """Stages of a scale under the names that DVC gives them: definition, with the items filled in."""
    file = ROOT / "dvc.yaml" if scale == "quick" else ROOT / "scales" / scale / "dvc.yaml"
    found = {}
    for name, stage in yaml.safe_load(file.read_text())["stages"].items():
        items = stage.get("foreach", {"": {}})
        for key, item in items.items() if isinstance(items, dict) else ((each, {}) for each in items):
            text = json.dumps(stage.get("do", stage)).replace("${key}", key)
            for part, value in item.items():
                text = text.replace(f"${{item.{part}}}", value)
            found[f"{name}@{key}" if key else name] = json.loads(text)
    return found


def outs_of(stage):
    """Paths of the outputs of a stage."""
    return [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"] + stage.get("metrics", [])]
