"""Compound lenses beside their matched single lenses."""

import numpy as np
import pandas as pd

from lensdream.config import CompoundConfig
from lensdream.evaluate import compound


def test_compound_table_pairs_each_family_with_its_matched_singles():
    table = pd.DataFrame(
        {
            "index": [10, 11, 12, 13, 14, 15],
            "partner": [11, 10, 13, 12, 15, 14],
            "family": [
                "compound_arc", "matched_single", "double_ring", "matched_single", "faint_second", "matched_single",
            ],
            "logit": [2.0, -1.0, 4.0, 3.0, -2.0, 1.0],
            "survey_logit": [2.0, -1.0, 3.0, 4.0, -2.0, 1.0],
        }
    )  # fmt: skip
    settings = CompoundConfig(bootstrap=50, seed=1, prevalence=0.01, batch_size=2)
    non_lenses = {"logit": np.full(100, 2.5), "survey_logit": np.full(100, 3.5)}
    result = compound.measure(table, non_lenses, settings)
    assert result["matched_single"]["n"] == 2  # not the control's
    assert result["matched_single"]["completeness_at_0.5"]["value"] == 0.5
    assert {name: row["n"] for name, row in result.items() if name.startswith("matched_single_of_")} == {
        "matched_single_of_compound_arc": 1, "matched_single_of_double_ring": 1, "matched_single_of_faint_second": 1,
    }  # fmt: skip
    assert result["faint_second"]["completeness_at_0.5"]["value"] == 0
    assert result["matched_single_of_faint_second"]["completeness_at_0.5"]["value"] == 1
    assert result["matched_single_of_double_ring"]["completeness_at_fpr_1e-2"]["value"] == 1
    assert result["matched_single_of_compound_arc"]["completeness_at_0.5"]["value"] == 0
    assert result["compound_arc"]["completeness_at_fpr_1e-2"]["value"] == 0
    assert result["double_ring"]["completeness_at_survey_fpr_1e-2"]["value"] == 0  # the survey's logits, not the others
    assert result["matched_single_of_double_ring"]["completeness_at_survey_fpr_1e-2"]["value"] == 1
    assert result["double_ring"]["completeness_at_0.5"] == {"value": 1.0, "low": 1.0, "high": 1.0}
