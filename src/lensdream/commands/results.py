"""Results of the commands that measure a finder: metrics, figures and curves as files, and a copy of them in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lensdream import metrics
from lensdream.commands.paths import Paths
from lensdream.plots.encoded import jpeg, png
from lensdream.runtime.files import replaced_whole, write_json, write_whole
from lensdream.tracking import StageRun

DPI = 120
"""of charts"""


def record(
    run: StageRun,
    paths: Paths,
    stage: str,
    result: Mapping[str, object],
    drawn: Mapping[str, Figure],
    *,
    curves: Mapping[str, pd.DataFrame] | None = None,
    sheets: Mapping[str, Figure] | None = None,
) -> None:
    """Write the metrics file of a stage, its figures and its curves by name, and log them; undefined numbers are not logged.

    curves: tables for DVC's plots; sheets: figures of many images, written as JPEG.
    """
    files = {f"{name}.png": png(figure, DPI) for name, figure in drawn.items()}
    files |= {f"{name}.jpg": jpeg(figure) for name, figure in (sheets or {}).items()}
    for name, content in files.items():
        write_whole(paths.figures / stage / name, content)
        run.figure(paths.figures / stage / name)
    for figure in (*drawn.values(), *(sheets or {}).values()):
        plt.close(figure)
    for name, table in (curves or {}).items():
        path = paths.plots / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False, float_format="%.6g")
        run.artifact(path, "plots")
    write_json(paths.metrics(stage), result)
    run.metrics(dict(metrics.values_of(result)))


def record_numbers(run: StageRun, paths: Paths, name: str, values: Mapping[str, float | None]) -> None:
    """Write numbers as the metrics file of this name, and log those that are defined."""
    write_json(paths.metrics(name), values)
    run.metrics({key: value for key, value in values.items() if value is not None})


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, and its folder if missing; the file appears whole or not at all."""
    with replaced_whole(path) as part:
        table.to_parquet(part, index=False)
