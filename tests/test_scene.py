"""Tables of scenes."""

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from lensdream import config
from lensdream.population import nonlenses
from lensdream.population.builder import to_table
from lensdream.scene import Scenes

SETTINGS = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")


def test_scenes_survive_the_disk_and_can_be_taken(tmp_path, catalogs):
    rng = np.random.default_rng(5)
    scenes = to_table([nonlenses.draw("field", catalogs, "test", rng, SETTINGS) for _ in range(4)])
    scenes.save(tmp_path)
    again = Scenes.load(tmp_path)
    pd.testing.assert_frame_equal(again.components, scenes.components)
    part = again.take([2, 0])
    assert part.scenes["index"].tolist() == [2, 0]
    assert set(part.components["scene"]) <= {0, 2}
    with pytest.raises(ValueError, match="lacks seed"):
        Scenes(scenes.scenes.drop(columns="seed"), scenes.components)
    with pytest.raises(FileNotFoundError, match="run the population stage first"):
        Scenes.load(tmp_path / "elsewhere")
