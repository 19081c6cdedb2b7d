"""The slow reference: the same scene drawn by lenstronomy, to check ours against. The only importer of lenstronomy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from astropy.cosmology import FlatLambdaCDM
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.Util.param_util import phi_q2_ellipticity

from lensdream.optics.psf import moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import surface_brightness_at_r_e
from lensdream.scene import Scenes
from lensdream.survey import EUCLID, Band, Survey


def lenstronomy_image(
    scene: Scenes, frame: Frame, cosmology: FlatLambdaCDM, band: Band = Band.VIS, survey: Survey = EUCLID
) -> np.ndarray:
    """Noiseless image (stamp, stamp) float64 [microjansky a pixel] of one scene without arms, drawn by lenstronomy.

    Every pixel of the frame is sampled alike, so compare with a frame whose `fine_width` is its whole width. The VIS
    point spread is convolved on the fine grid, that of the other bands on pixels, as ours are.
    Raises `ValueError` for more than one scene or for spiral arms, which lenstronomy has not.
    """
    if len(scene) != 1:
        raise ValueError(f"one scene at a time, got {len(scene)}: use scenes.take([k])")
    if (scene.components["arm_amplitude"] > 0).any():
        raise ValueError("lenstronomy has no spiral arms: set arm_amplitude to 0")
    row = scene.scenes.iloc[0]
    parts = scene.components
    lens, lens_kwargs = _lens_model(row, cosmology)
    lensed, unlensed = parts[parts["plane"] > 0], parts[parts["plane"] == 0]
    redshifts = {1: row["z_source_1"], 2: row["z_source_2"]}
    source = LightModel(
        ["SERSIC_ELLIPSE"] * len(lensed),
        source_redshift_list=[redshifts[plane] for plane in lensed["plane"]] if lens.multi_plane else None,
    )
    light = LightModel(["SERSIC_ELLIPSE"] * len(unlensed))
    model = ImageModel(
        _grid(frame), _psf(frame, survey, band, row["psf_scale"]), lens, source, light,
        kwargs_numerics={
            "supersampling_factor": frame.supersampling,
            "supersampling_convolution": band == Band.VIS,
            "supersampling_kernel_size": None,  # the whole kernel on the fine grid, not its inner 5 pixels
        },
    )  # fmt: skip
    image = model.image(lens_kwargs, _light_kwargs(lensed, band), _light_kwargs(unlensed, band))
    inside = slice(frame.padding, frame.padding + frame.stamp)
    return image[inside, inside]


def _grid(frame: Frame) -> PixelGrid:
    corner = -(frame.width - 1) / 2 * frame.pixel_scale
    matrix = np.eye(2) * frame.pixel_scale
    return PixelGrid(frame.width, frame.width, matrix, corner, corner)


def _psf(frame: Frame, survey: Survey, band: Band, psf_scale: float) -> PSF:
    samples = frame.supersampling if band == Band.VIS else 1
    response = survey.bands[band]
    kernel = moffat_kernel(
        frame.width * samples, frame.pixel_scale / samples, response.psf_fwhm * psf_scale, response.psf_beta,
        frame.padding * frame.pixel_scale,
    )  # fmt: skip
    half = frame.padding * samples
    centred = np.roll(kernel.numpy(), (half, half), (0, 1))[: 2 * half + 1, : 2 * half + 1]
    options = {"point_source_supersampling_factor": samples} if samples > 1 else {}
    return PSF("PIXEL", kernel_point_source=centred, kernel_point_source_normalisation=False, **options)


def _lens_model(row: pd.Series, cosmology: FlatLambdaCDM) -> tuple[LensModel, list[dict]]:
    if not row["theta_E_1"] > 0:
        return LensModel([]), []
    e1, e2 = phi_q2_ellipticity(row["mass_phi"], row["mass_q"])
    main = {"theta_E": row["theta_E_1"], "e1": e1, "e2": e2, "center_x": row["mass_x"], "center_y": row["mass_y"]}
    shear = {"gamma1": row["shear_1"], "gamma2": row["shear_2"], "ra_0": 0.0, "dec_0": 0.0}
    if not row["theta_E_2"] > 0:
        return LensModel(["SIE", "SHEAR"]), [main, shear]
    ratio = row["theta_E_2"] / row["theta_E_1"]
    e1, e2 = phi_q2_ellipticity(row["mass_2_phi"], row["mass_2_q"])
    second = {
        "theta_E": row["theta_E_12"], "e1": e1, "e2": e2, "center_x": row["mass_2_x"], "center_y": row["mass_2_y"],
    }  # fmt: skip
    main = {**main, "theta_E": row["theta_E_2"]}
    shear = {**shear, "gamma1": row["shear_1"] * ratio, "gamma2": row["shear_2"] * ratio}
    model = LensModel(
        ["SIE", "SHEAR", "SIE"], multi_plane=True, z_source=row["z_source_2"], cosmo=cosmology,
        lens_redshift_list=[row["z_lens"], row["z_lens"], row["z_source_1"]],
    )  # fmt: skip
    return model, [main, shear, second]


def _light_kwargs(parts: pd.DataFrame, band: Band) -> list[dict]:
    found = []
    for _, part in parts.iterrows():
        e1, e2 = phi_q2_ellipticity(part["phi"], part["q"])
        amplitude = surface_brightness_at_r_e(part[f"flux_{band.name}"], part["r_e"], part["sersic_index"])
        found.append(
            {
                "amp": float(amplitude), "R_sersic": part["r_e"], "n_sersic": part["sersic_index"],
                "e1": e1, "e2": e2, "center_x": part["x"], "center_y": part["y"],
            }
        )  # fmt: skip
    return found
