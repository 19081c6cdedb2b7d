"""`lensdream report`: write all results of a scale as one HTML page and ten numbers, and a picture of every family."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lensdream import config, tracking
from lensdream.commands.paths import Paths
from lensdream.commands.results import record_numbers
from lensdream.commands.timings import timed_run, timings_of
from lensdream.cutouts.bands import Origin
from lensdream.cutouts.page import credit_of
from lensdream.dataset import family_examples
from lensdream.dataset.store import ImageStore
from lensdream.plots.encoded import jpeg
from lensdream.report import compound_classifier, finder, survey
from lensdream.report.headline import headline
from lensdream.report.page import Measured, Picture, Pictures, render
from lensdream.report.table import Table
from lensdream.runtime.files import write_json, write_whole
from lensdream.runtime.provenance import git_state

PRINTED = ("precision", "recall", "accuracy", "auroc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "tpr_at_fpr_1e-4")


def run(scale: str, root: Path = Path()) -> None:
    """Write `reports/<scale>/index.html`, which needs no other file, `families.jpg`, and the headline metrics.

    The picture is in `figures/<scale>`, the metrics, out of those of the stages before, are `metrics/<scale>/headline.json`,
    and beside the page once more: DVC follows these, as the page has the date.

    Raises `FileNotFoundError` where a stage has not written its metrics; the message names its command.
    """
    settings = config.load("report", config.ReportConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    measured = Measured.read(paths.metrics("train").parent, scale, timings_of(scale, root))
    store = ImageStore.open(paths.images)
    drawn, index = paths.figures / "families.jpg", paths.report / "index.html"
    with timed_run("report", scale, settings, root=root, datasets={"images": paths.images}) as tracked:
        write_whole(drawn, jpeg(family_examples.draw(store, settings.examples_per_family)))
        links = tracking.stage_links(scale, root)
        pictures = Pictures(
            figures=paths.figures,
            observed=paths.observed,
            real_lenses=paths.real_lenses,
            examples=Picture.read(drawn, family_examples.caption_of(store)),
            credit=credit_of(Origin),
        )
        page = render(scale, measured, pictures, git_state(root), links, datetime.now(UTC))
        write_whole(index, page.encode())
        numbers = headline(measured.evaluate, measured.survey_test, measured.compound_test)
        record_numbers(tracked, paths, "headline", numbers)
        write_json(paths.report / "headline.json", numbers)
        tracked.figure(drawn)
        tracked.artifact(index)
    for table in tables(measured):
        print(table.as_text(), end="\n\n")
    observed = measured.observe
    above = sum(row["above_fpr_1e-3"] is True for row in observed["files"])
    print(
        f"  {observed['n']} real cutouts scored, {above} above the threshold of FPR 1e-3, {observed['n_skipped']} skipped"
    )
    print(f"report: {index.resolve()}")


def tables(measured: Measured) -> list[Table]:
    """Tables for the terminal: main scores, networks, families, survey thresholds, compound lenses."""
    main = {name: value for name, value in measured.evaluate.items() if name in PRINTED or name in finder.BASELINES}
    evaluate = measured.evaluate
    return [
        finder.scores(main),
        finder.networks(evaluate),
        finder.families(evaluate),
        survey.rates(measured.survey_test),
        survey.networks(measured.survey_peers),
        finder.compound(measured.compound_test),
        compound_classifier.classified(measured.compound_test["compound_head"]),
    ]
