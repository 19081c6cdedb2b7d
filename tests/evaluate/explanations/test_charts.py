"""Charts of the study's numbers show these numbers."""

import numpy as np
import pandas as pd
import pytest

from lensdream.evaluate.explanations import charts
from lensdream.explain.ablation import COMPONENTS, DISJOINT


def interval(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def test_the_ablation_chart_has_a_bar_for_each_component_of_each_group():
    lost = {"arcs": 3.0, "target": -1.0}
    result = {
        "components": {"lens": {name: {"logit_change": interval(value)} for name, value in lost.items()}},
        "rank_correlation": {"occlusion_sky": interval(0.62)},
    }
    table = pd.DataFrame(
        {"component": list(DISJOINT), "pixels": 5, "change": 1.0, "inside_occlusion_sky": 2.0}
    )  # fmt: skip
    left, right = charts.ablation_chart(table, result).axes
    bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in left.patches}
    assert bars == {COMPONENTS.index(name): value for name, value in lost.items()}
    assert len(right.collections) == len(DISJOINT)
    assert right.get_title() == "rank correlation 0.62 [0.52, 0.72]"


def test_the_sanity_chart_starts_at_one_for_the_trained_network():
    layers = {"head": interval(0.7), "stem": interval(0.1)}
    (axes,) = charts.sanity_chart({"n": 3, "guided_grad_cam": layers}).axes
    curve = axes.lines[0]
    np.testing.assert_allclose(curve.get_xydata(), [[0, 1], [1, 0.7], [2, 0.1]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["trained", "head", "stem"]
    assert "3 scenes" in axes.get_title()


def test_the_removal_chart_has_mean_curves_most_relevant_first_on_the_left():
    shares = np.array([0.0, 0.25, 1.0])
    most, least = np.array([[4.0, 0.0, -4.0], [2.0, 0.0, -2.0]]), np.array([[4.0, 3.0, -4.0], [2.0, 1.0, -2.0]])
    panels = charts.removal_chart(shares, {"random": (most, least)}).axes
    for axes, expected in zip(panels, ([3, 0, -3], [3, 2, -3]), strict=True):
        np.testing.assert_allclose(axes.lines[0].get_xydata(), np.transpose([[0, 0.5, 1], expected]))
    assert "most relevant first" in panels[0].get_xlabel()
    assert "least relevant first" in panels[1].get_xlabel()


def test_the_dream_chart_has_a_panel_a_network_and_counts_every_scene():
    ways = ("towards_lens", "towards_non_lens")
    table = pd.DataFrame(
        [
            {"network": network, "way": way, "colour_change": change}
            for network in ("trained", "random_weights") for way in ways for change in (-0.2, 0.1, 5.0, np.nan)
        ]
    )  # fmt: skip
    result = {
        network: {way: {"arc_vis_minus_h_change": interval(0.05)} for way in ways} | {"between_ways": interval(0.0)}
        for network in ("trained", "random_weights")
    }
    panels = charts.dream_chart(table, result).axes
    assert [axes.get_title() for axes in panels] == ["trained", "random weights"]
    for axes in panels:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [f"{way.replace('_', ' ')}: +0.0500 [-0.0500, +0.1500]" for way in ways]


@pytest.mark.parametrize("value", [None, 0.5])
def test_a_correlation_that_is_undefined_has_no_title(value):
    result = {"components": {}, "rank_correlation": {"occlusion_sky": {"value": value, "low": 0.4, "high": 0.6}}}
    table = pd.DataFrame({"component": [], "pixels": [], "change": [], "inside_occlusion_sky": []})
    title = charts.ablation_chart(table, result).axes[1].get_title()
    assert (title == "") == (value is None)
