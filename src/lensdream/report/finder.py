"""Tables of the finder's performance, from `evaluate.json` and `compound-test.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lensdream.families import COMPOUND_ARC, DOUBLE_RING, FAINT_SECOND, MATCHED_SINGLE, UNDETECTABLE
from lensdream.report.table import (
    NOTHING,
    Table,
    count,
    counted_share,
    decimal,
    interval,
    percent,
    percent_interval,
    plain,
)

FINDER = "the finder"
BASELINES = {
    "one_look": "first stage alone (LensNet), one orientation",
    "alone": "first stage alone (LensNet), eight orientations",
    "second": "second stage alone (DeepLensNet), one orientation",
    "ou66": "OU-66",
}
"""networks to compare the finder with, by their key in `evaluate.json`: its stages, and baselines where they are trained"""

MISSED = "missed_at_fpr_1e-3_ratio"
TIMES_MISSED = "missed at FPR 1e-3, relative to the finder"
OTHER_IMAGES = "measured on other images"

SCORES = {
    "precision": "precision at 0.5",
    "recall": "recall at 0.5",
    "accuracy": "accuracy at 0.5",
    "f1": "F1 at 0.5",
    "auroc": "AUROC",
    "tpr_at_fpr_1e-2": "completeness at FPR 1e-2",
    "tpr_at_fpr_1e-3": "completeness at FPR 1e-3",
    "tpr_at_fpr_1e-4": "completeness at FPR 1e-4",
    "tpr0": "TPR0: completeness without a false positive",
    "tpr10": "TPR10: completeness with fewer than 10 false positives",
    "purity_at_prevalence_1e-3": "purity at the threshold of FPR 1e-3, 1 object in 1,000 being a lens",
    "ece": "calibration error, after temperature scaling",
    "ece_if_calibrated": "calibration error expected of as many images, were the probabilities exact",
    "ece_before_calibration": "calibration error, as trained",
}
"""labels of numbers with an interval, in the order of the table; other numbers of the file come after them"""

SELECTED_BY = {
    "theta_E": "Einstein radius [arcsec]",
    "arc_snr": "S/N of the arcs in VIS",
    "magnitude_lensed_source_VIS": "lensed source, VIS [AB mag]",
    "magnitude_lens_VIS": "deflector, VIS [AB mag]",
    "theta_E_1": "Einstein radius for source 1 [arcsec]",
    "theta_E_2": "Einstein radius for source 2 [arcsec]",
    "arc_snr_2": "S/N of source 2 in VIS",
}

COMPOUND_ORDER = (
    COMPOUND_ARC,
    "matched_single_of_compound_arc",
    DOUBLE_RING,
    "matched_single_of_double_ring",
    MATCHED_SINGLE,
    FAINT_SECOND,
    "matched_single_of_faint_second",
)
COMPOUND_NAMES = {
    COMPOUND_ARC: "compound arcs",
    "matched_single_of_compound_arc": "single lenses matched to them",
    DOUBLE_RING: "double rings",
    "matched_single_of_double_ring": "single lenses matched to them",
    FAINT_SECOND: "control: second source undetectable",
    "matched_single_of_faint_second": "single lenses matched to them",
    MATCHED_SINGLE: "both groups of matched single lenses",
}


@dataclass(frozen=True)
class Published:
    """Published values of one quantity; a dash where none was published."""

    poster: str = NOTHING
    paper: str = NOTHING


POSTER_PRECISION = Published("0.473")
POSTER_RECALL = Published("0.869")
POSTER_ACCURACY = Published("57.3 %")
POSTER_FALSE_POSITIVES = Published("61 %")
POSTER_COMPOUND_ARCS = Published("76 %", "76 %")
POSTER_DOUBLE_RINGS = Published("34 %", "52 %")


def false_positive_rate(evaluate: Mapping) -> str:
    """Share and number of all non-lenses above a score of 0.5."""
    rows = [row for row in evaluate["families"].values() if row["n"]]
    n = sum(row["n"] for row in rows)
    return counted_share(sum(row["fpr_at_0.5"] * row["n"] for row in rows) / n if n else None, n)


def poster_comparison(evaluate: Mapping, compound: Mapping) -> Table:
    """Table of this run's numbers at a score of 0.5 and of the published ones."""
    found = {name: compound[name]["completeness_at_0.5"] for name in (COMPOUND_ARC, DOUBLE_RING)}
    rows = (
        ("precision", interval(evaluate["precision"], 3), POSTER_PRECISION),
        ("recall", interval(evaluate["recall"], 3), POSTER_RECALL),
        ("accuracy", percent_interval(evaluate["accuracy"]), POSTER_ACCURACY),
        ("false positives among non-lenses", false_positive_rate(evaluate), POSTER_FALSE_POSITIVES),
        ("compound arcs found", percent_interval(found[COMPOUND_ARC]), POSTER_COMPOUND_ARCS),
        ("double rings found", percent_interval(found[DOUBLE_RING]), POSTER_DOUBLE_RINGS),
    )
    head = ("at a score of 0.5", "this run [95 %]", "poster", "Wilde et al. 2022, best")
    return Table(head, tuple((name, ours, published.poster, published.paper) for name, ours, published in rows))


def networks(evaluate: Mapping) -> Table:
    """Table of networks: those trained on these simulated images, then published numbers of others.

    The finder's number of training images is the sum over its stages, where it has two.
    """
    blocks = {FINDER: evaluate} | {name: evaluate[key] for key, name in BASELINES.items() if key in evaluate}

    def images(block: Mapping) -> str:
        parts = [block, evaluate.get("second", {})] if block is evaluate else [block]
        return (
            " + ".join(count(part["images_trained_on"]) for part in parts if part.get("images_trained_on")) or NOTHING
        )

    def row(name: str, block: Mapping) -> tuple[str, ...]:
        about = (images(block), count(block["parameters"]) if block.get("parameters") else NOTHING)
        at_half = (decimal(block[key]["value"], 3) for key in ("precision", "recall", "accuracy", "f1"))
        missed = interval(block[MISSED], 2) if MISSED in block else NOTHING
        return (name, *about, *at_half, percent_interval(block["tpr_at_fpr_1e-3"]), missed, "")

    published = (
        ("poster, published", *["45,000", NOTHING], "0.473", "0.869", "0.573", *[NOTHING] * 3, OTHER_IMAGES),
        ("Wilde et al. 2022, published", *[NOTHING] * 5, "0.83 to 0.91", *[NOTHING] * 2, OTHER_IMAGES),
    )
    head = (
        "network", "trained on", "weights", "precision", "recall", "accuracy", "F1", "completeness at FPR 1e-3",
        TIMES_MISSED, "remark",
    )  # fmt: skip
    return Table(head, (*(row(name, block) for name, block in blocks.items()), *published), frozenset({9}))


def scores(evaluate: Mapping) -> Table:
    """Table of every number with an interval, of the finder and of the networks to compare it with."""
    blocks = {FINDER: evaluate} | {name: evaluate[key] for key, name in BASELINES.items() if key in evaluate}
    measured = [name for name, value in evaluate.items() if isinstance(value, Mapping) and "value" in value]
    names = [name for name in SCORES if name in measured] + [name for name in measured if name not in SCORES]

    def cells(name: str) -> tuple[str, ...]:
        return tuple(interval(block[name]) if name in block else NOTHING for block in blocks.values())

    return Table(("test set", *blocks), tuple((SCORES.get(name, plain(name)), *cells(name)) for name in names))


def thresholds(evaluate: Mapping) -> Table:
    """Table of the thresholds of the false-positive rates, and the temperature."""
    prefix = "threshold_fpr_"
    rates = {name.removeprefix(prefix): value for name, value in evaluate.items() if name.startswith(prefix)}
    rows = [(f"logit at FPR {rate}", decimal(value, 3)) for rate, value in rates.items()]
    return Table(("threshold", "value"), (*rows, ("temperature", decimal(evaluate["temperature"], 3))))


def unmeasured_rates(evaluate: Mapping) -> list[str]:
    """Quoted false-positive rates that the test set has too few non-lenses for."""
    return [rate for rate in ("1e-2", "1e-3", "1e-4") if evaluate["n_nonlens"] * float(rate) < 1]


def families(evaluate: Mapping) -> Table:
    """Table of the false positives of each family of non-lenses."""
    head = ("family", "images", "false positives at 0.5", "at the threshold of FPR 1e-3")
    return Table(
        head,
        tuple(
            (
                plain(name),
                count(row["n"]),
                counted_share(row["fpr_at_0.5"], row["n"]),
                counted_share(row["fpr_at_threshold_1e-3"], row["n"]),
            )
            for name, row in evaluate["families"].items()
        ),
    )


def undetectable(evaluate: Mapping) -> Table:
    """Table of the lenses below the detection rule that are found all the same."""
    row = evaluate[UNDETECTABLE]
    found = (counted_share(row[f"found_at_{at}"], row["n"]) for at in ("0.5", "threshold_1e-3"))
    return Table(
        ("family", "images", "found at 0.5", "at the threshold of FPR 1e-3"),
        ((UNDETECTABLE, count(row["n"]), *found),),
    )


def selection(evaluate: Mapping) -> dict[str, Table]:
    """Tables of completeness in bins, one a property."""
    tables = {}
    for name, rows in evaluate["selection_function"].items():
        columns = [key for key in (rows[0] if rows else {}) if key.startswith("completeness_at_")]
        head = (SELECTED_BY.get(name, plain(name)), "lenses", *(f"completeness at {at_words(key)}" for key in columns))
        tables[name] = Table(
            head,
            tuple(
                (f"{row['low']:g} to {row['high']:g}", count(row["n"]), *(percent(row[key]) for key in columns))
                for row in rows
            ),
        )
    return tables


def compound(result: Mapping) -> Table:
    """Table of completeness of the compound lenses and of the single ones matched to them, at every threshold."""
    names = [name for name in COMPOUND_ORDER if name in result]
    columns = [key for key in result[COMPOUND_ARC] if key.startswith("completeness_at_")]
    rows = (
        (COMPOUND_NAMES[name], count(result[name]["n"]), *(percent_interval(result[name][key]) for key in columns))
        for name in names
    )
    return Table(("completeness", "images", *(f"at {at_words(key)}" for key in columns)), tuple(rows))


def at_words(key: str) -> str:
    """Words for the threshold of a key such as `completeness_at_fpr_1e-3`."""
    words = key.removeprefix("completeness_at_")
    return words.replace("survey_fpr_", "a survey's FPR ").replace("fpr_", "FPR ")
