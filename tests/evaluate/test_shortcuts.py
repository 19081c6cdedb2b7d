"""Checks for shortcuts, on cases whose answer is known."""

import numpy as np
import pytest
import torch

from conftest import SURVEY_SIMULATE, join, random_scene
from lensdream.evaluate import shortcuts
from lensdream.instrument import EUCLID, Band
from lensdream.render.batch import renderer_of
from lensdream.scene import SOURCES, Role

RNG = np.random.default_rng(0)


def test_brightness_is_found_at_fixed_signal_to_noise_only():
    n = 600
    snr = np.repeat([22.0, 35.0, 150.0], n // 3)
    magnitude = RNG.uniform(18, 23, n) - np.log(snr)  # bright deflectors have clear arcs
    by_arcs = shortcuts.magnitude_dependence(snr, magnitude, np.log(snr) + 0.1 * RNG.normal(size=n))
    assert by_arcs["spearman"]["low"] < 0 < by_arcs["spearman"]["high"]
    by_brightness = shortcuts.magnitude_dependence(snr, magnitude, 5 * np.log(snr) - 2 * magnitude)
    assert by_brightness["spearman"]["value"] == pytest.approx(-1, abs=1e-4)
    assert [row["slope"] for row in by_brightness["bins"]] == pytest.approx([-2, -2, -2])
    assert [(row["low"], row["high"], row["n"]) for row in by_brightness["bins"]] == [
        (20, 25, 200), (30, 40, 200), (100, 200, 200)
    ]  # fmt: skip


def test_bins_of_a_few_lenses_are_left_out():
    found = shortcuts.magnitude_dependence(np.full(5, 30.0), np.arange(5.0), np.arange(5.0))
    assert found["bins"] == []
    assert np.isnan(found["spearman"]["value"])


def test_removed_arcs_are_counted():
    found = shortcuts.arcs_removed(
        np.array([3.0, 2.0, 1.0, 0.5]), np.array([-1.0, 1.5, 1.5, -2.5]), {"0.5": 0.0, "survey_1e-3": 1.75}
    )
    assert (found["n"], found["falls"]["value"], found["median_fall"]) == (4, 0.75, 1.75)
    assert (found["above_0.5_with_arcs"]["value"], found["above_0.5_without"]["value"]) == (1, 0.5)
    assert (found["above_survey_1e-3_with_arcs"]["value"], found["above_survey_1e-3_without"]["value"]) == (0.5, 0)


def test_lenses_keep_their_noise_without_their_arcs():
    scenes = join([random_scene(RNG, k % 2, index=k) for k in range(8)])
    scenes.scenes.loc[1, "label"] = -1
    chosen = shortcuts.lenses_of(scenes, 2)
    assert chosen.scenes["index"].tolist() == [3, 7]
    bare = chosen.without(SOURCES)
    assert not bare.components["role"].isin([Role.SOURCE_1, Role.SOURCE_2]).any()
    renderer = renderer_of(SURVEY_SIMULATE)
    whole, without = renderer.render(chosen), renderer.render(bare)
    noise, bare_noise = (one.images - one.noiseless for one in (whole, without))
    assert without.noiseless.sum() < whole.noiseless.sum()
    dark = (whole.noiseless - without.noiseless) < 1e-5
    assert dark.any()
    assert torch.allclose(noise[dark], bare_noise[dark], atol=1e-5)


def images_of(colours, n=200):
    """Labels, and images (2 n, band, 4, 4) of lenses with these sky scatters a band, and of non-lenses with one in each."""
    labels = np.repeat([1, 0], n)
    sky = torch.tensor(EUCLID.sky_sigma)[:, None, None]
    images = torch.ones(2 * n, len(Band), 4, 4)
    images[:n] *= torch.tensor(colours)[:, None, None]
    return (images + 0.3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))) * sky, labels


def scores_of(weights):
    """A network that adds up bands with these weights, in units of their sky."""
    factors = torch.tensor(weights) / torch.tensor(EUCLID.sky_sigma)
    return lambda images: (images.float() * factors[:, None, None]).sum((1, 2, 3)).numpy()


def test_a_network_of_one_band_needs_that_band():
    found = shortcuts.changed_bands(scores_of([1.0, 0, 0, 0]), *images_of([3.0, 1, 1, 1]), 20, 0)
    assert found["as_they_are"]["auroc"]["value"] == found["without_H"]["auroc"]["value"] == 1
    assert found["without_near_infrared"]["tpr_at_fpr_1e-2"]["value"] == 1
    assert found["near_infrared_shuffled"]["auroc"]["value"] == 1
    assert found["without_VIS"]["auroc"]["value"] == 0.5
    assert found["bands_shuffled"]["auroc"]["value"] < 0.8


def test_a_network_that_sees_colour_loses_by_shuffled_bands_and_one_that_adds_them_up_does_not():
    images, labels = images_of([1.0, 1, 1, 2])
    colour = shortcuts.changed_bands(scores_of([0, -1.0, -1, 2]), images, labels, 20, 0)
    assert colour["as_they_are"]["auroc"]["value"] > 0.99
    assert colour["near_infrared_shuffled"]["auroc"]["high"] < 0.8
    flux = shortcuts.changed_bands(scores_of([1.0, 1, 1, 1]), images, labels, 20, 0)
    for name in ("near_infrared_shuffled", "bands_shuffled"):
        assert flux[name]["auroc"]["value"] == pytest.approx(flux["as_they_are"]["auroc"]["value"], abs=1e-4)


def test_shuffled_bands_all_stay_and_never_where_they_were():
    images, _ = images_of([1.0, 2, 3, 4], 20)
    changed = shortcuts.shuffled(*Band)(images, torch.Generator().manual_seed(0))
    sky = torch.tensor(EUCLID.sky_sigma)[:, None, None]
    assert torch.allclose((changed / sky).sort(1).values, (images / sky).sort(1).values, atol=1e-5)
    assert not (changed == images).all((1, 2, 3)).any()
    infrared = shortcuts.shuffled(Band.Y, Band.J, Band.H)(images, torch.Generator().manual_seed(0))
    assert torch.equal(infrared[:, Band.VIS], images[:, Band.VIS])


def test_dropped_bands_are_zeros_and_the_images_stay_as_they_were():
    images, _ = images_of([1.0, 2, 3, 4], 2)
    before = images.clone()
    changed = shortcuts.without(Band.Y, Band.H)(images, torch.Generator())
    assert torch.equal(images, before)
    assert not changed[:, [Band.Y, Band.H]].any()
    assert torch.equal(changed[:, [Band.VIS, Band.J]], images[:, [Band.VIS, Band.J]])
