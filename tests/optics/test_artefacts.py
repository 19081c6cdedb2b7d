"""Artefacts in images: what each does to the pixels, and to no others."""

import numpy as np
import pytest
import torch

from lensdream.instrument import EUCLID, Band
from lensdream.optics.artefacts import ArtefactCounts, apply_artefacts

SKY_SIGMA = torch.tensor(EUCLID.sky_sigma)


STAMP = 80


def image():
    noise = torch.randn(4, STAMP, STAMP, generator=torch.Generator().manual_seed(0))
    return noise * SKY_SIGMA[:, None, None]


def spoil(row, seed=1):
    return apply_artefacts(image(), row, SKY_SIGMA, torch.Generator().manual_seed(seed))


def changed(row, seed=1):
    return spoil(row, seed) != image()


def test_an_image_without_artefacts_is_the_same_object():
    whole = image()
    assert apply_artefacts(whole, ArtefactCounts(edge_side=2), SKY_SIGMA, torch.Generator()) is whole


def test_the_image_that_comes_in_is_left_alone():
    whole = image()
    row = ArtefactCounts(3, 3, 2, 0.2, 1, 8)
    assert not torch.equal(apply_artefacts(whole, row, SKY_SIGMA, torch.Generator().manual_seed(2)), whole)
    assert torch.equal(whole, image())


def test_artefacts_follow_from_the_generator_alone():
    row = ArtefactCounts(4, 3, 2, 0.1, 3, 0)
    assert torch.equal(spoil(row), spoil(row))
    assert not torch.equal(spoil(row), spoil(row, seed=2))


def test_a_cosmic_ray_is_a_thin_bright_track_in_one_band():
    in_vis = 0
    for seed in range(40):
        excess = spoil(ArtefactCounts(cosmic_rays=1), seed) - image()
        touched = (excess.flatten(1) > 0).any(1)
        assert touched.sum() <= 1  # a track may start beyond the stamp
        assert (excess >= -1e-9).all()
        assert (excess.amax((1, 2)) <= 501 * SKY_SIGMA).all()
        if touched[Band.VIS]:
            in_vis += 1
            assert (excess[Band.VIS] > 0).sum() <= 2 * 25  # one pixel wide, a step to the side here and there
    assert 20 <= in_vis < 40


def test_a_hot_pixel_is_one_in_vis_and_smeared_in_the_near_infrared():
    sizes = {"VIS": set(), "near infrared": set()}
    for seed in range(60):
        excess = spoil(ArtefactCounts(hot_pixels=1), seed) - image()
        bands = (excess.flatten(1) > 1e-6).any(1).nonzero().flatten().tolist()
        if bands:
            ys, xs = (excess[bands[0]] > 1e-6).nonzero(as_tuple=True)
            size = int(max(ys.max() - ys.min(), xs.max() - xs.min())) + 1
            sizes["VIS" if bands[0] == Band.VIS else "near infrared"].add(size)
    assert sizes["VIS"] == {1}
    assert max(sizes["near infrared"]) <= 6
    assert max(sizes["near infrared"]) > 3


def test_a_dead_column_changes_whole_lines_of_one_band():
    for seed in range(20):
        difference = changed(ArtefactCounts(dead_columns=1), seed)
        bands = difference.flatten(1).any(1)
        assert bands.sum() == 1
        one = difference[bands][0]
        lines = one if one.any(1).sum() <= 3 else one.T
        width = int(lines.any(1).sum())
        assert 1 <= width <= (1 if bands[Band.VIS] else 3)
        assert lines[lines.any(1)].all()


@pytest.mark.parametrize(
    ("side", "beyond"),
    [(0, np.s_[:, :, :20]), (1, np.s_[:, :20, :]), (2, np.s_[:, :, -20:]), (3, np.s_[:, -20:, :])],
)
def test_beyond_the_edge_there_is_nothing_in_vis_or_in_the_near_infrared(side, beyond):
    seen = set()
    for seed in range(10):
        spoilt = spoil(ArtefactCounts(edge=0.25, edge_side=side), seed)
        blank_bands = tuple((spoilt[beyond].flatten(1) == 0).all(1).tolist())
        assert blank_bands in {(True, False, False, False), (False, True, True, True)}
        difference = spoilt != image()
        assert difference.sum() == sum(blank_bands) * 20 * STAMP
        seen.add(blank_bands)
    assert len(seen) == 2


@pytest.mark.parametrize("missing", [2, 4, 8, 14])
def test_a_missing_band_is_zero_and_the_others_are_untouched(missing):
    spoilt = spoil(ArtefactCounts(missing_bands=missing))
    for band in Band:
        if missing & 2**band:
            assert (spoilt[band] == 0).all()
        else:
            assert torch.equal(spoilt[band], image()[band])
