"""The compound-test stage: two-source lenses that the network never saw, beside the same lenses with one source.

First whether the finder finds them, then whether the compound head tells those found from single lenses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lensdream import config, tracking
from lensdream.compound_head.images import COMPOUND
from lensdream.compound_head.network import read_head
from lensdream.config import CompoundConfig
from lensdream.dataset import ImageStore, contact_sheet
from lensdream.evaluate import compound_figures, compound_head, figures, operating_points, selection
from lensdream.evaluate.metrics import Interval, share_with_interval
from lensdream.files import write_json, write_whole
from lensdream.networks import SecondLooks, load_finder, predict
from lensdream.paths import Paths
from lensdream.scene import FAMILIES_LENS

CONTROL = "faint_second"
FOUND_AT = ("0.5", "fpr_1e-2", "fpr_1e-3")
"""thresholds of the completeness maps"""
UNTOLD = -1.0
"""logit of the head's first look below which there is no second: its thresholds lie at 1 and above"""
DRAWN_AT = "fpr_1e-2"
"""threshold of the finder, and of the head, whose misses are drawn and binned"""


def run(scale: str, root: Path = Path()) -> None:
    """Score the compound split and the single lenses of the test split; write `compound-test.json` and figures."""
    settings = config.load("compound", CompoundConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    model, store = load_finder(paths.model), ImageStore.open(paths.images)
    head = SecondLooks(read_head(paths), hopeless=UNTOLD).to(memory_format=torch.channels_last)
    points = operating_points.read(paths.model)
    thresholds = {"0.5": 0.0} | {f"fpr_{rate}": points[f"threshold_fpr_{rate}"] for rate in ("1e-2", "1e-3", "1e-4")}
    surveyed, shares = operating_points.read_survey(paths.model)
    survey = {name.removeprefix("threshold_"): threshold for name, threshold in surveyed.items()}
    networks = {"logit": model, "survey_logit": load_finder(paths.model, shares=shares), "compound_logit": head}
    with tracking.stage_run("compound-test", scale, settings, root=root, datasets={"images": paths.images}) as run:
        table = scored(store, networks, settings.batch_size)
        compound = table[table["split"] == "compound"]
        result: dict[str, dict] = measure(compound, thresholds, survey, settings)
        two = compound[compound["family"].isin(COMPOUND)]
        result["selection_function"] = selection.binned(
            two, selection.COMPOUND_EDGES, two["logit"].to_numpy(float), {at: thresholds[at] for at in FOUND_AT}
        )
        told = compound_head.measure(table, thresholds, settings)
        at_drawn = told[f"found_at_{DRAWN_AT}"]
        told["selection_function"] = compound_head.completeness(table, thresholds[DRAWN_AT], at_drawn)
        result["compound_head"] = told
        paths.scores.mkdir(parents=True, exist_ok=True)
        columns = ["index", "partner", "split", "family", *networks]
        table[columns].to_parquet(paths.scores / "compound.parquet", index=False)
        folder = paths.figures / "compound-test"
        finder_words, head_words = (
            "found",
            f"told from single lenses, of those found at {DRAWN_AT.replace('fpr_', 'FPR ')}",
        )
        drawn = {
            "scores": figures.scores_by_family(compound, compound["logit"].to_numpy(), thresholds),
            "selection": compound_figures.selection(result["selection_function"], finder_words),
            "told": compound_figures.told(table, thresholds, settings.prevalence),
            "told-selection": compound_figures.selection(told["selection_function"], head_words),
        }
        for name, figure in drawn.items():
            run.figure(figures.save(figure, folder / f"{name}.png"))
        rows = compound_figures.missed(store, table, thresholds[DRAWN_AT], at_drawn[f"threshold_{DRAWN_AT}"])
        if rows:
            write_whole(folder / "missed.png", contact_sheet.draw(rows))
            run.figure(folder / "missed.png")
        write_json(paths.metrics("compound-test"), result)
        run.metrics(dict(values_of(result)))
    print(report(result))
    print(compound_head.report(told))


def scored(store: ImageStore, models: Mapping[str, torch.nn.Module], batch_size: int) -> pd.DataFrame:
    """Rows of the truth table of the compound split and of the test split's single lenses, with a column of logits a model.

    The column `position` is the row's place in the store.
    """
    truth = store.truth
    single = (truth["split"] == "test") & truth["family"].isin(FAMILIES_LENS) & (truth["label"] == 1)
    chosen = np.flatnonzero((truth["split"] == "compound") | single)
    images = torch.from_numpy(store.images(chosen))
    logits = {name: predict(model, images, batch_size).numpy() for name, model in models.items()}
    return truth.iloc[chosen].assign(position=chosen, **logits).reset_index(drop=True)


def values_of(result: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested blocks that have an interval, without it, under dotted names; what is NaN is left out."""
    for name, entry in result.items():
        if isinstance(entry, Mapping):
            if "value" not in entry:
                yield from values_of(entry, f"{prefix}{name}.")
            elif not np.isnan(entry["value"]):
                yield f"{prefix}{name}", entry["value"]


def measure(
    table: pd.DataFrame, thresholds: dict[str, float], survey: dict[str, float], settings: CompoundConfig
) -> dict[str, dict]:
    """Completeness of each family, and of the matched single lenses of each, at each threshold.

    The group `matched_single` is that of the compound families, without the control's. `thresholds` are of the test mix, on
    `logit`; those of a survey's proportions, `survey`, which many more false positives fix, are on `survey_logit`.
    """
    rng = np.random.default_rng(settings.seed)
    family_of = table.set_index("index")["family"]
    partner = table["partner"].map(family_of)
    single = table["family"] == "matched_single"
    groups = {name: table["family"] == name for name in (*COMPOUND, CONTROL)}
    groups["matched_single"] = single & partner.isin(COMPOUND)
    groups |= {f"matched_single_of_{name}": single & (partner == name) for name in (*COMPOUND, CONTROL)}
    result: dict[str, dict] = {}
    for name, inside in groups.items():
        some = table[inside]
        above = {at: some["logit"] > threshold for at, threshold in thresholds.items()}
        above |= {f"survey_{at}": some["survey_logit"] > threshold for at, threshold in survey.items()}
        found: dict[str, int | Interval] = {"n": len(some)}
        for at, hits in above.items():
            found[f"completeness_at_{at}"] = share_with_interval(hits.to_numpy(), settings.bootstrap, rng)
        result[name] = found
    return result


def report(result: dict[str, dict]) -> str:
    """The table that the stage prints."""
    groups = {name: row for name, row in result.items() if "n" in row}
    columns = [key for key in next(iter(groups.values())) if key != "n"]
    heads = "".join(f"{key.removeprefix('completeness_at_'):>17s}" for key in columns)
    lines = [f"  {'family':32s} {'n':>6s}{heads}"]
    for name, row in groups.items():
        lines.append(f"  {name:32s} {row['n']:6d}" + "".join(f"{row[key]['value']:17.4f}" for key in columns))
    return "\n".join(lines)
