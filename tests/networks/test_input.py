"""The input transform of the networks."""

import torch

from conftest import blobs
from lensdream.networks.input import InputTransform, asinh


def test_the_quick_inverse_hyperbolic_sine_is_torchs():
    x = torch.cat([torch.zeros(1), torch.logspace(-6, 8, 300)])
    x = torch.cat([-x, x]).requires_grad_()
    ours, theirs = asinh(x), torch.asinh(x.double())
    assert torch.allclose(ours.double(), theirs, rtol=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(ours.sum(), x)
    lit = x != 0
    assert torch.allclose(slope[lit], 1 / torch.sqrt(1 + x[lit] ** 2), rtol=1e-3)


def test_the_input_is_transformed_in_full_precision_where_the_rest_is_in_half():
    transform, images = InputTransform(), blobs(4, 5).images.float()
    exact = transform(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(transform(images), exact)


def test_the_transform_takes_smooth_light_out_of_the_contrast():
    transform = InputTransform()
    flat = transform(torch.full((1, 4, 40, 40), 0.5))
    assert torch.allclose(flat[:, 4:], torch.zeros(1, 4, 40, 40), atol=1e-4)
    assert (flat[:, :4] > 3).all()
    assert torch.equal(transform(torch.zeros(1, 4, 40, 40)), torch.zeros(1, 8, 40, 40))
