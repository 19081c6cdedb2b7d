"""Scenes drawn by caustics, a second simulator to compare with; needs the extra "peers".

caustics lenses, samples and convolves with its own objects, as its users would have it: a simulator for a scene, `vmap` over
the bands, so that rays are traced once for all of them. It has one source plane in a pass, so compound lenses take two.
It has Sersic profiles, but neither rings nor arms nor dust lanes. Its grid is of float32 whatever the type asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import caustics
import numpy as np
import pandas as pd
import torch
from caskade import forward
from torch import Tensor

from lensdream.instrument import EUCLID, Band, Survey
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.optics.detector import wider_by
from lensdream.optics.psf import moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import surface_brightness_at_r_e
from lensdream.scene import FLUX_COLUMNS, Scenes

CORE = 1e-10
"""core radius [arcsec] of the deflectors, for whose centre caustics finds no number otherwise; lenstronomy has the same"""


def drawable(scenes: Scenes) -> bool:
    """Test whether all light in these scenes is Sersic profiles."""
    return not scenes.components[["ring_width", "arm_contrast", "dust_width"]].to_numpy().any()


def point_spreads(scene: Scenes, frame: Frame, bands: Sequence[Band] = tuple(Band), survey: Survey = EUCLID) -> Tensor:
    """Kernels (band, k, k) float64 on the fine grid, centred, as wide as the widest of them."""
    field, samples = survey.point_spreads[scene.scenes["psf"].iloc[0]], frame.supersampling
    radii = [frame.padding - wider_by(survey.bands[band].detector_pixels) for band in bands]
    half = max(radii) * samples
    kernels = [
        moffat_kernel(
            2 * half + 1, frame.pixel_scale / samples, survey.bands[band].psf_fwhm * field.fwhm[band],
            survey.bands[band].psf_beta * field.beta[band], radius * frame.pixel_scale, field.e_1[band], field.e_2[band],
        )
        for band, radius in zip(bands, radii, strict=True)
    ]  # fmt: skip
    return torch.stack(kernels).roll((half, half), (1, 2))


def prepared(
    scene: Scenes,
    frame: Frame,
    spreads: Tensor,
    bands: Sequence[Band] = tuple(Band),
    dtype: torch.dtype = torch.float32,
    quadrature: int | None = None,
) -> Callable[[], Tensor]:
    """Function that draws the whole frame (band, width, width) [microjansky a pixel] of a scene, with its simulators built.

    spreads: (band, k, k) on the fine grid. Light from beyond the frame's edges is in: caustics adds a margin of its own, as
    wide as they are. quadrature: points an axis of Gauss's formula in each sample; none for its centre.
    """
    row, parts = scene.scenes.iloc[0], scene.components
    shared = cosmology()
    planes = [parts[parts["plane"] == plane] for plane in range(3)]
    passes = [(one_plane(row, shared), planes[1], planes[0])] if len(planes[1]) else [(None, planes[0], planes[1])]
    if len(planes[2]):
        passes.append((two_planes(row, shared), planes[2], parts[:0]))
    calls = []
    for lens, source, lens_light in passes:
        simulator = caustics.LensSource(
            lens, _sersics(source), frame.pixel_scale, frame.width, lens_light=_sersics(lens_light),
            upsample_factor=frame.supersampling, quad_level=quadrature, psf=None, psf_shape=spreads.shape[1:],
        ).to(dtype=dtype)  # fmt: skip
        brightness = _brightness(pd.concat([source, lens_light]), bands) * frame.pixel_scale**2
        one_band = partial(simulator, lens_source=lens is not None)
        calls.append(partial(torch.vmap(one_band), [spreads.to(dtype), *brightness.to(dtype)]))
    return lambda: sum(call() for call in calls)


class _Sum(caustics.Source):
    """Sum of several profiles.

    `LightStack` of caustics adds in place, which `vmap` refuses where only brightness differs from band to band; a loop over
    bands with it takes more than twice as long.
    """

    def __init__(self, profiles: Sequence[caustics.Source]) -> None:
        super().__init__()
        self.profiles = tuple(profiles)

    @forward
    def brightness(self, x: Tensor, y: Tensor) -> Tensor:
        """Surface brightness at (x, y) [arcsec]."""
        return sum(profile.brightness(x, y) for profile in self.profiles)


def _sersics(parts: pd.DataFrame) -> _Sum | None:
    """Profiles of caustics, whose brightness `Ie` is left open; its radius runs along the major axis, ours is the mean."""
    if not len(parts):
        return None
    return _Sum(
        [
            caustics.Sersic(
                n=_number(part["sersic_index"]), Re=_number(part["r_e"] / np.sqrt(part["q"])), use_lenstronomy_k=True,
                name=f"sersic_{k}", **_ellipse(part["x"], part["y"], part["q"], part["phi"]),
            )
            for k, part in enumerate(parts.to_dict("records"))
        ]
    )  # fmt: skip


def _brightness(parts: pd.DataFrame, bands: Sequence[Band]) -> Tensor:
    """Surface brightness (component, band) float64 [microjansky a arcsec^2] at r_e."""
    per_flux = surface_brightness_at_r_e(1.0, parts["r_e"].to_numpy(), parts["sersic_index"].to_numpy())
    return torch.as_tensor(parts[[FLUX_COLUMNS[band] for band in bands]].to_numpy(float) * per_flux[:, None])


def cosmology() -> caustics.FlatLambdaCDM:
    """Cosmology of the population, for the lenses of one scene: caustics links the objects built on it."""
    return caustics.FlatLambdaCDM(h0=COSMOLOGY.h, Om0=COSMOLOGY.Om0)


def one_plane(row: pd.Series, cosmology: caustics.FlatLambdaCDM) -> caustics.SinglePlane:
    """Deflectors of the light of source 1; row: of the table of scenes."""
    return _deflector(row, cosmology, 1.0, z_l=_number(row["z_lens"]), z_s=_number(row["z_source_1"]))


def two_planes(row: pd.Series, cosmology: caustics.FlatLambdaCDM) -> caustics.Multiplane:
    """Deflectors of the light of source 2, with source 1's mass."""
    first = _deflector(row, cosmology, row["theta_E_2"] / row["theta_E_1"], z_l=_number(row["z_lens"]))
    second = _sie(row, cosmology, "mass_2", row["theta_E_12"], z_l=_number(row["z_source_1"]))
    return caustics.Multiplane(cosmology, (first, second), z_s=_number(row["z_source_2"]))


def _deflector(
    row: pd.Series, cosmology: caustics.FlatLambdaCDM, scale: float, **redshifts: Tensor
) -> caustics.SinglePlane:
    """Lens plane; scale: its deflection for this source over that for source 1."""
    shear = caustics.ExternalShear(
        cosmology, x0=_number(0.0), y0=_number(0.0),
        gamma_1=_number(row["shear_1"] * scale), gamma_2=_number(row["shear_2"] * scale),
    )  # fmt: skip
    lenses = [_sie(row, cosmology, "mass", row["theta_E_1"] * scale), shear]
    if row["theta_E_b"] > 0:
        lenses.append(_sie(row, cosmology, "mass_b", row["theta_E_b"] * scale))
    return caustics.SinglePlane(cosmology, tuple(lenses), **redshifts)


def _sie(
    row: pd.Series, cosmology: caustics.FlatLambdaCDM, mass: str, theta_E: float, **redshifts: Tensor
) -> caustics.SIE:
    """Ellipsoid of caustics, whose Einstein radius is defined as ours."""
    ellipse = _ellipse(*(row[f"{mass}_{name}"] for name in ("x", "y", "q", "phi")))
    return caustics.SIE(cosmology, Rein=_number(theta_E), s=CORE, name=mass, **ellipse, **redshifts)


def _ellipse(x: float, y: float, q: float, phi: float) -> dict[str, Tensor]:
    return {"x0": _number(x), "y0": _number(y), "q": _number(q), "phi": _number(phi)}


def _number(value: float) -> Tensor:
    """Number in float64, until the simulator's type is set."""
    return torch.tensor(float(value), dtype=torch.float64)
