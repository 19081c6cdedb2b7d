"""Operating points, written and read."""

import pytest

from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints


def test_operating_points_travel(tmp_path):
    points = OperatingPoints({"fpr_1e-2": 1.5}, 1.2, merit=0.7)
    operating_points.write(tmp_path, points)
    assert operating_points.read(tmp_path) == operating_points.read_best(tmp_path) == points
    with pytest.raises(FileNotFoundError, match="run the evaluate stage"):
        operating_points.read(tmp_path / "none")
