"""`lensdream readme`: write the committed metrics into the README's tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from lensdream.commands.paths import Paths
from lensdream.families import COMPOUND_ARC, DOUBLE_RING
from lensdream.report import survey
from lensdream.report.finder import COMPOUND_NAMES, SCORES, networks
from lensdream.report.table import NOTHING, Table, count, decimal, interval

SCALES = ("quick", "poster")
BEGIN, END = "<!-- numbers, by `lensdream readme` -->", "<!-- end of the numbers -->"
AT = ("0.5", "fpr_1e-2", "fpr_1e-3", "survey_fpr_1e-3")
CLASSIFIED = {"completeness": "completeness", "purity": "purity where 1 lens in 100 is compound,"}
COMPOUND = (COMPOUND_ARC, "matched_single_of_compound_arc", DOUBLE_RING, "matched_single_of_double_ring")


def run(root: Path = Path()) -> None:
    """Write the tables into the README; raises `FileNotFoundError` for missing metrics."""
    readme = root / "README.md"
    readme.write_text(rewritten(readme.read_text(), numbers(root)))


def numbers(root: Path) -> str:
    """Text between the marks: tables of both scales, and of the networks and thresholds of the poster scale."""
    evaluate, compound, train = (
        {scale: json.loads(Paths(scale, root).metrics(stage).read_text()) for scale in SCALES}
        for stage in ("evaluate", "compound-test", "train")
    )
    baselines, thresholds = (
        json.loads(Paths("poster", root).metrics(stage).read_text()) for stage in ("survey-peers", "survey-test")
    )
    tables = (
        scales(evaluate, compound, train),
        networks(evaluate["poster"]),
        survey.networks(baselines),
        survey.purity(thresholds),
    )
    return "\n\n".join(table.as_markdown() for table in tables)


def scales(evaluate: Mapping[str, Mapping], compound: Mapping[str, Mapping], train: Mapping[str, Mapping]) -> Table:
    """Table of the scales, a column each; the arguments are metrics by scale."""

    def row(name: str, cell: Callable[[str], str]) -> tuple[str, ...]:
        return (name, *(cell(scale) for scale in SCALES))

    def numbers(values: Mapping[str, Mapping], keys: tuple[str, ...]) -> str:
        return " / ".join(decimal(values[key]["value"], 3) for key in keys)

    rows = [
        row("images of an epoch, epochs", lambda s: f"{count(train[s]['images_an_epoch'])}, {train[s]['epochs']}"),
        row(
            "test images: lenses, non-lenses",
            lambda s: " / ".join(count(evaluate[s][n]) for n in ("n_lens", "n_nonlens")),
        ),
        row(
            "precision / recall / accuracy at 0.5", lambda s: numbers(evaluate[s], ("precision", "recall", "accuracy"))
        ),
        *(
            row(SCORES[key], lambda s, key=key: interval(evaluate[s][key], 3))
            for key in ("auroc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "ece")
        ),
        *(
            row(
                f"{COMPOUND_NAMES[name]} found at 0.5 / FPR 1e-2 / 1e-3 / a survey's 1e-3",
                lambda s, name=name: numbers(compound[s][name], tuple(f"completeness_at_{at}" for at in AT)),
            )
            for name in COMPOUND
        ),
    ]
    if any("compound_head" in measured for measured in compound.values()):
        rows += [
            row(
                f"compound lenses among those found at FPR 1e-2, classified as such: {words} at {rate}",
                lambda s, key=f"{key}_at_fpr_{rate}": classifier_number(compound[s], key),
            )
            for key, words in CLASSIFIED.items()
            for rate in ("1e-2", "1e-3")
        ]
    return Table(("", *SCALES), tuple(rows))


def classifier_number(compound: Mapping, key: str) -> str:
    """Text of a metric of the compound classifier; a dash without one, or with too few single lenses."""
    if "compound_head" not in compound:
        return NOTHING
    return interval(compound["compound_head"]["found_at_fpr_1e-2"]["compound"][key], 3)


def rewritten(page: str, between: str) -> str:
    """Page with new text between its marks; raises `ValueError` without both marks."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(
            f"README.md must have {BEGIN!r} and, after it, {END!r} once each: put them where the numbers go"
        )
    return f"{page[: page.index(BEGIN)]}{BEGIN}\n{between}\n{page[page.index(END) :]}"
