"""Where a frame samples."""

import pytest
import torch

from lensdream.optics.sampling import Frame


def test_a_frame_samples_every_pixel_once():
    frame = Frame(stamp=10, padding=3, supersampling=3, fine_width=8, pixel_scale=0.1)
    x, y = frame.points
    assert len(x) == 16**2 - 8**2 + (8 * 3) ** 2
    pixels = frame.to_pixels(torch.stack([x, y]))
    centre = (torch.arange(16, dtype=torch.float64) - 7.5) * 0.1
    assert torch.allclose(pixels[0], centre.expand(16, 16), atol=1e-12)
    assert torch.allclose(pixels[1], centre[:, None].expand(16, 16), atol=1e-12)
    assert frame.crop(pixels).shape == (2, 10, 10)


def test_an_impossible_frame_is_refused_with_its_bound():
    with pytest.raises(ValueError, match="at most the frame's 46 pixels"):
        Frame(stamp=30, padding=8, supersampling=3, fine_width=47, pixel_scale=0.1)
