"""The part of an image that a network uses."""

import pytest
import torch
from torch import nn

from lensdream.explain.crop import CropWindow, crop_of, whole
from lensdream.networks.input import CenterCrop


@pytest.fixture
def images():
    return torch.rand(2, 4, 20, 24, generator=torch.Generator().manual_seed(1))


def test_the_window_of_a_crop_cuts_as_the_crop_does(images):
    crop = CenterCrop(8)
    window = CropWindow.of(crop, (20, 24))
    assert window == CropWindow(6, 8, 8, 8)
    assert torch.equal(window.cut(images), crop(images))
    assert window.axes == ((6, 8), (8, 8))


def test_the_window_of_the_whole_image_is_all_of_it(images):
    window = CropWindow.of(whole, (20, 24))
    assert window == CropWindow(0, 0, 20, 24)
    assert torch.equal(window.cut(images), images)


def test_maps_are_put_back_where_they_were_cut_out_with_zeros_around(images):
    window = CropWindow(3, 5, 8, 6)
    maps = images[:, 0]
    back = window.put_back(window.cut(maps), (20, 24))
    inside = torch.zeros(20, 24, dtype=torch.bool)
    inside[3:11, 5:11] = True
    assert torch.equal(back[:, inside], maps[:, inside])
    assert not back[:, ~inside].any()


def test_a_network_whose_first_layer_crops_has_that_crop():
    crop = CenterCrop(8)
    assert crop_of(nn.Sequential(nn.Sequential(crop, nn.ReLU()), nn.Flatten())) is crop
    assert crop_of(nn.Sequential(nn.ReLU(), crop)) is whole
