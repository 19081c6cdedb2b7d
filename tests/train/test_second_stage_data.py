"""The second stage: its training set, its trainings, and its place in the cascade; on small stores of its own."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import FRESH, INLINE, MIX, POPULATION, SURVEY, Brightness, write_images
from lensdream.dataset.store import ImageStore
from lensdream.families import LENS
from lensdream.instrument import Band
from lensdream.population import drawing
from lensdream.population.drawing import Chunk, SceneDrawer
from lensdream.train import second_stage_data
from lensdream.train.second_stage_data import (
    EPOCH,
    HARD_FAMILIES,
    HARD_FAMILIES_EPOCH,
    TARGETS_EPOCH,
    OnTheFlyMix,
    gated_images,
    gated_validation,
)


def flat(values):
    """Images (N, 4, 40, 40) of one brightness each."""
    return np.broadcast_to(np.array(values, np.float16)[:, None, None, None], (len(values), len(Band), 40, 40))


@pytest.fixture
def store(tmp_path):
    """Of the training split 6 lenses, 5 past the gate, and 10 non-lenses, 2 past it; one undetectable; validation.

    Of the non-lenses 2 are ring galaxies, one past the gate.
    """
    values = [5.0] * 5 + [-4.0] + [-4.0] * 8 + [-2.0, 1.0] + [5.0] + [4.0, 4.0, -4.0, -4.0, 0.5]
    truth = pd.DataFrame(
        {
            "label": [1] * 6 + [0] * 10 + [-1] + [1, 1, 1, 0, 0],
            "split": ["train"] * 17 + ["validation"] * 5,
            "family": ["lens"] * 6 + ["star"] * 7 + ["ring"] * 2 + ["star", "lens"] + ["lens"] * 3 + ["ring"] * 2,
        }
    )
    write_images(tmp_path / "images", truth, flat(values))
    return ImageStore.open(tmp_path / "images")


@pytest.fixture
def drawn(monkeypatch):
    """Two fresh lenses and 60 fresh non-lenses, of which 3 pass the gate, in place of rendered ones; how often drawn.

    Of those three one is a survey's ring galaxy, two are of the hard families' chunks.
    """
    times = []

    def draw(self):
        times.append(self.n)
        yield (
            Chunk("lens", "train", 0, 2, 28, EPOCH),
            flat([3.0, 3.0] + [-9.0] * 28),
            np.array([1, 1] + [0] * 28, np.float32),
        )
        yield Chunk("ring", "train", 0, 3, epoch=HARD_FAMILIES_EPOCH), flat([2.0, 2.0, -9.0]), np.zeros(3, np.float32)
        yield Chunk("ring", "train", 0, 29, epoch=TARGETS_EPOCH), flat([2.0] + [-9.0] * 28), np.zeros(29, np.float32)

    monkeypatch.setattr(OnTheFlyMix, "draw", draw)
    return times


def test_the_second_stage_is_trained_on_images_above_the_gate_alone(store, drawn, tmp_path):
    learnt = gated_images(store, Brightness(), FRESH, tmp_path / "kept.pt", ["a"])
    brightness = learnt.data.images[:, 0, 0, 0].tolist()
    assert brightness == [5] * 5 + [-2, 1] + [3, 3] + [2] * 3
    assert learnt.data.labels.tolist() == [1] * 5 + [0, 0] + [1, 1] + [0] * 3
    assert len(learnt) == learnt.n_distinct(7) == 12
    assert learnt.epoch(0) is learnt.epoch(5)


def test_non_lenses_weigh_as_if_as_many_lenses_had_been_drawn(store, drawn, tmp_path):
    learnt = gated_images(store, Brightness(), FRESH, tmp_path / "kept.pt", ["a"])
    lenses, non_lenses = 6 + 10, 10 + 30  # of the store, and a quarter and three quarters of 40; not a survey's
    assert learnt.data.weights[learnt.data.labels == 0].tolist() == pytest.approx([lenses / non_lenses] * 5)
    assert (learnt.data.weights[learnt.data.labels == 1] == 1).all()


def test_one_plain_lens_in_four_is_kept_with_fourfold_weight():
    values = [7.0] * 10 + [9.0] * 2 + [5.0, -4.0, 7.0, -4.0]
    labels = torch.tensor([1.0] * 14 + [0.0] * 2)
    weights = second_stage_data.training_weights(Brightness(), torch.from_numpy(flat(values).copy()).float(), labels)
    assert weights.tolist() == [0, 0, 4, 0] * 3 + [1, 0, 1, 0]
    assert weights[:12].sum() == 12  # as all of the plain ones would


def test_hard_families_weigh_what_their_share_is(store, drawn, tmp_path):
    more = dataclasses.replace(FRESH, n_hard_families=16)
    in_shares = 2 + sum(
        chunk.n for chunk in FRESH.chunks if chunk.family == "ring"
    )  # of the store and of the fresh scenes
    learnt = gated_images(store, Brightness(), more, tmp_path / "kept.pt", ["a"])
    usual = (6 + 10) / (10 + 30)
    ring = usual * in_shares / (in_shares + 16)
    # of the store a ring galaxy and a star, then two hard families, and one of a survey, with its own share
    assert learnt.data.weights[learnt.data.labels == 0].tolist() == pytest.approx([ring, usual, ring, ring, usual])


def test_hard_families_are_drawn_besides(few_catalogs):
    more = dataclasses.replace(FRESH, n_hard_families=5)
    assert (more.chunks, more.target_chunks) == (FRESH.chunks, FRESH.target_chunks)
    assert FRESH.hard_family_chunks == []
    drawn_chunks, labels = zip(*((chunk, label) for chunk, _, label in more.draw()), strict=True)
    assert list(drawn_chunks) == more.chunks + more.hard_family_chunks + more.target_chunks
    besides = [label for chunk, label in zip(drawn_chunks, labels, strict=True) if chunk.epoch == HARD_FAMILIES_EPOCH]
    assert sum(map(len, besides)) == 5 * len(HARD_FAMILIES)
    assert not np.concatenate(besides).any()
    others, alone = (
        drawing.joined(map(SceneDrawer.start(more.population, few_catalogs).draw, chunks)).scenes["seed"]
        for chunks in (more.chunks + more.target_chunks, more.hard_family_chunks)
    )
    assert not set(others) & set(alone)


def test_a_training_that_goes_on_draws_nothing_again(store, drawn, tmp_path):
    once = gated_images(store, Brightness(), FRESH, tmp_path / "kept.pt", ["a"])
    again = gated_images(store, Brightness(), FRESH, tmp_path / "kept.pt", ["a"])
    assert len(drawn) == 1
    assert torch.equal(once.data.images, again.data.images)
    assert once.identity == again.identity


@pytest.mark.parametrize(
    "other",
    [{"digests": ["b"]}, {"scenes": dataclasses.replace(FRESH, n_targets=51)},
     {"scenes": dataclasses.replace(FRESH, n_hard_families=1)},
     {"scenes": dataclasses.replace(FRESH, survey=dataclasses.replace(SURVEY, near_miss=0.5))}],
)  # fmt: skip
def test_other_networks_or_scenes_are_another_training(other, store, drawn, tmp_path):
    given = {"digests": ["a"], "scenes": FRESH}
    first = gated_images(store, Brightness(), kept=tmp_path / "kept.pt", **given)
    second = gated_images(store, Brightness(), kept=tmp_path / "kept.pt", **(given | other))
    assert len(drawn) == 2
    assert first.identity != second.identity


def test_the_second_stage_is_validated_on_images_above_the_gate(store):
    found = gated_validation(store, Brightness())
    assert found.images[:, 0, 0, 0].tolist() == [4, 4, 0.5]
    assert found.labels.tolist() == [1, 1, 0]


def test_a_validation_without_a_label_names_the_remedy(tmp_path):
    truth = pd.DataFrame({"label": [1, 0], "split": ["validation"] * 2})
    write_images(tmp_path / "images", truth, flat([4.0, -4.0]))
    with pytest.raises(
        ValueError, match=r"1 images .* pass the gate .* labels \[1\], both .* raise population.validation"
    ):
        gated_validation(ImageStore.open(tmp_path / "images"), Brightness())


def test_fresh_scenes_are_as_many_as_asked_for_and_in_chunks_of_their_own(few_catalogs):
    parts = list(FRESH.draw())
    labels = np.concatenate([part for *_, part in parts])
    assert len(labels) == 40 + 50
    assert labels.sum() == 10
    assert all(len(pixels) == len(part) for _, pixels, part in parts)
    of_store, fresh = (SceneDrawer.start(settings, few_catalogs) for settings in (POPULATION, FRESH.population))
    stored = drawing.joined(map(of_store.draw, drawing.labelled_chunks(POPULATION, "train")))
    chunks = drawing.joined(map(fresh.draw, FRESH.chunks + FRESH.target_chunks))
    assert not set(stored.scenes["seed"]) & set(chunks.scenes["seed"])
    assert set(chunks.scenes["split"]) == {"train"}
    assert chunks.scenes["family"].nunique() > 8


def test_the_fresh_lenses_are_of_rare_kinds_as_often_as_the_training_asks(few_catalogs):
    assert FRESH.population == dataclasses.replace(POPULATION, rare_lenses=0.6)
    none = OnTheFlyMix.of(POPULATION, INLINE, SURVEY, dataclasses.replace(MIX, rare_lenses=0.0))
    assert none.identity != FRESH.identity
    for (chunk, ours, label), (_, others, other_label) in zip(FRESH.draw(), none.draw(), strict=True):
        assert np.array_equal(label, other_label)
        assert np.array_equal(ours, others) == (chunk.family != LENS)  # lenses and their controls are others
