"""Deep Dream (the method): an image changed step by step so that a network's lens logit rises, or falls.

Gradient ascent on the logit over octaves with jitter, after Mordvintsev et al. 2015 ("Inceptionism"), in physical
units: a step is a fraction of the sky's scatter in each band, and, if a point spread is given, what is added is light
that a telescope could have recorded rather than a pattern of single pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lensdream.explain.score_function import ScoreFn, check_images, scored
from lensdream.instrument import Band, Survey
from lensdream.optics.psf import convolve, moffat_kernel

TOWARDS_LENS, TOWARDS_NON_LENS = 1.0, -1.0
"""sign of the logit that is climbed"""
SMALLEST_OCTAVE = 16
"""pixels below which a lens in a stamp cannot be recognised"""

Transfer = Callable[[int], Tensor]
"""image width [pixel] -> transfer (band, width, width // 2 + 1) of the point spread at that sampling"""


@dataclass(frozen=True)
class Climb:
    """Settings of the gradient ascent."""

    steps: int = 20
    """gradient steps an octave"""
    octaves: int = 3
    octave_scale: float = 1.4
    """ratio of the sizes of two octaves"""
    jitter: int = 4
    """largest random shift of the image before a step [pixel]"""
    step_size: float = 0.25
    """change of the most changed pixel in a step [sky scatter]"""


@dataclass(frozen=True)
class Dream:
    """Dreamt images and their logits before and after."""

    images: Tensor
    """(B, band, y, x) [microjansky a pixel]"""
    before: Tensor
    """(B,)"""
    after: Tensor
    """(B,)"""


def dream(
    score_fn: ScoreFn,
    images: Tensor,
    *,
    towards: float,
    climb: Climb,
    sky_sigma: Tensor,
    highest: Tensor,
    generator: torch.Generator,
    transfer: Transfer | None = None,
    colours: Tensor | None = None,
) -> Dream:
    """Change images (B, band, y, x) [microjansky a pixel] by gradient ascent towards a class.

    towards: `TOWARDS_LENS` or `TOWARDS_NON_LENS`.
    sky_sigma: (band,) scatter of the sky [microjansky a pixel], the unit of a step. A pixel stays above -3 of it, or
        above its own first value where that is lower: flux has no deeper holes.
    highest: (band,) flux [microjansky a pixel] that no pixel may pass, or its own first value where that is higher.
    generator: of the jitter, on the CPU.
    transfer: point spread of the light that is added, `psf_transfer`; None lets every pixel change independently.
    colours: (band, band) `band_covariance` of images, so that the added light has colours that are common in them. None
        lets every band change independently.

    Same generator, same dream. The network's parameters gather no gradient. Raises `ValueError` for images that are not
    finite or whose smallest octave is below 16 pixels.
    """
    check_images(images)
    sizes = octave_sizes(tuple(images.shape[-2:]), climb)
    unit = sky_sigma.to(images).view(1, -1, 1, 1)
    low, high = torch.minimum(-3 * unit, images), torch.maximum(highest.to(images).view(1, -1, 1, 1), images)
    detail = torch.zeros_like(images)
    for size in sizes:
        base, floor, ceiling = (_resized(x, size) for x in (images, low, high))
        dreamt = base + _resized(detail, size)
        response = None if transfer is None else transfer(size[-1]).to(images)
        for _ in range(climb.steps):
            shift = torch.randint(-climb.jitter, climb.jitter + 1, (2,), generator=generator).tolist()
            rolled = torch.roll(dreamt, shift, (-2, -1)).requires_grad_()
            (gradient,) = torch.autograd.grad(scored(score_fn, rolled).sum(), rolled)
            gradient = torch.roll(gradient, [-s for s in shift], (-2, -1)) * unit  # logit per sky scatter
            if response is not None:
                # The logit's gradient with respect to light on the sky passes the point spread once, the light itself
                # once more; the kernel is symmetric.
                gradient = convolve(gradient, response**2)
            if colours is not None:
                gradient = torch.einsum("cb,nbyx->ncyx", colours.to(gradient), gradient)
            # By the largest gradient, not the mean one as in "Inceptionism": most pixels are sky, and a mean step would
            # lift all of it by many scatters before it reaches the arcs.
            steepest = gradient.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
            dreamt = dreamt.detach() + towards * climb.step_size * unit * gradient / steepest
            dreamt = torch.minimum(torch.maximum(dreamt, floor), ceiling)
        detail = dreamt - base
    with torch.no_grad():
        return Dream(dreamt, scored(score_fn, images), scored(score_fn, dreamt))


def band_covariance(images: Tensor, sky_sigma: Tensor, above: float = 3.0) -> Tensor:
    """Covariance (band, band) of the flux in units of the sky's scatter, of pixels of images (N, band, y, x) that shine.

    Pixels that pass `above` scatters in some band count. With coordinates in which the bands are independent, x = L z with
    the covariance L L^T, a step along the gradient in z moves x along the covariance times its own gradient: colours that
    galaxies do not have cost more (the colour decorrelation of Olah et al. 2017, "Feature visualization", for our bands).
    Scaled to a mean of 1 along the diagonal. Raises `ValueError` where fewer pixels shine than it takes.
    """
    flux = (images / sky_sigma.to(images).view(1, -1, 1, 1)).movedim(1, 0).flatten(1)
    bright = flux[:, (flux > above).any(0)]
    if bright.shape[1] <= flux.shape[0]:
        raise ValueError(
            f"{bright.shape[1]} pixels are brighter than {above:g} scatters of the sky, more than {flux.shape[0]} are needed"
        )
    covariance = torch.cov(bright.double())
    return covariance / covariance.diagonal().mean()


def octave_sizes(size: tuple[int, int], climb: Climb) -> list[tuple[int, int]]:
    """Heights and widths [pixel] of the octaves, smallest first, the image's own last. Raises `ValueError` below 16."""
    sizes = [tuple(round(n / climb.octave_scale**k) for n in size) for k in reversed(range(climb.octaves))]
    if min(sizes[0]) < SMALLEST_OCTAVE:
        raise ValueError(
            f"the smallest of {climb.octaves} octaves of a {size[0]} x {size[1]} image is {min(sizes[0])} pixels wide, "
            f"it must be {SMALLEST_OCTAVE} at least: take fewer octaves or a smaller octave_scale"
        )
    return sizes


def psf_transfer(survey: Survey, full_width: int) -> Transfer:
    """Transfer of the survey's point spread in each band, for images of `full_width` pixels brought to other widths."""

    def transfer(width: int) -> Tensor:
        scale = survey.pixel_scale * full_width / width
        radius = scale * width / 2
        kernels = [moffat_kernel(width, scale, b.psf_fwhm, b.psf_beta, radius) for b in survey.bands]
        spectra = torch.fft.rfft2(torch.stack(kernels)).real
        # a detector pixel averages, linear interpolation from such pixels is a triangle: a sinc cubed along each axis
        frequency = torch.fft.fftfreq(width, scale, dtype=torch.float64)
        for spectrum, band in zip(spectra, survey.bands, strict=True):
            if band.detector_pixels > 1:
                line = torch.sinc(frequency * band.detector_pixels * survey.pixel_scale) ** 3
                spectrum *= line[:, None] * line[None, : width // 2 + 1]
        return spectra

    return transfer


def vis_minus_h(image: np.ndarray, mask: np.ndarray) -> float:
    """Colour VIS - H [AB mag] of the flux inside a mask (y, x) bool of an image (band, y, x) [microjansky a pixel].

    Smaller is bluer. NaN for an empty mask, or where either band sums to no positive flux.
    """
    if not mask.any():
        return float("nan")
    vis, h = (float(image[band][mask].sum(dtype=np.float64)) for band in (Band.VIS, Band.H))
    return float(-2.5 * np.log10(vis / h)) if vis > 0 and h > 0 else float("nan")


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
