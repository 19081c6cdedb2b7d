"""The fit of the class prior, on classes drawn from known likelihoods."""

import numpy as np
import pytest
import torch

from conftest import FRESH, N_CLASSES, Brightness
from lensdream import families
from lensdream.dataset import on_the_fly, target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.families import NEAR_MISS, NON_LENS_CLASSES
from lensdream.instrument import Band
from lensdream.networks.lensnet import DeepLensNet, LensNetConfig
from lensdream.train import class_prior_fit


def test_fitted_likelihoods_are_those_that_images_were_drawn_of():
    """Normal distributions of equal width: the logarithms of their ratios are linear, and known."""
    rng = np.random.default_rng(5)
    centre = {2: np.array([0.0, 0.0]), 5: np.array([2.0, 0.0]), 9: np.array([0.0, 300.0])}  # scales differ
    scale = np.array([1.0, 150.0])
    classes = np.repeat(list(centre), 4000)
    features = (rng.normal(size=(len(classes), 2)) * scale + np.stack([centre[k] for k in classes])).astype(np.float32)
    trained_on = {name: float(k + 1) for k, name in enumerate(NON_LENS_CLASSES)}
    found = class_prior_fit.fit_class_prior(features, classes, trained_on, 1e-6)
    assert found.trained_on.tolist() == [float(k + 1) for k in range(N_CLASSES)]
    at = np.array([[0.0, 0.0], [1.0, 100.0], [2.5, -100.0]], np.float32)
    log_likelihoods = found(torch.from_numpy(at)).numpy()[:, list(centre)]
    truth = np.stack([-0.5 * (((at - c) / scale) ** 2).sum(1) for c in centre.values()], 1)
    np.testing.assert_allclose(log_likelihoods - log_likelihoods[:, :1], truth - truth[:, :1], atol=0.15)
    never = [k for k in range(N_CLASSES) if k not in centre]
    assert (found(torch.from_numpy(at)).softmax(1)[:, never] < 1e-6).all()
    result = class_prior_fit.measure_class_prior(found, features, classes)
    assert set(result["told"]) == {NON_LENS_CLASSES[k] for k in centre}
    assert result["accuracy"] == pytest.approx(0.77, abs=0.05)
    with pytest.raises(
        ValueError, match=r"2 non-lens classes pass the gate, 3 are needed: raise class_prior\.fresh_of_each"
    ):
        class_prior_fit.fit_class_prior(features[:8000], classes[:8000], trained_on, 1e-6)


def test_as_many_of_each_class_are_drawn_and_early_types_differ(few_catalogs):
    found = list(class_prior_fit.draw_non_lenses(FRESH, 12))
    drawn = {number: sum(len(images) for k, images in found if k == number) for number in range(N_CLASSES)}
    assert drawn == dict.fromkeys(range(N_CLASSES), 12)
    by_name = {NON_LENS_CLASSES[number]: images for number, images in found}
    drawer = ImageDrawer.start(FRESH.population, FRESH.simulate, few_catalogs)
    for name, epoch, share in (
        (families.PAIRED, class_prior_fit.WITHOUT_SOURCE_EPOCH, 0.0),
        (NEAR_MISS, class_prior_fit.CLASS_PRIOR_EPOCH, 1.0),
    ):
        (chunk,) = target_mix.chunks({families.PAIRED: 12}, on_the_fly.SPLIT, epoch)
        same, other = (target_mix.draw_images(drawer, chunk, near_miss)[0] for near_miss in (share, 1 - share))
        assert np.array_equal(by_name[name], same)
        assert not np.array_equal(by_name[name], other)


def test_the_class_prior_is_fitted_to_images_above_the_gate_alone():
    images = np.zeros((5, len(Band), 40, 40), np.float16)
    images[:, 0, 0, 0] = [-9, 4, -3.5, -1, -9]
    network = DeepLensNet(LensNetConfig(6)).eval()
    features, classes = class_prior_fit.gated_features(
        iter([(3, images), (7, images[:1]), (8, images[1:2])]), Brightness(), network, 0
    )
    assert classes.tolist() == [3, 3, 8]
    assert features.shape == (3, 48)
    with pytest.raises(
        ValueError, match=r"no fresh non-lens passes the gate of the first stage: raise class_prior\.fresh_of_each"
    ):
        class_prior_fit.gated_features(iter([(3, images[:1])]), Brightness(), network, 0)
