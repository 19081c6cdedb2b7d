"""The selection function counts every lens once."""

import numpy as np
import pandas as pd

from lensdream.evaluate import selection

RNG = np.random.default_rng(0)


def test_selection_function_counts_every_lens_once():
    n = 200
    truth = pd.DataFrame(
        {
            "theta_E_1": RNG.uniform(0.1, 5, n), "arc_snr_1": RNG.uniform(20, 2000, n),
            "flux_source_1_VIS": RNG.uniform(0.01, 5, n), "flux_target_VIS": RNG.uniform(1, 1e5, n),
        }
    )  # fmt: skip
    table = selection.completeness(truth, np.ones(n), {"0.5": 0.0})
    for rows in table.values():
        assert sum(row["n"] for row in rows) == n
        assert all(row["completeness_at_0.5"] == 1 for row in rows)
