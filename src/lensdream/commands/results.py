"""Results of the commands `evaluate`, `survey-test`, `survey-peers` and `compound-test`: files, and a copy in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lensdream import metrics
from lensdream.commands.paths import Paths
from lensdream.plots.encoded import jpeg, png
from lensdream.runtime.files import write_json, write_whole
from lensdream.tracking import StageRun

DPI = 120
"""of charts"""


def record(
    run: StageRun,
    paths: Paths,
    stage: str,
    result: Mapping[str, object],
    drawn: Mapping[str, Figure],
    sheets: Mapping[str, Figure] | None = None,
) -> None:
    """Write the metrics file of a stage and its figures by name, and log both; undefined numbers are not logged.

    sheets: figures of many images by name, written as JPEG.
    """
    files = {f"{name}.png": png(figure, DPI) for name, figure in drawn.items()}
    files |= {f"{name}.jpg": jpeg(figure) for name, figure in (sheets or {}).items()}
    for name, content in files.items():
        write_whole(paths.figures / stage / name, content)
        run.figure(paths.figures / stage / name)
    for figure in (*drawn.values(), *(sheets or {}).values()):
        plt.close(figure)
    write_json(paths.metrics(stage), result)
    run.metrics(dict(metrics.values_of(result)))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, and its folder if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)
