"""What rendering tells about arcs, against what can be counted by hand."""

import math

import pytest
import torch

from lensdream.instrument import EUCLID, Band
from lensdream.render.detectability import CORRELATED_SKY, above_sky, arc_snr, azimuth_covered, resolved

SIDE, SCALE = 41, 0.1
ELECTRONS = EUCLID.bands[Band.VIS].electrons_per_microjansky


def ring(radius, share=1.0):
    """A ring of flux 1 around the middle, from angle -pi on over a share of the circle: (1, y, x)."""
    axis = (torch.arange(SIDE, dtype=torch.float64) - SIDE // 2) * SCALE
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    lit = (torch.hypot(x, y) - radius).abs() < 0.12
    angle = (torch.atan2(y, x) + math.pi) / (2 * math.pi)
    return (lit & (angle <= share)).double()[None]


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_azimuth_is_that_of_the_lit_part_of_a_ring(share):
    zero = torch.zeros(1)
    covered = azimuth_covered(ring(1.5, share), torch.tensor([0.5]), zero, zero, SCALE)
    assert covered.item() == pytest.approx(360 * share, abs=10)


def test_azimuth_counts_around_the_given_centre_and_above_the_sky_alone():
    arc, zero = ring(0.5), torch.zeros(1)
    outside = azimuth_covered(arc, torch.tensor([0.5]), torch.tensor([3.0]), zero, SCALE)
    # seen from 3 arcsec away a circle of 0.62 arcsec is 2 asin(0.62 / 3) wide
    assert outside.item() == pytest.approx(2 * math.degrees(math.asin(0.62 / 3)), abs=10)
    assert azimuth_covered(arc, torch.tensor([1.5]), zero, zero, SCALE).item() == 0


def test_equal_pixels_add_up_by_the_root_of_their_number():
    arc = torch.zeros(2, SIDE, SIDE)
    arc[0, 5:9, 5:9] = arc[1, 5, 5] = 0.1
    sigma = torch.tensor([0.02, 0.02])
    many, one = arc_snr(arc, torch.zeros_like(arc), sigma).tolist()
    assert one == pytest.approx(0.1 / math.sqrt((CORRELATED_SKY * 0.02) ** 2 + 0.1 / ELECTRONS), rel=1e-5)
    assert many == pytest.approx(4 * one, rel=1e-5)


def test_pixels_on_a_bright_core_are_left_out_where_they_only_add_noise():
    arc, light = torch.zeros(1, SIDE, SIDE), torch.zeros(1, SIDE, SIDE)
    arc[0, 5:9, 5:9] = 0.1
    sigma = torch.tensor([0.02])
    alone = arc_snr(arc, light, sigma)
    arc[0, 20, 20], light[0, 20, 20] = 0.1, 1e6
    assert arc_snr(arc, light, sigma).item() == pytest.approx(alone.item(), rel=1e-6)


def test_an_arc_below_the_sky_has_no_signal():
    arc = torch.full((1, SIDE, SIDE), 0.019)
    assert not above_sky(arc, torch.tensor([0.02])).any()
    assert arc_snr(arc, torch.zeros_like(arc), torch.tensor([0.02])).item() == 0


def test_images_are_apart_beyond_source_and_seeing_in_quadrature():
    theta_E = torch.tensor([0.49, 0.51])
    assert resolved(theta_E, torch.tensor([0.3, 0.3]), 0.8).tolist() == [False, True]
