"""Slow reference renderer: scenes drawn by lenstronomy, for comparison. The only importer of lenstronomy.

lenstronomy traces the rays, samples the light and convolves it. Rings, spiral arms and dust lanes, which it lacks, are
written in numpy below, independently of the renderer's.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import torch
from astropy.cosmology import FlatLambdaCDM
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.Util.param_util import phi_q2_ellipticity
from scipy.integrate import quad
from scipy.ndimage import uniform_filter
from scipy.special import i0

from lensdream.instrument import DITHERS, EUCLID, Band, Survey
from lensdream.optics.detector import resample, sampled, wider_by
from lensdream.optics.psf import moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import surface_brightness_at_r_e
from lensdream.scene import FLUX_COLUMNS, Scenes

SMALLEST_RADIUS = 1e-5
"""radius [arcsec] inside which arms stop winding; lenstronomy's profile is flat there, too"""


def reference_noiseless(scenes: Scenes, frame: Frame, cosmology: FlatLambdaCDM, survey: Survey = EUCLID) -> np.ndarray:
    """Noiseless images (B, band, stamp, stamp) float64 [microjansky a pixel] of a batch of scenes."""
    each = [scenes.take([k]) for k in range(len(scenes))]
    images = [[lenstronomy_image(scene, frame, cosmology, band, survey) for band in Band] for scene in each]
    return np.array(images).reshape(len(scenes), len(Band), frame.stamp, frame.stamp)


def lenstronomy_image(
    scene: Scenes, frame: Frame, cosmology: FlatLambdaCDM, band: Band = Band.VIS, survey: Survey = EUCLID
) -> np.ndarray:
    """Noiseless image (stamp, stamp) float64 [microjansky a pixel] of one scene, drawn by lenstronomy.

    Every pixel of the frame is sampled alike and is the mean of its samples, so compare with a frame whose `fine_width` is
    its whole width and which does not `integrate`. Point spreads are convolved on the fine grid; the detector's larger
    pixel and its dithered exposures follow on the whole frame.
    Raises `ValueError` for more than one scene.
    """
    if len(scene) != 1:
        raise ValueError(f"one scene at a time, got {len(scene)}: use scenes.take([k])")
    row = scene.scenes.iloc[0]
    numerics = {
        "supersampling_factor": frame.supersampling,
        "supersampling_convolution": True,
        "supersampling_kernel_size": None,  # the whole kernel on the fine grid, not its inner 5 pixels
    }
    image = draw(scene, frame, cosmology, band, point_spread(row, frame, band, survey), numerics)
    response = survey.bands[band]
    if response.detector_pixels > 1:
        image = uniform_filter(image, response.detector_pixels)
        share = sampled(len(image), DITHERS[row["dither"]], response.detector_pixels)
        image = resample(torch.as_tensor(image), share, response.detector_pixels).numpy()
    inside = slice(frame.padding, frame.padding + frame.stamp)
    return image[inside, inside]


def draw(
    scene: Scenes, frame: Frame, cosmology: FlatLambdaCDM, band: Band, psf: PSF, numerics: dict[str, object]
) -> np.ndarray:
    """Whole frame (width, width) float64 [microjansky a pixel] of one scene, by lenstronomy's `ImageModel`."""
    row, parts = scene.scenes.iloc[0], scene.components
    lens, lens_kwargs = _lens_model(row, cosmology)
    lensed, unlensed = parts[parts["plane"] > 0], parts[parts["plane"] == 0]
    redshifts = {1: row["z_source_1"], 2: row["z_source_2"]}
    source = _Light(lensed, band, [redshifts[plane] for plane in lensed["plane"]] if lens.multi_plane else None)
    light = _Light(unlensed, band)
    model = ImageModel(_grid(frame), psf, lens, source, light, kwargs_numerics=numerics)
    return model.image(lens_kwargs, source.kwargs, light.kwargs)


def point_spread(row: pd.Series, frame: Frame, band: Band, survey: Survey = EUCLID) -> PSF:
    """Point spread of a scene's field on the fine grid, no wider than the frame's margin."""
    samples = frame.supersampling
    response, field = survey.bands[band], survey.point_spreads[row["psf"]]
    radius = frame.padding - wider_by(response.detector_pixels)
    half = radius * samples
    kernel = moffat_kernel(
        2 * half + 1, frame.pixel_scale / samples, response.psf_fwhm * field.fwhm[band],
        response.psf_beta * field.beta[band], radius * frame.pixel_scale, field.e_1[band], field.e_2[band],
    )  # fmt: skip
    centred = np.roll(kernel.numpy(), (half, half), (0, 1))
    options = {"point_source_supersampling_factor": samples} if samples > 1 else {}
    return PSF("PIXEL", kernel_point_source=centred, kernel_point_source_normalisation=False, **options)


class _Light(LightModel):
    """Light model of lenstronomy: its Sersic profiles with the rings, arms and dust lanes of our components."""

    def __init__(self, parts: pd.DataFrame, band: Band, redshifts: list[float] | None = None) -> None:
        super().__init__(["SERSIC_ELLIPSE"] * len(parts), source_redshift_list=redshifts)
        self._parts = parts.to_dict("records")
        self._flux = FLUX_COLUMNS[band]
        self.kwargs = [self._sersic_kwargs(part) for part in self._parts]
        """arguments of lenstronomy's functions, one dictionary a component"""

    def surface_brightness(
        self, x: np.ndarray, y: np.ndarray, kwargs_list: list[dict], k: int | None = None
    ) -> np.ndarray:
        """Sum over the components, or component k alone, at (x, y) [arcsec]: signature of the method it overrides."""
        total = np.zeros_like(np.asarray(x, dtype=float))
        for number in range(len(self._parts)) if k is None else [k]:
            total += self._component(x, y, kwargs_list, number)
        return total

    def _component(self, x: np.ndarray, y: np.ndarray, kwargs_list: list[dict], k: int) -> np.ndarray:
        part = self._parts[k]
        turn = np.exp(-1j * part["phi"])
        along = ((x - part["x"]) + 1j * (y - part["y"])) * turn
        radius = np.sqrt(part["q"] * along.real**2 + along.imag**2 / part["q"])
        if part["ring_width"] > 0:
            value = part[self._flux] * _unit_ring(radius / part["r_e"], part["ring_width"]) / part["r_e"] ** 2
        else:
            value = super().surface_brightness(x, y, kwargs_list, k=k)
        if part["arm_contrast"] > 0:
            # azimuth in the galaxy's own plane, where the ellipse is a circle
            azimuth = np.arctan2(along.imag, part["q"] * along.real)
            winding = np.log(np.maximum(radius, SMALLEST_RADIUS) / part["r_e"]) / np.tan(part["arm_pitch"])
            angle = part["arm_number"] * (azimuth - winding) + part["arm_phase"]
            value = value * np.exp(part["arm_contrast"] * np.cos(angle)) / i0(part["arm_contrast"])
        if part["dust_width"] > 0:
            value = value * -np.expm1(-(along.imag**2) / (2 * part["dust_width"] ** 2))
        return value

    def _sersic_kwargs(self, part: dict[str, float]) -> dict[str, float]:
        e1, e2 = phi_q2_ellipticity(part["phi"], part["q"])
        return {
            "amp": float(surface_brightness_at_r_e(part[self._flux], part["r_e"], part["sersic_index"])),
            "R_sersic": part["r_e"], "n_sersic": part["sersic_index"],
            "e1": e1, "e2": e2, "center_x": part["x"], "center_y": part["y"],
        }  # fmt: skip


def _unit_ring(radius: np.ndarray, width: float) -> np.ndarray:
    """Gaussian in the radius around 1, of total flux 1."""

    def profile(r: np.ndarray) -> np.ndarray:
        return np.exp(-((r - 1) ** 2) / (2 * width**2))

    area, _ = quad(lambda r: 2 * np.pi * r * profile(r), 0, 1 + 40 * width, points=[1.0], epsabs=0, epsrel=1e-12)
    return profile(radius) / area


def _grid(frame: Frame) -> PixelGrid:
    corner = -(frame.width - 1) / 2 * frame.pixel_scale
    matrix = np.eye(2) * frame.pixel_scale
    return PixelGrid(frame.width, frame.width, matrix, corner, corner)


def _lens_model(row: pd.Series, cosmology: FlatLambdaCDM) -> tuple[LensModel, list[dict]]:
    if not row["theta_E_1"] > 0:
        return LensModel([]), []
    e1, e2 = phi_q2_ellipticity(row["mass_phi"], row["mass_q"])
    main = {"theta_E": row["theta_E_1"], "e1": e1, "e2": e2, "center_x": row["mass_x"], "center_y": row["mass_y"]}
    shear = {"gamma1": row["shear_1"], "gamma2": row["shear_2"], "ra_0": 0.0, "dec_0": 0.0}
    e1, e2 = phi_q2_ellipticity(row["mass_b_phi"], row["mass_b_q"])
    companion = {
        "theta_E": row["theta_E_b"],
        "e1": e1,
        "e2": e2,
        "center_x": row["mass_b_x"],
        "center_y": row["mass_b_y"],
    }
    if not row["theta_E_2"] > 0:
        return LensModel(["SIE", "SHEAR", "SIE"]), [main, shear, companion]
    ratio = row["theta_E_2"] / row["theta_E_1"]
    e1, e2 = phi_q2_ellipticity(row["mass_2_phi"], row["mass_2_q"])
    second = {
        "theta_E": row["theta_E_12"], "e1": e1, "e2": e2, "center_x": row["mass_2_x"], "center_y": row["mass_2_y"],
    }  # fmt: skip
    main = {**main, "theta_E": row["theta_E_2"]}
    shear = {**shear, "gamma1": row["shear_1"] * ratio, "gamma2": row["shear_2"] * ratio}
    companion = {**companion, "theta_E": row["theta_E_b"] * ratio}
    with warnings.catch_warnings():
        # the warning says that the given cosmology is taken
        warnings.filterwarnings("ignore", "Cosmology is provided", UserWarning)
        model = LensModel(
            ["SIE", "SHEAR", "SIE", "SIE"], multi_plane=True, z_source=row["z_source_2"], cosmo=cosmology,
            lens_redshift_list=[row["z_lens"]] * 3 + [row["z_source_1"]],
        )  # fmt: skip
    return model, [main, shear, companion, second]
