"""Scores of a compound test, made up."""

import numpy as np
import pandas as pd


def scores_table(n=400):
    """Half the lenses found at any rate; compound ones a little above the single ones, and above their matched ones."""
    rng = np.random.default_rng(4)
    families = ["compound_arc", "double_ring", "faint_second"]
    rows = []
    for family, shift in zip(families, (2.0, 3.0, 0.0), strict=True):
        for _ in range(n):
            here = len(rows)
            rows.append((here, here + 1, "compound", family, rng.choice([-5.0, 5.0]), rng.normal(shift)))
            rows.append((here + 1, here, "compound", "matched_single", rng.choice([-5.0, 5.0]), rng.normal(0.5)))
    rows += [(len(rows) + k, -1, "test", "lens", rng.choice([-5.0, 5.0]), rng.normal()) for k in range(n)]
    table = pd.DataFrame(rows, columns=["index", "partner", "split", "family", "logit", "compound_logit"])
    return table.assign(
        theta_E_1=rng.uniform(0.3, 1.5, len(table)), theta_E_2=1.6, arc_snr_2=rng.uniform(20, 90, len(table))
    )
