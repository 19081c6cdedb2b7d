"""Figures of the compound test."""

import numpy as np
import pandas as pd

from lensdream.evaluate import compound_figures

RNG = np.random.default_rng(4)


def scores_table(n=400):
    """Half the lenses found at any rate; compound ones a little above the single ones, and above their matched ones."""
    families = ["compound_arc", "double_ring", "faint_second"]
    rows = []
    for family, shift in zip(families, (2.0, 3.0, 0.0), strict=True):
        for _ in range(n):
            here = len(rows)
            rows.append((here, here + 1, "compound", family, RNG.choice([-5.0, 5.0]), RNG.normal(shift)))
            rows.append((here + 1, here, "compound", "matched_single", RNG.choice([-5.0, 5.0]), RNG.normal(0.5)))
    rows += [(len(rows) + k, -1, "test", "lens", RNG.choice([-5.0, 5.0]), RNG.normal()) for k in range(n)]
    table = pd.DataFrame(rows, columns=["index", "partner", "split", "family", "logit", "compound_logit"])
    return table.assign(
        theta_E_1=RNG.uniform(0.3, 1.5, len(table)), theta_E_2=1.6, arc_snr_2=RNG.uniform(20, 90, len(table))
    )


class Pictures:
    """A store whose images tell their place."""

    def images(self, positions):
        return np.broadcast_to(positions[:, None, None, None], (len(positions), 4, 8, 8)).astype(np.float16)


def test_the_misses_drawn_are_the_strongest():
    table = scores_table().assign(arc_snr_1=30.0)
    table = table.assign(position=np.arange(len(table)))
    rows = compound_figures.missed(Pictures(), table, 0.0, 1.0)
    names = [row.name.replace("\n", " ") for row in rows]
    assert names == [
        "compound arcs not found", "double rings not found", "compound arcs called single",
        "double rings called single", "single lenses taken for compound",
    ]  # fmt: skip
    arcs = table[(table["family"] == "compound_arc") & (table["logit"] > 0) & (table["compound_logit"] <= 1)]
    strongest = arcs.sort_values("arc_snr_2").iloc[-1]
    assert rows[2].images[0, 0, 0, 0] == strongest["position"]
    assert rows[2].note == f"{len(arcs)} in all"
    assert len(rows[2].images) == compound_figures.COLUMNS == len(rows[2].titles)
    only_finder = compound_figures.missed(Pictures(), table, -100.0, float("nan"))
    assert only_finder == []
    assert len(compound_figures.missed(Pictures(), table, 0.0, float("nan"))) == 2
