"""Pages of a search: the table of its trials and two figures."""

from __future__ import annotations

import math

import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from lensdream.tuning.space import SPACE, settings_of

JUDGED = (TrialState.COMPLETE, TrialState.PRUNED)
FEWEST = 8
"""completed trials that the importance of a setting can be estimated from"""


def trials_table(study: optuna.Study) -> pd.DataFrame:
    """Judged trials, best first: `trial state validation_auroc epochs seconds`, then the settings.

    A pruned trial's `validation_auroc` is that of the epoch in which it was given up.
    """
    rows = []
    for trial in study.get_trials(states=JUDGED, deepcopy=False):
        by_epoch = trial.intermediate_values
        value = trial.value if trial.state is TrialState.COMPLETE else by_epoch.get(max(by_epoch, default=0), math.nan)
        about = {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "validation_auroc": value,
            "epochs": len(by_epoch),
            "seconds": math.nan if trial.duration is None else round(trial.duration.total_seconds(), 1),
        }
        rows.append(about | settings_of(trial.params))
    table = pd.DataFrame(rows, columns=["trial", "state", "validation_auroc", "epochs", "seconds", *SPACE])
    return table.sort_values(["state", "validation_auroc"], ascending=[True, False], ignore_index=True)


def importances(study: optuna.Study) -> dict[str, float]:
    """Share of the variance of completed trials that each setting accounts for (fANOVA, Hutter et al. 2014).

    Empty where too few trials are complete, or all scored the same.
    """
    values = [trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,), deepcopy=False)]
    if len(values) < FEWEST or len(set(values)) == 1:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return {
        name: float(share)
        for name, share in optuna.importance.get_param_importances(study, evaluator=evaluator).items()
    }


def history(table: pd.DataFrame) -> Figure:
    """Figure of the score of every trial in order, and the best so far."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    ordered = table.sort_values("trial")
    for state, colour in (("complete", "tab:blue"), ("pruned", "0.7")):
        some = ordered[ordered["state"] == state]
        axes.plot(some["trial"], some["validation_auroc"], "o", color=colour, ms=4, label=state)
    done = ordered[ordered["state"] == "complete"]
    axes.plot(done["trial"], done["validation_auroc"].cummax(), color="tab:orange", label="best so far")
    axes.set(xlabel="trial", ylabel="validation AUROC")
    axes.legend()
    return figure


def slices(table: pd.DataFrame, shares: dict[str, float]) -> Figure:
    """Figure of the score against each setting, with its importance where that is known."""
    columns = 4
    figure = Figure(figsize=(3 * columns, 2.8 * math.ceil(len(SPACE) / columns)), layout="constrained")
    all_axes = figure.subplots(math.ceil(len(SPACE) / columns), columns, sharey=True, squeeze=False).ravel()
    for axes, (name, distribution) in zip(all_axes, SPACE.items(), strict=False):
        for state, colour in (("pruned", "0.7"), ("complete", "tab:blue")):
            some = table[table["state"] == state]
            axes.plot(some[name], some["validation_auroc"], "o", color=colour, ms=4)
        if isinstance(distribution, FloatDistribution) and distribution.log:
            axes.set_xscale("log")
        axes.set_title(f"{name}, importance {shares[name]:.2f}" if name in shares else name, fontsize="medium")
    for axes in all_axes[len(SPACE) :]:
        axes.axis("off")
    figure.supylabel("validation AUROC; grey: pruned, when it was given up")
    return figure
