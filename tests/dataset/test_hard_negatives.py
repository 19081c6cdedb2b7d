"""Fresh non-lenses that the network takes for lenses join its training."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import (
    POPULATION,
    SIMULATE,
    TRAINING_FIT,
    blobs,
    catalogs,  # noqa: F401
    lensnet,
    measures_of,
)
from lensdream.config import ConfigError, Training
from lensdream.dataset import hard_negatives
from lensdream.dataset.hard_negatives import HARD_LOGIT, Round, WithHardNegatives, rounds, rows_to_replace
from lensdream.population import drawing
from lensdream.population.drawing import SceneDrawer
from lensdream.train.loop import fit

TRAINING_FIT = dataclasses.replace(TRAINING_FIT, epochs=6)


class Brightness(torch.nn.Module):
    """Scores an image by its brightest VIS pixel: the logit is that pixel's flux."""

    def forward(self, images):
        return images[:, 0].amax((1, 2))


def flat(values):
    """Images (N, 4, 32, 32) of one brightness each."""
    return torch.tensor(values, dtype=torch.float16)[:, None, None, None].expand(-1, 4, 32, 32).clone()


def stored():
    """Four lenses and eight easy non-lenses, all dark, and two hard ones."""
    data = blobs(14, 1)
    return dataclasses.replace(data, images=flat([-4.0] * 12 + [0.0, 0.5]), labels=torch.tensor([1.0] * 4 + [0.0] * 10))


def made(tmp_path, draw, n=20, epochs=(2, 4)):
    """Images with a round before each of these epochs."""
    due = [Round(k, epoch, tmp_path / f"round-{k}.pt") for k, epoch in enumerate(epochs)]
    return WithHardNegatives(
        stored(),
        draw,
        n,
        due,
        "these",
    )


def bright(number):
    """Twenty fresh ones in two parts: five hard in the first round, one in the second."""
    hard = [3.0, 2.0, 1.0, 0.5, -0.5][: 5 if number == 0 else 1]
    values = np.array([-3.0] * (20 - len(hard)) + hard)
    yield flat(values[:10]).numpy()
    yield flat(values[10:]).numpy()


def test_hard_ones_take_the_places_of_easy_ones(tmp_path):
    images = made(tmp_path, bright)
    before = images.epoch(1, Brightness())
    assert (before.images == stored().images).all()
    assert before.weights.tolist() == [1] * 14
    after = images.epoch(2, Brightness())
    brightness = after.images[:, 0, 0, 0]
    assert len(after) == len(images) == 14
    assert after.labels.tolist() == stored().labels.tolist()
    assert (brightness[after.labels == 1] == -4).all()  # no lens gave its place
    # four of the eight easy ones went, for the first four of the five hard ones
    assert sorted(brightness[after.labels == 0].tolist()) == [-4] * 4 + [0, 0.5, 0.5, 1, 2, 3]
    gone_on = made(tmp_path, bright)  # as after the last epoch: none is left that asks for its images
    for n_distinct in (images.n_distinct, gone_on.n_distinct):
        assert [n_distinct(2), n_distinct(3), n_distinct(6)] == [14, 18, 18]


def test_every_image_weighs_as_if_all_fresh_ones_had_been_stored(tmp_path):
    images = made(tmp_path, bright)
    data = images.epoch(2, Brightness())
    hard = (data.labels == 0) & (data.images[:, 0, 0, 0] > HARD_LOGIT)
    assert data.weights[hard].tolist() == pytest.approx([10 / 30] * 6)  # ten stored non-lenses, twenty fresh
    assert data.weights[(data.labels == 0) & ~hard].tolist() == [2] * 4  # for the eight that there were
    assert data.weights[data.labels == 1].tolist() == [1] * 4
    later = images.epoch(4, Brightness())
    hard = (later.labels == 0) & (later.images[:, 0, 0, 0] > HARD_LOGIT)
    assert hard.sum() == 7
    assert later.weights[hard].tolist() == pytest.approx([10 / 50] * 7)
    assert later.weights[later.labels == 0].sum() == pytest.approx(10)


def test_a_round_that_finds_nothing_changes_no_image(tmp_path):
    images = made(tmp_path, lambda number: iter([flat([-3.0] * 20).numpy()]), epochs=(1,))
    data = images.epoch(1, Brightness())
    assert (data.images == stored().images).all()
    assert images.n_distinct(9) == 14


def test_no_more_than_half_of_the_easy_ones_go():
    rows = rows_to_replace(torch.tensor([True] * 9 + [False]), 100, 0)
    assert len(rows) == len(set(rows.tolist())) == 4
    assert 9 not in rows


@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_killed_training_with_hard_negatives_ends_with_the_same_weights(killed_at, tmp_path):
    """Killed after the first round, after the second, and amid the epochs between."""
    looked = []

    def draw(number):
        looked.append(number)
        fresh = blobs(40, 7 + number)
        yield fresh.images[fresh.labels == 1].numpy()  # squares that are no lenses

    def images(folder):
        due = rounds(2, TRAINING_FIT.epochs, folder / "kept")
        assert [r.epoch for r in due] == [2, 4]
        return WithHardNegatives(blobs(96, 1), draw, 20, due, "these")

    validation = blobs(32, 2)
    whole = fit(lensnet, TRAINING_FIT, images(tmp_path / "whole"), validation)
    assert looked == [0, 1]

    def killed(record, model, best):
        if record.epoch == killed_at:
            raise KeyboardInterrupt

    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        fit(lensnet, TRAINING_FIT, images(folder), validation, checkpoint=folder / "train.pt", on_epoch=killed)
    torch.manual_seed(99)
    resumed = fit(lensnet, TRAINING_FIT, images(folder), validation, checkpoint=folder / "train.pt")
    assert looked == [0, 1, 0, 1]  # no round a second time
    assert measures_of(resumed) == measures_of(whole)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_hard_negatives_kept_by_another_training_are_not_used(tmp_path):
    made(tmp_path, bright).epoch(2, Brightness())
    other = WithHardNegatives(stored(), lambda number: iter([flat([-3.0] * 20).numpy()]), 20, [
        Round(0, 2, tmp_path / "round-0.pt")
    ], "others")  # fmt: skip
    assert (other.epoch(2, Brightness()).images == stored().images).all()


def test_fresh_non_lenses_are_none_of_the_store_s_and_of_every_family(catalogs, monkeypatch):  # noqa: F811
    monkeypatch.setattr(drawing, "draw_all_catalogs", lambda settings: catalogs)
    draw = hard_negatives.fresh_non_lenses(POPULATION, dataclasses.replace(SIMULATE, workers=0), 60)
    first, second = (np.concatenate(list(draw(number))) for number in (0, 1))
    assert first.shape == (60, 4, SIMULATE.stamp, SIMULATE.stamp)
    assert not (first == second).all((1, 2, 3)).any()
    only = dataclasses.replace(POPULATION, lens_fraction=0.0)
    chunks = drawing.labelled_chunks(only, "train", 60, hard_negatives.FIRST_EPOCH)
    scenes = drawing.joined(map(SceneDrawer.start(only, catalogs).draw, chunks)).scenes
    assert (scenes["label"] == 0).all()
    assert scenes["family"].nunique() > 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hard_rounds": 0}, "hard_rounds = 0 do not fit between 6 epochs"),
        ({"hard_rounds": 6}, "hard_rounds = 6 do not fit between 6 epochs"),
        ({"fresh_scenes": 9}, "set one of them to 0"),
    ],
)
def test_rounds_that_cannot_be_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        Training(TRAINING_FIT, **{"hard_negatives": 40, "hard_rounds": 2} | change)


def test_rounds_leave_epochs_to_learn_in():
    due = rounds(2, 9, Path("kept"))
    assert [(r.epoch, r.path.name) for r in due] == [(3, "round-0.pt"), (6, "round-1.pt")]
