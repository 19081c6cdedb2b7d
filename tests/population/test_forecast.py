"""The comparison with the forecast, on tables made by hand whose percentiles are known."""

import numpy as np
import pandas as pd
import pytest

from lensdream.instrument import microjansky
from lensdream.population import figures, forecast
from lensdream.population.number_counts import cumulative_counts
from lensdream.scene import COMPONENT_COLUMNS, SCENE_COLUMNS, Role, Scenes

MIDDLE = {quantity.name: quantity.forecast[1] for quantity in forecast.FORECAST}
PERCENTILES = {quantity.name: np.array(quantity.forecast) for quantity in forecast.FORECAST}


def scenes_with(values: dict[str, np.ndarray], first_index: int = 100) -> Scenes:
    """Lenses with these quantities; every galaxy is two components that share its light 3 to 1."""
    n = len(values["z_lens"])
    table = pd.DataFrame(0.0, index=range(n), columns=list(SCENE_COLUMNS))
    table = table.astype({"family": object, "split": object})
    columns = ("z_lens", "z_source_1", "theta_E_1", "sigma_lens", "mass_q", "magnification_1")
    names = ("z_lens", "z_source", "theta_E", "sigma", "q", "magnification")
    for column, name in zip(columns, names, strict=True):
        table[column] = values[name]
    table["index"], table["family"], table["label"] = np.arange(n) + first_index, "lens", 1
    rows = []
    for k in range(n):
        for role, name in ((Role.TARGET, "lens_VIS"), (Role.SOURCE_1, "source_VIS"), (Role.NEIGHBOUR, "lens_VIS")):
            for share, size in ((0.75, values["source_r_e"][k]), (0.25, 9.0)):
                part = dict.fromkeys(COMPONENT_COLUMNS, 0.0) | {
                    "scene": k + first_index,
                    "role": int(role),
                    "r_e": size,
                }
                rows.append(part | {"flux_VIS": share * microjansky(values[name][k])})
    return Scenes(table, pd.DataFrame(rows))


def spread(percentiles: np.ndarray, n: int = 101) -> np.ndarray:
    """Values whose percentiles 16, 50, 84 are these: percentiles of n values are linear between them."""
    return np.interp(
        np.linspace(0, 100, n), [0, 16, 50, 84, 100], [0.9 * percentiles[0], *percentiles, 1.1 * percentiles[2]]
    )


@pytest.fixture(scope="module")
def as_forecast():
    values = {name: spread(percentiles) for name, percentiles in PERCENTILES.items()}
    return scenes_with(values)


def test_a_population_like_the_forecast_is_within_the_goal(as_forecast):
    table = forecast.compare(as_forecast)
    assert list(table.index) == list(PERCENTILES)
    for name, percentiles in PERCENTILES.items():
        if name == "lensed_VIS":  # it follows from source and magnification
            continue
        row = table.loc[name]
        assert row[["drawn_16", "drawn_50", "drawn_84"]].astype(float).to_numpy() == pytest.approx(percentiles)
        assert row[["off_16", "off_50", "off_84"]].astype(float).to_numpy() == pytest.approx(0.0, abs=1e-9)
        assert row["within"]


def test_lensed_magnitude_is_of_the_magnified_source():
    values = {name: np.full(5, middle) for name, middle in MIDDLE.items()}
    values |= {"source_VIS": np.full(5, 26.0), "magnification": np.full(5, 10.0), "source_r_e": np.full(5, 0.3)}
    drawn = forecast.drawn(scenes_with(values))
    assert drawn["lensed_VIS"].to_numpy() == pytest.approx(23.5)
    assert drawn["source_VIS"].to_numpy() == pytest.approx(26.0)
    assert drawn["lens_VIS"].to_numpy() == pytest.approx(MIDDLE["lens_VIS"])
    assert drawn["source_r_e"].to_numpy() == pytest.approx(0.3)  # the first component's, not the second's 9 arcsec


@pytest.mark.parametrize(
    ("name", "percentile", "shift", "within"),
    [
        ("theta_E", 1, 1.09, True), ("theta_E", 1, 1.11, False), ("theta_E", 0, 0.81, True), ("theta_E", 0, 0.79, False),
        ("lens_VIS", 1, 0.24, True), ("lens_VIS", 1, -0.26, False), ("lens_VIS", 2, 0.49, True), ("lens_VIS", 2, 0.51, False),
    ],
)  # fmt: skip
def test_the_goal_is_a_share_or_a_number_of_magnitudes(name, percentile, shift, within):
    percentiles = PERCENTILES[name].copy()
    percentiles[percentile] = percentiles[percentile] + shift if "VIS" in name else percentiles[percentile] * shift
    values = {key: spread(value) for key, value in PERCENTILES.items()} | {name: spread(percentiles)}
    row = forecast.compare(scenes_with(values)).loc[name]
    off = row[f"off_{forecast.PERCENTILES[percentile]}"]
    assert off == pytest.approx(shift if "VIS" in name else shift - 1, abs=1e-6)
    assert row["within"] == within


def test_only_detectable_lenses_count(as_forecast):
    table = as_forecast.scenes.copy()
    table.loc[:49, "label"], table.loc[:49, "family"] = -1, "undetectable"
    table.loc[50:59, "family"] = "compound_arc"
    drawn = forecast.drawn(Scenes(table, as_forecast.components))
    assert len(drawn) == 41
    assert drawn["z_lens"].to_numpy() == pytest.approx(as_forecast.scenes["z_lens"].to_numpy()[60:])
    table["label"] = 0
    with pytest.raises(ValueError, match="no scene of family `lens` with label 1"):
        forecast.compare(Scenes(table, as_forecast.components))


def test_figure_shows_every_quantity(as_forecast):
    page = figures.forecast_figure(as_forecast)
    assert [axes.get_xlabel() for axes in page.axes] == [quantity.label for quantity in forecast.FORECAST]
    for axes in page.axes:
        assert sum(patch.get_height() for patch in axes.patches[1:]) > 0.95  # the bars hold nearly all lenses
    assert "0.36" in {text.get_text().split()[0] for text in page.axes[0].texts}


def test_counts_per_magnitude_are_per_magnitude():
    # 30 galaxies at 20.3 and 8 at 25.9 on 4 arcmin^2, in bins of half a magnitude; 5 outside
    flux = microjansky(np.repeat([20.3, 25.9, 17.0], [30, 8, 5]))
    table = forecast.counts_per_magnitude(pd.DataFrame({"flux_VIS": flux}), 4.0).set_index("magnitude")
    assert table.loc[20.25, "drawn"] == pytest.approx(30 / 4 / 0.5)
    assert table.loc[25.75, "drawn"] == pytest.approx(8 / 4 / 0.5)
    assert table["galaxies"].sum() == 38
    assert (table["published"] * 0.5).sum() == pytest.approx(cumulative_counts(26.0) - cumulative_counts(18.0))
    page = figures.counts_figure(pd.DataFrame({"flux_VIS": flux}), 4.0)
    assert page.axes[0].get_yscale() == "log"
