"""Removal of pixels from images whose logit is a sum."""

import numpy as np
import pytest
import torch

from lensdream.evaluate.explanations import measure
from lensdream.explain.removal import removal_shares, remove
from lensdream.instrument import N_BANDS


@pytest.fixture
def images():
    return torch.rand(2, N_BANDS, 8, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def total(images):
    return images.sum((1, 2, 3))


def test_curves_run_from_the_image_to_the_fill(images):
    fill = torch.full_like(images, 0.25)
    result = remove(total, images, images[:, 0], fill=fill, steps=5, seed=0)
    for curve in (result.most_first, result.least_first):
        torch.testing.assert_close(curve[:, 0], total(images))
        torch.testing.assert_close(curve[:, -1], total(fill))


def test_true_order_falls_fastest_and_its_opposite_last(images):
    fill, truth = torch.zeros_like(images), images.sum(1)
    best, worst, random = (
        remove(total, images, maps, fill=fill, steps=8, seed=1).gap for maps in (truth, -truth, torch.ones_like(truth))
    )
    assert (best > 0).all()
    torch.testing.assert_close(worst, -best)
    assert (best > 3 * random.abs()).all()


def test_pixels_are_replaced_by_number_and_ties_by_chance(images):
    flat = torch.zeros_like(images[:, 0])
    result = remove(lambda x: (x[:, 0] == 9).sum((1, 2)).double(), images, flat, fill=images * 0 + 9, steps=4, seed=0)
    assert result.most_first[0].tolist() == (removal_shares(4) * 80).round().tolist()
    other = remove(total, images, flat, fill=images * 0, steps=4, seed=1).most_first
    assert not torch.equal(other, remove(total, images, flat, fill=images * 0, steps=4, seed=0).most_first)


def test_maps_of_another_shape_or_with_nan_are_refused(images):
    for maps in (images[:, 0, :5], images[:, 0] * torch.nan):
        with pytest.raises(ValueError, match="must be finite and of the shape"):
            remove(total, images, maps, fill=images, steps=4, seed=0)


def test_gap_is_the_difference_of_the_means():
    most, least = np.array([[3.0, 1.0], [1.0, 0.0]]), np.array([[3.0, 3.0], [1.0, 1.0]])
    result = measure.measure_removal({"map": (most, least)}, seed=0)
    assert result["n"] == 2
    assert result["map"]["most_first"]["value"] == pytest.approx(1.25)
    assert result["map"]["gap"]["value"] == pytest.approx(0.75)
