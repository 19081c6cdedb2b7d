"""Tables of the finder at a survey's class proportions and of its shortcuts, from `survey-test.json`."""

from __future__ import annotations

from collections.abc import Mapping

from lensdream.report.finder import BASELINES, FINDER, MISSED, TIMES_MISSED
from lensdream.report.table import (
    NOTHING,
    Table,
    count,
    counted_share,
    decimal,
    interval,
    pairs,
    percent,
    percent_interval,
    plain,
)

RATES = ("1e-2", "1e-3", "1e-4")
OURS = "lensnet"
"""block of the finder in `survey-peers.json`"""
MANY = 1_000_000
"""size of the survey whose candidates are counted [object]"""
CHANGES = {
    "as_they_are": "as they are",
    "without_near_infrared": "without Y, J and H",
    "near_infrared_shuffled": "Y, J and H in another order",
    "bands_shuffled": "all four in another order",
}
"""labels of changes whose keys are not labels themselves"""


def rates(survey: Mapping) -> Table:
    """Table of thresholds at a survey's class proportions and of the completeness above them."""
    head = ("false-positive rate", "logit", "completeness above it")
    return Table(
        head,
        tuple(
            (
                rate,
                interval(survey[f"threshold_fpr_{rate}"], 2),
                percent_interval(survey[f"tpr_at_fpr_{rate}"]),
            )
            for rate in RATES
        ),
    )


def networks(survey_peers: Mapping) -> Table:
    """Table of the networks of a scale, each at its own thresholds."""
    names = {OURS: FINDER} | {name: title for name, title in BASELINES.items() if name in survey_peers}

    def row(name: str, title: str) -> tuple[str, ...]:
        block = survey_peers[name]
        found = (percent_interval(block[f"tpr_at_fpr_{rate}"]) for rate in ("1e-2", "1e-3"))
        return (title, *found, interval(block[MISSED], 2) if MISSED in block else NOTHING)

    head = (
        f"{count(survey_peers['n'])} non-lenses in a survey's proportions",
        "completeness at FPR 1e-2", "completeness at FPR 1e-3", TIMES_MISSED,
    )  # fmt: skip
    return Table(head, tuple(row(name, title) for name, title in names.items()))


def unmeasured_rates(survey: Mapping) -> list[str]:
    """Rates below one in the number of non-lenses."""
    return [rate for rate in RATES if survey["n"] * float(rate) < 1]


def purity(survey: Mapping) -> Table:
    """Table of completeness, candidates and purity at rising thresholds."""
    lenses = survey["prevalence"] * MANY
    head = (
        "logit above", "false-positive rate", "completeness",
        f"candidates in {count(MANY)} objects, {count(round(lenses))} of them lenses: lenses + others", "purity",
    )  # fmt: skip
    return Table(
        head,
        tuple(
            (
                decimal(row["logit"], 2),
                percent(row["fpr"], 3),
                percent(row["completeness"]),
                f"{count(round(lenses * row['completeness']))} + {count(round((MANY - lenses) * row['fpr']))}",
                percent_interval(row["purity"]),
            )
            for row in sorted(survey["purity"], key=lambda row: row["logit"])
        ),
    )


def families(survey: Mapping) -> Table:
    """Table of the false positives of each family."""
    head = ("family", "images", "at 0.5", "at the 1e-3 threshold", "at the 1e-4 threshold", "in the atlas")
    return Table(
        head,
        tuple(
            (
                plain(name),
                count(row["n"]),
                *(counted_share(row[f"fpr_at_{at}"], row["n"]) for at in ("0.5", "threshold_1e-3", "threshold_1e-4")),
                count(survey["atlas"].get(name, 0)),
            )
            for name, row in survey["families"].items()
        ),
    )


def shortcuts(survey: Mapping) -> Table:
    """Table of checks for shortcuts: dependence of the logit on brightness, and loss of the logit without the arcs."""
    brightness, arcs = survey["shortcuts"]["deflector_magnitude"], survey["shortcuts"]["arcs_removed"]
    return pairs(
        ("check", "value"),
        [
            (
                "logit and deflector's magnitude in VIS, at equal S/N of the arcs: Spearman's coefficient",
                interval(brightness["spearman"], 2),
            ),
            (f"arcs removed from {count(arcs['n'])} lenses: the logit falls in", percent_interval(arcs["falls"])),
            ("median fall of the logit", decimal(arcs["median_fall"], 2)),
            ("still above 0.5", percent_interval(arcs["above_0.5_without"])),
            ("still above the threshold of FPR 1e-3", percent_interval(arcs["above_survey_1e-3_without"])),
            ("of the same lenses with their arcs", percent_interval(arcs["above_survey_1e-3_with_arcs"])),
        ],
    )


def brightness(survey: Mapping) -> Table:
    """Table of the dependence on the deflector's magnitude in bins of the arcs' signal-to-noise."""
    head = ("S/N of the arcs in VIS", "lenses", "Spearman's coefficient", "logit a magnitude")
    return Table(
        head,
        tuple(
            (
                f"{row['low']:g} to {row['high']:g}",
                count(row["n"]),
                interval(row["spearman"], 2),
                decimal(row["slope"], 2),
            )
            for row in survey["shortcuts"]["deflector_magnitude"]["bins"]
        ),
    )


def bands(survey: Mapping) -> Table:
    """Table of the finder's performance on images with lost or permuted bands."""
    found = survey["shortcuts"]["bands"]
    rows = (
        (CHANGES.get(name, plain(name)), interval(row["auroc"], 3), percent_interval(row["tpr_at_fpr_1e-2"]))
        for name, row in found.items()
    )
    return Table(("test images", "AUROC", "completeness at FPR 1e-2"), tuple(rows))
