"""The compound-test stage: two-source lenses that the network never saw, beside the same lenses with one source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lensdream import config, tracking
from lensdream.config import CompoundConfig
from lensdream.dataset import ImageStore
from lensdream.evaluate import figures, operating_points
from lensdream.evaluate.metrics import Interval, share_with_interval
from lensdream.files import write_json
from lensdream.networks import load_model, predict
from lensdream.paths import Paths

COMPOUND = ("compound_arc", "double_ring")
CONTROL = "faint_second"
FOUND_AT = ("0.5", "fpr_1e-2", "fpr_1e-3", "fpr_1e-4")


def run(scale: str, root: Path = Path()) -> None:
    """Score the compound split; write `metrics/<scale>/compound-test.json` and a figure."""
    settings = config.load("compound", CompoundConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    model, store = load_model(paths.model).to(memory_format=torch.channels_last), ImageStore.open(paths.images)
    points = operating_points.read(paths.model)
    thresholds = {"0.5": 0.0} | {f"fpr_{rate}": points[f"threshold_fpr_{rate}"] for rate in ("1e-2", "1e-3", "1e-4")}
    with tracking.stage_run("compound-test", scale, settings, root=root, datasets={"images": paths.images}) as run:
        chosen = np.flatnonzero(store.truth["split"] == "compound")
        logits = predict(model, torch.from_numpy(store.images(chosen)), settings.batch_size).numpy()
        table = store.truth.iloc[chosen].assign(logit=logits).reset_index(drop=True)
        result = measure(table, thresholds, settings)
        paths.scores.mkdir(parents=True, exist_ok=True)
        table[["index", "partner", "family", "logit"]].to_parquet(paths.scores / "compound.parquet", index=False)
        run.figure(
            figures.save(
                figures.scores_by_family(table, logits, thresholds), paths.figures / "compound-test" / "scores.png"
            )
        )
        write_json(paths.metrics("compound-test"), result)
        run.metrics(
            {
                f"{family}.{name}": value["value"]
                for family, row in result.items()
                for name, value in row.items()
                if name != "n"
            }
        )
    print(report(result))


def measure(table: pd.DataFrame, thresholds: dict[str, float], settings: CompoundConfig) -> dict[str, dict]:
    """Completeness of each family, and of the matched single lenses of each, at each threshold on the logit.

    The group `matched_single` is that of the compound families, without the control's.
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
        logits = table.loc[inside, "logit"].to_numpy()
        found: dict[str, int | Interval] = {"n": len(logits)}
        for at, threshold in thresholds.items():
            found[f"completeness_at_{at}"] = share_with_interval(logits > threshold, settings.bootstrap, rng)
        result[name] = found
    return result


def report(result: dict[str, dict]) -> str:
    """The table that the stage prints."""
    lines = [f"  {'family':32s} {'n':>6s}" + "".join(f"{at:>12s}" for at in FOUND_AT)]
    for name, row in result.items():
        values = "".join(f"{row[f'completeness_at_{at}']['value']:12.4f}" for at in FOUND_AT)
        lines.append(f"  {name:32s} {row['n']:6d}{values}")
    return "\n".join(lines)
