"""Figures of the evaluation."""

import numpy as np
import pandas as pd

from lensdream import metrics
from lensdream.evaluate import figures, selection


def test_the_map_has_completeness_and_counts_in_cells():
    truth = pd.DataFrame(
        {
            "theta_E_1": [0.3, 0.3, 0.3, 1.7],
            "arc_snr_1": [22.0, 22, 70, 22],
            "flux_source_1_VIS": 1.0,
            "flux_target_VIS": 1.0,
        }
    )
    first, second, third = selection.completeness_map(truth, np.array([1.0, 3, 1, 3]), 2.0)
    assert first == {
        "theta_E_low": 0.2, "theta_E_high": 0.4, "arc_snr_low": 20, "arc_snr_high": 25, "n": 2, "completeness": 0.5,
    }  # fmt: skip
    assert (second["arc_snr_low"], second["completeness"]) == (60, 0)
    assert (third["theta_E_low"], third["n"], third["completeness"]) == (1.5, 1, 1)
    drawn = figures.selection_map([first, second, third], "title").axes[0]
    assert sorted(text.get_text() for text in drawn.texts) == ["0.00\n1", "0.50\n2", "1.00\n1"]


def test_missed_lenses_are_compared_at_each_network_s_own_threshold():
    labels = np.array([0, 0, 1, 1, 1, 1])
    ours = np.array([0.0, 1.0, 0.5, 2, 2, 2])  # misses one
    theirs = 10 * np.array([0.0, 1.0, 0.5, 0.5, 0.5, 2])  # misses three, on another scale
    assert metrics.missed_ratio(np.stack([theirs, ours], 1), labels, 1e-3) == 3
    assert metrics.missed_ratio(np.stack([ours, ours], 1), labels, 1e-3) == 1
    assert np.isnan(metrics.missed_ratio(np.stack([ours, labels], 1), labels, 1e-3))
