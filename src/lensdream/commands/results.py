"""Results of the commands `evaluate`, `survey-test` and `compound-test`: files, and a copy in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lensdream import metrics
from lensdream.commands.paths import Paths
from lensdream.runtime.files import replaced_whole, write_json
from lensdream.tracking import StageRun


def record(run: StageRun, paths: Paths, stage: str, result: Mapping[str, object], drawn: Mapping[str, Figure]) -> None:
    """Write the metrics file of a stage and its figures by name, and log both; undefined numbers are not logged."""
    for name, figure in drawn.items():
        path = paths.figures / stage / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
        plt.close(figure)
        run.figure(path)
    write_json(paths.metrics(stage), result)
    run.metrics(dict(metrics.values_of(result)))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, and its folder if missing; the file appears whole or not at all."""
    with replaced_whole(path) as part:
        table.to_parquet(part, index=False)
