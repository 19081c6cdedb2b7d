"""A survey's targets in its proportions."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from conftest import FRESH, IN_SURVEY, MIX, POPULATION, SIMULATE, SURVEY, write_images
from lensdream import families
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import stream
from lensdream.families import LENS, NEAR_MISS, NON_LENS_CLASSES
from lensdream.instrument import Band
from lensdream.population import drawing
from lensdream.train.second_stage_data import OnTheFlyMix, classes_per_lens


def test_a_survey_s_early_types_are_of_two_kinds():
    assert sum(IN_SURVEY.values()) == pytest.approx(1)
    shares = SURVEY.non_lens_shares
    assert IN_SURVEY[NEAR_MISS] == pytest.approx(shares["elliptical"] * SURVEY.near_miss)
    assert IN_SURVEY[NEAR_MISS] + IN_SURVEY[families.PAIRED] == pytest.approx(shares["elliptical"])
    assert IN_SURVEY["ring"] == shares["ring"]
    assert tuple(IN_SURVEY) == NON_LENS_CLASSES


def test_the_classes_per_lens_add_up_to_the_non_lenses_per_lens(tmp_path):
    truth = pd.DataFrame({"family": ["lens", "ring", "elliptical", "field"], "label": [1, 0, 0, 0], "split": "train"})
    write_images(tmp_path / "images", truth, np.zeros((4, len(Band), 40, 40)))
    found = classes_per_lens(ImageStore.open(tmp_path / "images"), FRESH)
    in_shares = 3 + 30  # of the store, and fresh ones; they weigh what the lenses do, those of a survey come on top
    assert sum(found.values()) == pytest.approx((in_shares + 50) / in_shares)
    controls = sum(chunk.controls for chunk in FRESH.chunks)
    early = target_mix.counts(50, SURVEY.non_lens_shares)["elliptical"]
    ring = (
        sum(chunk.n for chunk in FRESH.chunks if chunk.family == "ring")
        + target_mix.counts(50, SURVEY.non_lens_shares)["ring"]
    )
    numbers = {
        NEAR_MISS: 1 + controls + early * SURVEY.near_miss,
        "elliptical": early * (1 - SURVEY.near_miss), "ring": 1 + ring,
    }  # fmt: skip
    assert {name: found[name] * in_shares for name in numbers} == pytest.approx(numbers)
    more = OnTheFlyMix.of(POPULATION, SIMULATE, SURVEY, dataclasses.replace(MIX, hard_families=7))
    assert classes_per_lens(ImageStore.open(tmp_path / "images"), more) == found  # they weigh what their share is


@pytest.mark.parametrize("n", [100, 1999, 2000, 100_000])
def test_proportions_are_kept_exactly(n):
    numbers = target_mix.counts(n, SURVEY.non_lens_shares)
    assert sum(numbers.values()) == n
    assert all(abs(numbers[name] - n * share) < 1 for name, share in SURVEY.non_lens_shares.items())
    tasks = target_mix.chunks(numbers, stream.SPLIT, stream.EPOCH)
    assert sum(chunk.n + chunk.controls for chunk in tasks) == n
    assert all(chunk.n + chunk.controls <= drawing.CHUNK_SIZE for chunk in tasks)
    assert sum(chunk.controls for chunk in tasks) == numbers["elliptical"]
    assert not any(chunk.n for chunk in tasks if chunk.family == LENS)
    assert len({(chunk.family, chunk.number) for chunk in tasks}) == len(tasks)


def test_round_shares_of_round_numbers_are_exact():
    assert target_mix.counts(100_000, SURVEY.non_lens_shares) == {
        name: round(100_000 * share) for name, share in SURVEY.non_lens_shares.items()
    }
    assert target_mix.counts(10, {"a": 0.25, "b": 0.25, "c": 0.5}) == {"a": 3, "b": 2, "c": 5}
