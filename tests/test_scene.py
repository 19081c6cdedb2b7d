"""Tables of scenes."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from conftest import ROOT
from lensdream import config
from lensdream.families import LENS, TEST
from lensdream.population import nonlenses
from lensdream.population.builder import to_table
from lensdream.population.drawing import Chunk, SceneDrawer
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


@pytest.fixture
def with_partners(catalogs):
    """Twenty lenses, each with the elliptical that shares its deflector and neighbours."""
    return SceneDrawer.start(SETTINGS, catalogs).draw(Chunk(LENS, TEST, 0, n=20, controls=20))


def test_the_disk_changes_no_value_and_no_type_of_number(tmp_path, with_partners):
    with_partners.save(tmp_path)
    again = Scenes.load(tmp_path)
    pd.testing.assert_frame_equal(again.components, with_partners.components, check_exact=True)
    text = {"split": str, "family": str}
    pd.testing.assert_frame_equal(again.scenes, with_partners.scenes.astype(text), check_exact=True)
    assert again.scenes["theta_E_1"].dtype == np.float64
    assert again.scenes["z_source_2"].isna().all()


def test_tables_on_disk_take_less_room_than_by_the_defaults_of_pandas(tmp_path, with_partners):
    with_partners.save(tmp_path)
    for name, table in (("scenes", with_partners.scenes), ("components", with_partners.components)):
        table.to_parquet(tmp_path / "default.parquet", index=False)
        assert numbers_of(tmp_path / f"{name}.parquet") < 0.9 * numbers_of(tmp_path / "default.parquet")


def numbers_of(path):
    """Bytes of the columns of numbers, without the text around them that grows with no scene."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = (group.column(k) for k in range(group.num_columns))
    return sum(column.total_compressed_size for column in columns if column.physical_type == "DOUBLE")
