"""The simulate stage: every scene of the table becomes an image, and the metrics count them."""

import json

import numpy as np
import pytest
import yaml

from conftest import join, random_scene
from lensdream.commands import simulate
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timings_of
from lensdream.dataset.check import problems
from lensdream.dataset.description import parsed
from lensdream.dataset.store import ImageStore
from lensdream.scene import Scenes
from lensdream.tracking.store import open_store, search_runs

RENDERING = {
    "stamp": 32, "padding": 8, "supersampling": 1, "fine_width": 16, "shard_size": 2, "chunk": 2, "workers": 1,
    "renderer": "lensdream",
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"simulate": RENDERING, "scales": {"tiny": {}}}))
    return tmp_path


def test_the_store_has_an_image_a_scene_and_the_metrics_count_them(root):
    paths = Paths("tiny", root)
    join([random_scene(np.random.default_rng(k), k, k) for k in range(3)]).save(paths.scenes)
    simulate.run("tiny", root)
    store = ImageStore.open(paths.images)
    assert store.images(np.arange(3)).shape == (3, 4, 32, 32)
    assert problems(paths.images) == []
    metrics = json.loads(paths.metrics("simulate").read_text())
    assert metrics["n"] == 3
    assert metrics["bytes"] == sum((paths.images / name).stat().st_size for name in store.manifest["sha256"])
    assert set(metrics) == {"n", "bytes"}  # the same whenever it runs
    assert timings_of("tiny", root)["simulate"]["images_per_second"] > 0


def test_the_description_has_the_files_the_settings_and_the_components_and_mlflow_keeps_it(root):
    paths = Paths("tiny", root)
    join([random_scene(np.random.default_rng(k), k, k) for k in range(3)]).save(paths.scenes)
    simulate.run("tiny", root)
    content = paths.manifest("images").read_bytes()
    description = parsed(content, "images.json")
    assert description.files == ImageStore.open(paths.images).manifest["sha256"]
    assert description.settings == {
        name: value for name, value in RENDERING.items() if name not in ("workers", "chunk")
    }
    assert set(description.digests["components"]) == set(Scenes.load(paths.scenes).components)
    run = next(search_runs(open_store(root), stage="simulate", kind="stage"))
    with open(open_store(root).client.download_artifacts(run.info.run_id, "manifests/images.json"), "rb") as file:
        assert file.read() == content


def test_without_scenes_there_are_no_metrics_and_no_description(root):
    with pytest.raises(FileNotFoundError):
        simulate.run("tiny", root)
    assert not Paths("tiny", root).metrics("simulate").exists()
    assert not Paths("tiny", root).manifest("images").exists()
