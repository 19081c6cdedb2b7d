"""`lensdream compound-test`: measure the finder and the compound classifier on compound lenses kept out of training."""

from __future__ import annotations

from pathlib import Path

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.results import record, write_table
from lensdream.commands.timings import timed_run
from lensdream.config import CompoundConfig
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import compound_classifier, compound_figures, figures, selection
from lensdream.evaluate.compound import DRAWN_AT, MIXES, measure, report, scored, scored_non_lenses
from lensdream.evaluate.compound_classifier import FINDER_AT
from lensdream.families import COMPOUND
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.plots import contact_sheet


def run(scale: str, root: Path = Path()) -> None:
    """Score the compound split and the single lenses of the test split; write `compound-test.json` and figures."""
    settings = config.load("compound_test", CompoundConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    shares = operating_points.read(paths.model, SURVEY_POINTS).shares
    finder, store = Finder.unmeasured(paths.model, shares), ImageStore.open(paths.images)
    if finder.compound is None:
        raise FileNotFoundError(
            f"no compound classifier in {paths.model}: run `lensdream train --recipe compound_classifier`"
        )
    non_lenses = scored_non_lenses(paths.scores / "test.parquet", paths.survey / "scores.parquet")
    thresholds = {"0.5": 0.0} | operating_points.at_rates(non_lenses["logit"])
    with timed_run("compound-test", scale, settings, root=root, datasets={"images": paths.images}) as run:
        table = scored(store, finder, settings.batch_size)
        compound = table[table["split"] == "compound"]
        result: dict[str, dict] = measure(compound, non_lenses, settings)
        two = compound[compound["family"].isin(COMPOUND)]
        result["selection_function"] = selection.binned(
            two, selection.COMPOUND_EDGES, two["logit"].to_numpy(float), {at: thresholds[at] for at in FINDER_AT}
        )
        classifier = compound_classifier.measure(table, thresholds, settings)
        at_drawn = classifier[f"found_at_{DRAWN_AT}"]
        classifier["selection_function"] = compound_classifier.completeness(table, thresholds[DRAWN_AT], at_drawn)
        result["compound_head"] = classifier
        columns = ["index", "partner", "split", "family", *MIXES, "compound_logit"]
        write_table(table[columns], paths.scores / "compound.parquet")
        title = f"classified as compound, of those found at {DRAWN_AT.replace('fpr_', 'FPR ')}"
        drawn = {
            "scores": figures.scores_by_family(compound, compound["logit"].to_numpy(), thresholds),
            "selection": compound_figures.selection(result["selection_function"], "found"),
            "told": compound_figures.classification(table, thresholds, settings.prevalence),
            "told-selection": compound_figures.selection(classifier["selection_function"], title),
        }
        rows = compound_figures.missed(store, table, thresholds[DRAWN_AT], at_drawn[f"threshold_{DRAWN_AT}"])
        sheets = {"missed": contact_sheet.draw(rows)} if rows else {}
        record(run, paths, "compound-test", result, drawn, sheets=sheets)
    print(report(result))
    print(compound_classifier.report(classifier))
