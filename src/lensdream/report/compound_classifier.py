"""Tables of the compound classifier, from the block `compound_head` of `compound-test.json`."""

from __future__ import annotations

from collections.abc import Mapping

from lensdream.families import COMPOUND_ARC, DOUBLE_RING, FAINT_SECOND, MATCHED_SINGLE
from lensdream.report.finder import COMPOUND_NAMES
from lensdream.report.table import Table, count, decimal, duration, percent_interval

FINDER_AT = {"0.5": "a score of 0.5", "fpr_1e-2": "FPR 1e-2", "fpr_1e-3": "FPR 1e-3"}
GROUPS = (COMPOUND_ARC, DOUBLE_RING, "compound")
NAMES = COMPOUND_NAMES | {"compound": "both", MATCHED_SINGLE: "single lenses matched to them"}
RATES = ("1e-2", "1e-3")


def classified(head: Mapping) -> Table:
    """Table of completeness and purity of the compound classifier among the lenses that the finder finds."""

    def cells(part: Mapping, name: str) -> tuple[str, ...]:
        row = part[name]
        rates = (
            text
            for rate in RATES
            for text in (
                percent_interval(row[f"completeness_at_fpr_{rate}"]),
                percent_interval(row[f"purity_at_fpr_{rate}"]),
            )
        )
        return (count(row["n"]), decimal(row["auroc"]["value"], 3), decimal(row["auroc_matched"]["value"], 3), *rates)

    rows = tuple(
        (f"{NAMES[name]}, finder at {words}", *cells(head[f"found_at_{at}"], name))
        for at, words in FINDER_AT.items()
        for name in GROUPS
    )
    columns = (text for rate in RATES for text in (f"completeness at {rate}", f"purity at {rate}"))
    return Table(("compound lenses found", "images", "AUROC", "AUROC, matched", *columns), rows)


def misclassified(head: Mapping) -> Table:
    """Table of single lenses classified as compound, at the same thresholds, and of completeness against the hardest."""

    def row(at: str, words: str) -> tuple[str, ...]:
        part = head[f"found_at_{at}"]
        taken = (
            percent_interval(part[name][f"taken_at_fpr_{rate}"])
            for name in (MATCHED_SINGLE, FAINT_SECOND)
            for rate in RATES
        )
        hardest = percent_interval(part["compound"]["completeness_at_matched_fpr_1e-2"])
        return (f"finder at {words}", count(part["n_single"]), *taken, hardest)

    columns = (f"{name}, at {rate}" for name in ("matched single lenses", "second source too faint") for rate in RATES)
    head_row = ("classified as compound", "ordinary single lenses", *columns, "compound lenses, at 1e-2 of the matched")
    return Table(head_row, tuple(row(at, words) for at, words in FINDER_AT.items()))


def training(train: Mapping, took: Mapping[str, float]) -> str:
    """Sentence on the training of the compound classifier, and on the time that it took where that is known."""
    time = f" and {duration(took['seconds'])}" if "seconds" in took else ""
    return (
        f"It starts from the finder's weights and is trained, in {train['epochs']} epochs{time}, on "
        f"{count(train['compound_lenses'])} compound lenses of its own, the single lenses matched to them, and "
        f"{count(train['single_lenses_an_epoch'])} ordinary single lenses an epoch."
    )


def summary(head: Mapping) -> str:
    """Sentences with the main numbers of the compound classifier."""
    row = head["found_at_fpr_1e-2"]["compound"]
    return (
        f"Of the compound lenses that the finder finds at a false-positive rate of 1e-2, "
        f"{percent_interval(row['completeness_at_fpr_1e-2'])} are classified as compound where 1e-2 of the ordinary single "
        f"lenses are, and {percent_interval(row['completeness_at_fpr_1e-3'])} where 1e-3 are. If a share of "
        f"{head['prevalence']:g} of all lenses is compound, the purity is {percent_interval(row['purity_at_fpr_1e-2'])} and "
        f"{percent_interval(row['purity_at_fpr_1e-3'])}."
    )
