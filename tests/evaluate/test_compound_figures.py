"""Figures of the compound test."""

import numpy as np

from compound_scores import scores_table
from lensdream.evaluate import compound_figures


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
