"""A model folder: its parts, and the digests that tell models apart."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from lensdream.networks.layout import (
    CLASS_PRIOR,
    SETTINGS,
    WEIGHTS,
    digest_of,
    images_trained_on,
    is_model,
    part_files,
    stamp_of,
    training_odds_of,
    weights_digest_of,
)
from lensdream.runtime.files import sha256_of

MODELS = ROOT / "models"
PARTS = ["", "second", "compound"]


@pytest.fixture
def folder(tmp_path):
    """A model of all parts; of what its files hold only the settings are read."""
    for part in PARTS:
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / WEIGHTS).write_text(f"weights {part}")
        (tmp_path / part / SETTINGS).write_text(json.dumps({"stamp": 80, "of": part}))
    (tmp_path / CLASS_PRIOR).parent.mkdir()
    (tmp_path / CLASS_PRIOR).write_text("class prior")
    return tmp_path


def test_the_parts_of_a_model_are_its_networks_and_its_class_prior(folder):
    networks = [Path(part, name) for part in PARTS for name in (WEIGHTS, SETTINGS)]
    assert list(part_files(folder)) == [*networks, CLASS_PRIOR]
    (folder / "second" / SETTINGS).unlink()
    assert not is_model(folder / "second")
    assert list(part_files(folder)) == [*networks[:2], *networks[4:], CLASS_PRIOR]


@pytest.mark.parametrize(
    "part", [*(Path(part, name) for part in PARTS for name in (WEIGHTS, SETTINGS)), CLASS_PRIOR], ids=str
)
def test_every_part_is_in_the_digest(folder, part):
    before = digest_of(folder)
    assert digest_of(folder) == before
    (folder / part).write_text('{"stamp": 81}')
    assert digest_of(folder) != before


def test_files_beside_a_model_are_not_in_its_digest(folder):
    before = digest_of(folder)
    for name in ("operating_points.json", "peers/ou66/model.safetensors", "deep/model.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("else")
    assert digest_of(folder) == before


def test_the_same_networks_in_other_places_are_another_model(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in (WEIGHTS, SETTINGS):
        shutil.copy(folder / name, other)
    (other / "second").mkdir()
    shutil.copytree(folder / "second", other / "compound")
    alone = digest_of(other)
    (other / "second").rmdir()
    (other / "compound").rename(other / "second")
    assert len({digest_of(folder), digest_of(other), alone}) == 3


def test_the_digest_of_the_first_edition_is_of_weights_and_class_prior_alone(folder):
    before = weights_digest_of(folder)
    for part in (SETTINGS, f"second/{SETTINGS}", f"compound/{WEIGHTS}"):
        (folder / part).write_text('{"stamp": 81}')
    assert weights_digest_of(folder) == before
    (folder / CLASS_PRIOR).write_text("another")
    assert weights_digest_of(folder) != before
    shutil.rmtree(folder / "second")
    (folder / CLASS_PRIOR).unlink()
    assert weights_digest_of(folder) == sha256_of(folder / WEIGHTS)


@pytest.mark.parametrize("name", ["operating_points.json", "survey_points.json"])
def test_committed_points_have_the_digest_of_their_model(name):
    """By the key of today, or by that of the first edition."""
    for scale in ("quick", "poster"):
        found = json.loads((MODELS / scale / name).read_text())
        digests = {"model_sha256": digest_of(MODELS / scale), "weights_sha256": weights_digest_of(MODELS / scale)}
        (key,) = found.keys() & digests
        assert found[key] == digests[key]


def test_settings_are_read_where_there_are_some(folder):
    assert (stamp_of(folder), images_trained_on(folder), training_odds_of(folder)) == (80, None, None)
    (folder / SETTINGS).write_text('{"stamp": 66, "images_trained_on": 7, "training_odds": 0.5}')
    assert (stamp_of(folder), images_trained_on(folder), training_odds_of(folder)) == (66, 7, 0.5)


def test_the_layout_of_models_imports_no_torch():
    code = "import sys, lensdream.networks.layout; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
