"""A lock that was cut off is noticed; every other change of it is DVC's and the user's."""

import subprocess

import pytest
import yaml

from lensdream.runtime.dvc_lock import lost_stages, require_whole

STAGES = {
    name: {"cmd": f"lensdream {name}", "outs": [{"path": f"artifacts/{name}"}]}
    for name in ("population", "train@lensnet", "evaluate")
}


def git(folder, *arguments):
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


def written(stages):
    return yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)


@pytest.fixture
def root(tmp_path):
    """A repository with the locks of two scales in its last commit."""
    for folder in (tmp_path, tmp_path / "scales" / "poster"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dvc.lock").write_text(written(STAGES))
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"population": {}, "train": {}, "evaluate": {}}}))
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "locks")
    return tmp_path


def test_a_whole_lock_lacks_nothing(root):
    assert lost_stages(root) == {}
    require_whole(root)


@pytest.mark.parametrize("folder", ["", "scales/poster/"])
def test_stages_that_were_cut_off_are_named_with_the_remedy(folder, root):
    lock = root / f"{folder}dvc.lock"
    lock.write_text(written({"population": STAGES["population"]}))
    assert lost_stages(root) == {f"{folder}dvc.lock": ["train@lensnet", "evaluate"]}
    with pytest.raises(
        ValueError, match=rf"{folder}dvc.lock lacks train@lensnet, evaluate, .*`git checkout {folder}dvc.lock`"
    ):
        require_whole(root)


def test_a_lock_cut_off_within_a_line_lacks_all_of_its_stages(root):
    text = (root / "dvc.lock").read_text()
    (root / "dvc.lock").write_text(text[:-4] + "\n  'x")
    assert lost_stages(root) == {"dvc.lock": list(STAGES)}


def test_a_stage_cut_off_before_its_outputs_is_lost(root):
    (root / "dvc.lock").write_text(written(STAGES | {"evaluate": {"cmd": STAGES["evaluate"]["cmd"]}}))
    assert lost_stages(root) == {"dvc.lock": ["evaluate"]}


def test_an_empty_lock_lacks_all_of_its_stages(root):
    (root / "dvc.lock").write_text("")
    assert lost_stages(root) == {"dvc.lock": list(STAGES)}


def test_a_lock_that_was_removed_and_stages_that_dvc_yaml_lost_are_the_user_s_wish(root):
    (root / "dvc.lock").unlink()
    (root / "scales" / "poster" / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"population": {}}}))
    (root / "scales" / "poster" / "dvc.lock").write_text(written({"population": STAGES["population"]}))
    assert lost_stages(root) == {}


def test_without_git_nothing_is_known_to_be_lost(tmp_path):
    (tmp_path / "dvc.lock").write_text("")
    assert lost_stages(tmp_path) == {}
