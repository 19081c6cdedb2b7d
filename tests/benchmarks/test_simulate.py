"""What benchmarks/simulate.py says where an accuracy is reached and where it is not."""

import numpy as np
import pytest

import simulate
from conftest import join, random_scene
from lensdream.optics.sampling import Frame


@pytest.mark.parametrize(("theirs", "reached"), [(0.0, 3), (1e6, None)], ids=["as accurate", "never as accurate"])
def test_a_speed_at_equal_accuracy_is_null_where_that_was_not_reached(monkeypatch, theirs, reached):
    frame = Frame(stamp=simulate.CORE, padding=8, supersampling=1, fine_width=16, pixel_scale=0.1)
    scenes = join([random_scene(np.random.default_rng(k), 1, k) for k in range(2)])
    dark = {band: np.zeros((2, frame.stamp, frame.stamp)) for band in simulate.CHECKED}
    monkeypatch.setattr(simulate, "_truth", lambda each, frame: dark)
    monkeypatch.setattr(simulate, "_lenstronomy", lambda *_, **__: np.full((frame.stamp, frame.stamp), theirs))
    monkeypatch.setattr(simulate, "_milliseconds", lambda work, n, repeats: 10.0 if n == len(scenes) else 30.0)
    monkeypatch.setattr(simulate, "_caustics_errors", lambda *_: {})
    found = simulate._accuracy(scenes, frame, 32)
    assert found["supersampling_of_equal_accuracy"] == reached
    assert found["times_as_fast_at_equal_accuracy"] == (3.0 if reached else None)
    assert found["times_as_fast_as_noiseless_fine_9"] == 3.0
