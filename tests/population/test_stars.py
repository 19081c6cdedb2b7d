"""Stars."""

import numpy as np
import pytest

from lensdream.instrument import microjansky
from lensdream.population.builder import POINT_R_E, empty_scene, to_table
from lensdream.population.stars import FAINTEST_SPIKED, add_star
from lensdream.scene import Role


def test_only_bright_stars_have_spikes_the_same_in_all_bands():
    for magnitude in (FAINTEST_SPIKED - 2.0, FAINTEST_SPIKED + 1.0):
        builder = empty_scene("star", 0, "test", np.random.default_rng(1))
        add_star(builder, Role.TARGET, 0.0, 0.0, magnitude, 0.2, np.random.default_rng(2))
        parts = to_table([builder]).components
        point, spikes = parts[parts["q"] == 1.0], parts[parts["q"] < 0.1]
        assert len(point) == 1
        assert point["r_e"].item() == POINT_R_E
        assert len(spikes) == (6 if magnitude < FAINTEST_SPIKED else 0)
        assert parts["flux_VIS"].sum() == pytest.approx(microjansky(magnitude))
        if len(spikes):
            in_vis = spikes["flux_VIS"] > 0
            assert sorted(spikes.loc[in_vis, "phi"]) == pytest.approx([0.2, 0.2 + np.pi / 3, 0.2 + 2 * np.pi / 3])
            assert sorted(spikes.loc[~in_vis, "phi"]) == pytest.approx(sorted(spikes.loc[in_vis, "phi"]))
            length = spikes["r_e"] / np.sqrt(spikes["q"])
            assert length[~in_vis].min() > length[in_vis].max()
