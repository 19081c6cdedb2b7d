"""Occlusion of a chain of layers beside that of the plain network."""

import torch

from lensdream.explain.chain import chain_of, plain
from lensdream.explain.occlusion import occlude, window_corners
from lensdream.explain.patches import plan
from lensdream.instrument import EUCLID, N_BANDS

SKY = torch.tensor(EUCLID.sky_sigma).view(1, N_BANDS, 1, 1)


def sky(height, width, n=2):
    return torch.randn(n, N_BANDS, height, width, generator=torch.Generator().manual_seed(0)) * 20 * SKY


def layers_used(network, images, window=4, stride=2):
    corners = tuple(window_corners(n, window, stride) for n in images.shape[-2:])
    with torch.inference_mode():
        return len(plan(chain_of(network), images[0], corners, window)[0].layers)


def assert_equals_plain(network, images, **settings):
    one, other = (occlude(chain, images, **settings) for chain in (chain_of(network), plain(network)))
    torch.testing.assert_close(one.original, other.original, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one.occluded, other.occluded, rtol=0, atol=1e-4)
    assert other.logit_change.abs().max() > 1e-3  # else equality would say nothing
