"""What a stage has measured is written and logged in one place."""

import json

import pandas as pd
from matplotlib.figure import Figure

from lensdream.commands.paths import Paths
from lensdream.commands.results import record, record_numbers


class Run:
    """What the tracker is given."""

    def __init__(self):
        self.values, self.files = {}, []

    def metrics(self, values):
        self.values |= values

    def figure(self, path):
        self.files.append(("figures", path.name))

    def artifact(self, path, folder):
        self.files.append((folder, path.name))


def test_metrics_figures_and_curves_are_written_and_logged(tmp_path):
    run, paths = Run(), Paths("tiny", tmp_path)
    result = {
        "n": 3,
        "auroc": {"value": 0.5, "low": 0.4, "high": float("nan")},
        "tpr": dict.fromkeys(("value",), float("nan")),
    }
    curve = pd.DataFrame({"fpr": [1 / 3, 1.0], "tpr": [0.5, 1.0]})
    record(run, paths, "evaluate", result, {"roc": Figure(figsize=(1, 1))}, curves={"roc": curve})
    written = json.loads(paths.metrics("evaluate").read_text())
    assert written == {"n": 3, "auroc": {"value": 0.5, "low": 0.4, "high": None}, "tpr": {"value": None}}
    assert (tmp_path / "metrics/tiny/plots/roc.csv").read_text() == "fpr,tpr\n0.333333,0.5\n1,1\n"
    assert run.values == {"auroc": 0.5}
    assert run.files == [("figures", "roc.png"), ("plots", "roc.csv")]
    assert (tmp_path / "figures/tiny/evaluate/roc.png").is_file()


def test_a_number_that_is_not_defined_is_written_as_null_and_not_logged(tmp_path):
    run, paths = Run(), Paths("tiny", tmp_path)
    record_numbers(run, paths, "headline", {"auroc": 0.5, "tpr_1e-3": None})
    assert json.loads(paths.metrics("headline").read_text()) == {"auroc": 0.5, "tpr_1e-3": None}
    assert run.values == {"auroc": 0.5}
