"""The registry: versions by their weights, aliases, and what is refused."""

import shutil

import pytest
import torch

from lensdream.networks.layout import SETTINGS, WEIGHTS, digest_of
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.tracking.registry import CHAMPION, PREVIOUS, has_champion, pull, register


def saved(folder, seed):
    torch.manual_seed(seed)
    save_model(folder, LensNet(LensNetConfig(4)), 32)
    return folder


def test_equal_weights_are_one_version_and_a_second_champion_makes_the_first_previous(root, tmp_path):
    one, other = (saved(tmp_path / name, seed) for seed, name in enumerate("ab"))
    first = register(one, "quick", root=root, promote=True)
    assert (first.version, first.created, first.weights_sha256) == (1, True, digest_of(one))
    assert first.aliases == ("candidate", "candidate-quick", CHAMPION)
    again = register(one, "quick", root=root, promote=False)
    assert (again.version, again.created) == (1, False)
    assert CHAMPION in again.aliases
    second = register(other, "poster", root=root, promote=True)
    assert (second.version, second.created) == (2, True)
    assert second.aliases == ("candidate", "candidate-poster", CHAMPION)
    assert digest_of(pull(root=root)) == digest_of(pull("2", root=root)) == digest_of(other)
    assert digest_of(pull(PREVIOUS, root=root)) == digest_of(pull("models:/lensdream/1", root=root)) == digest_of(one)


def test_within_a_dvc_experiment_no_model_becomes_champion(root, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    assert CHAMPION not in register(saved(tmp_path / "a", 0), "quick", root=root, promote=True).aliases
    assert not has_champion(root)
    with pytest.raises(
        LookupError, match=r"it has: candidate, candidate-quick, 1; .* passes the gate becomes champion"
    ):
        pull(root=root)


def test_an_untrained_folder_is_not_registered(root, tmp_path):
    folder = saved(tmp_path / "a", 0)
    (folder / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{WEIGHTS}.*run the train stage first"):
        register(folder, "quick", root=root, promote=True)
    assert (folder / SETTINGS).exists()
    assert not has_champion(root)


def test_without_a_database_the_remedy_is_to_register(tmp_path):
    with pytest.raises(LookupError, match="no model 'champion': nothing is registered; run `lensdream register`"):
        pull(root=tmp_path)


def test_files_that_are_gone_are_told(root, tmp_path):
    register(saved(tmp_path / "a", 0), "quick", root=root, promote=True)
    shutil.rmtree(pull(root=root))
    with pytest.raises(LookupError, match="the files of version 1 are gone from .*: register the model again"):
        pull(root=root)
