"""Curves of a training."""

import pandas as pd

from lensdream.plots import curves

TABLE = pd.DataFrame({
    "epoch": [0, 1, 2], "train_loss": [0.6, 0.3, 0.1], "validation_loss": [0.6, 0.4, 0.5],
    "train_accuracy": [0.7, 0.9, 1.0], "validation_accuracy": [0.7, 0.8, 0.8], "kept": [0, 1, 0],
})  # fmt: skip


def test_losses_and_accuracies_have_a_panel_each_and_the_kept_epoch_is_marked():
    losses, accuracies = curves.draw(TABLE, "LensNet").axes
    for axes, name in ((losses, "loss"), (accuracies, "accuracy")):
        drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
        assert drawn["training"] == TABLE[f"train_{name}"].tolist()
        assert drawn["validation"] == TABLE[f"validation_{name}"].tolist()
        assert list(axes.lines[2].get_xdata()) == [1, 1]


def test_a_training_without_accuracies_has_its_losses_alone():
    (losses,) = curves.draw(TABLE[["epoch", "train_loss", "validation_loss"]], "OU-66").axes
    assert len(losses.lines) == 2
