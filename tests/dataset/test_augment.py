"""Augmentation of images."""

import pytest
import torch

from lensdream.dataset.augment import augment


def test_augmentation_keeps_the_light_and_drops_whole_bands():
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(64, 4, 20, 20)
    same = augment(images, generator, 0, 0.0)
    assert torch.allclose(same.sum((2, 3)), images.sum((2, 3)), rtol=1e-5)
    lost = (augment(images, generator, 2, 0.9).sum((2, 3)) == 0).float().mean(0)
    assert lost[0] == 0  # VIS is never dropped
    assert (lost[1:] > 0.3).all()


def test_every_band_of_every_image_has_a_gain_of_its_own():
    images = torch.ones(4000, 4, 2, 2)
    scaled = augment(images, torch.Generator().manual_seed(1), 0, 0.0, gain_scatter=0.03, dihedral=False)
    assert (scaled == scaled[:, :, :1, :1]).all()
    gain = scaled[:, :, 0, 0]
    assert gain.mean() == pytest.approx(1, abs=0.002)
    assert gain.std(0).tolist() == pytest.approx([0.03] * 4, rel=0.1)
    assert torch.corrcoef(gain.T)[0, 1].abs() < 0.1


def test_without_augmentation_images_stay_as_they_are():
    images = torch.rand(5, 4, 9, 9)
    assert torch.equal(augment(images, torch.Generator().manual_seed(1), 0, 0.0, dihedral=False), images)
