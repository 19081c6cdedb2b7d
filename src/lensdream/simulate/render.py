"""The batched renderer: scenes to four-band images, all bands from one ray-trace, on any device."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lensdream.optics.multiplane import Deflectors, trace_to_source_1, trace_to_source_2
from lensdream.optics.noise import correlated_noise, noise_filter, shot_noise_variance
from lensdream.optics.psf import convolve, moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import elliptical_coordinates, sersic, spiral_arms, surface_brightness_at_r_e
from lensdream.scene import BACKGROUND_COLUMNS, FLUX_COLUMNS, SKY_COLUMNS, Role, Scenes
from lensdream.survey import EUCLID, N_BANDS, Band, Survey

MASS_COLUMNS = {
    "theta_E_1": "theta_E_1", "theta_E_2": "theta_E_2", "theta_E_12": "theta_E_12",
    "q": "mass_q", "phi": "mass_phi", "x": "mass_x", "y": "mass_y",
    "q_2": "mass_2_q", "phi_2": "mass_2_phi", "x_2": "mass_2_x", "y_2": "mass_2_y",
    "shear_1": "shear_1", "shear_2": "shear_2",
}  # fmt: skip
TRUTH_ROLES = (Role.TARGET, Role.SOURCE_1, Role.SOURCE_2)


@dataclass(frozen=True)
class Rendered:
    """What a batch of scenes looks like, with and without noise."""

    images: Tensor
    """(B, band, y, x) [microjansky a pixel], noise and sky residual in"""
    noiseless: Tensor
    """(B, band, y, x) [microjansky a pixel]"""
    truth: Tensor
    """(B, role, y, x) VIS flux [microjansky a pixel] of target, source 1, source 2, PSF-convolved, noiseless"""
    lensed_flux: Tensor
    """(B, role) VIS flux [microjansky] of the same in the whole frame before the PSF"""
    sky_sigma: Tensor
    """(B, band) scatter of the sky [microjansky a pixel]"""


class Renderer:
    """Renders scenes into one frame for one survey."""

    def __init__(
        self, frame: Frame, survey: Survey = EUCLID, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> None:
        self.frame, self.survey, self.dtype, self.device = frame, survey, dtype, torch.device(device)
        x, y = frame.points
        self._x, self._y = (axis.to(self.device, dtype) for axis in (x, y))
        filters = [noise_filter(frame.width, *band.sky_correlation) for band in survey.bands]
        self._noise_filters = torch.stack(filters).to(self.device, torch.float32)
        self._sky_sigma = torch.tensor(survey.sky_sigma, dtype=torch.float32, device=self.device)
        self._electrons = torch.tensor(
            [band.electrons_per_microjansky for band in survey.bands], dtype=torch.float32, device=self.device
        ).view(1, N_BANDS, 1, 1)
        self._transfer = lru_cache(maxsize=64)(self._transfer_functions)

    def render(self, scenes: Scenes) -> Rendered:
        """Images and truth of a batch; each depends on its own scene alone."""
        noiseless, truth, lensed_flux = self.light(scenes)
        table = scenes.scenes
        sky_sigma = self._sky_sigma * self._tensor(table[list(SKY_COLUMNS)], torch.float32)
        background = self._tensor(table[list(BACKGROUND_COLUMNS)], torch.float32) * self._sky_sigma
        scatter = torch.sqrt(sky_sigma[..., None, None] ** 2 + shot_noise_variance(noiseless, self._electrons))
        noise = self.frame.crop(correlated_noise(self._white(table["seed"].to_numpy()), self._noise_filters))
        images = noiseless + background[..., None, None] + scatter * noise
        return Rendered(images, noiseless, truth, lensed_flux, sky_sigma)

    def light(self, scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
        """Noiseless images (B, band, y, x), truth (B, role, y, x), flux before the PSF (B, role); see `Rendered`."""
        n, samples = len(scenes), self._samples(scenes)  # (B, band + role, P) [microjansky a arcsec^2]
        area = self.frame.pixel_scale**2
        pixels = self.frame.to_pixels(samples)
        fine = self.frame.to_fine(samples[:, Band.VIS], pixels[:, Band.VIS])
        scales, which = np.unique(scenes.scenes["psf_scale"].to_numpy(), return_inverse=True)
        transfers = [self._transfer(float(scale)) for scale in scales]
        fine_vis, coarse = (torch.stack(part)[torch.as_tensor(which)] for part in zip(*transfers, strict=True))
        vis = self.frame.bin_fine(convolve(fine, fine_vis))[:, None]
        # the truth maps tolerate the VIS point spread sampled at the pixel, and cost a ninth of it
        bands = [Band.VIS] * len(TRUTH_ROLES)
        rest = convolve(pixels[:, 1:], coarse[:, [*list(Band)[1:], *bands]])
        noiseless = torch.cat([vis, rest[:, : N_BANDS - 1]], 1)
        flux = pixels[:, N_BANDS:].reshape(n, len(TRUTH_ROLES), -1).sum(-1) * area
        return self.frame.crop(noiseless) * area, self.frame.crop(rest[:, N_BANDS - 1 :]) * area, flux

    def _samples(self, scenes: Scenes) -> Tensor:
        """Surface brightness at the frame's points, in the bands and, in VIS, by role: (B, band + role, P)."""
        table, parts = scenes.scenes, scenes.components
        rows = N_BANDS + len(TRUTH_ROLES)
        samples = self._x.new_zeros(len(table), rows, len(self._x))
        if parts.empty:
            return samples
        position = {index: k for k, index in enumerate(table["index"])}
        owner = parts["scene"].map(position).to_numpy()
        plane = parts["plane"].to_numpy()
        maps = self._x.new_empty(len(parts), len(self._x))
        for number, trace in ((0, None), (1, trace_to_source_1), (2, trace_to_source_2)):
            here = np.flatnonzero(plane == number)
            if len(here) == 0:
                continue
            x, y = self._x[None], self._y[None]
            if trace is not None:
                lensing, rank = np.unique(owner[here], return_inverse=True)
                x, y = trace(x, y, self._deflectors(table.iloc[lensing]))
                x, y = x[torch.as_tensor(rank)], y[torch.as_tensor(rank)]
            maps[torch.as_tensor(here)] = self._profiles(x, y, parts.iloc[here])
        weights = self._weights(parts, owner, len(table), rows)
        return (weights @ maps).view(len(table), rows, -1)

    def _weights(self, parts: pd.DataFrame, owner: np.ndarray, n: int, rows: int) -> Tensor:
        """Matrix (n rows, components) that sums unit profiles into bands and roles."""
        flux = parts[list(FLUX_COLUMNS)].to_numpy()
        amplitude = surface_brightness_at_r_e(flux.T, parts["r_e"].to_numpy(), parts["sersic_index"].to_numpy()).T
        weights = np.zeros((n, rows, len(parts)))
        column = np.arange(len(parts))
        for band in Band:
            weights[owner, band, column] = amplitude[:, band]
        role = parts["role"].to_numpy()
        for k, wanted in enumerate(TRUTH_ROLES):
            chosen = role == wanted
            weights[owner[chosen], N_BANDS + k, column[chosen]] = amplitude[chosen, Band.VIS]
        return torch.as_tensor(weights.reshape(n * rows, -1)).to(self.device, self.dtype)

    def _profiles(self, x: Tensor, y: Tensor, parts: pd.DataFrame) -> Tensor:
        """Unit profiles (1 at r_e) of components at (x, y), (M or 1, P) -> (M, P)."""
        value = {name: self._tensor(parts[name])[:, None] for name in ("x", "y", "r_e", "sersic_index", "q", "phi")}
        u, v = elliptical_coordinates(x, y, value["q"], value["phi"], value["x"], value["y"])
        maps = sersic(u, v, value["r_e"], value["sersic_index"])
        armed = np.flatnonzero(parts["arm_amplitude"].to_numpy() > 0)
        if len(armed):
            rows = torch.as_tensor(armed)
            arms = [
                self._tensor(parts[f"arm_{name}"])[rows, None] for name in ("amplitude", "number", "pitch", "phase")
            ]
            maps[rows] *= spiral_arms(u[rows], v[rows], value["r_e"][rows], *arms)
        return maps

    def _deflectors(self, table: pd.DataFrame) -> Deflectors:
        columns = {field.name: self._tensor(table[MASS_COLUMNS[field.name]])[:, None] for field in fields(Deflectors)}
        return Deflectors(**columns)

    def _white(self, seeds: np.ndarray) -> Tensor:
        """White noise (B, band, width, width), each scene's from its own generator."""
        width = self.frame.width
        noise = torch.empty(len(seeds), N_BANDS, width, width, dtype=torch.float32, device=self.device)
        generator = torch.Generator(self.device)
        for k, seed in enumerate(seeds):
            generator.manual_seed(int(seed))
            noise[k].normal_(generator=generator)
        return noise

    def _transfer_functions(self, psf_scale: float) -> tuple[Tensor, Tensor]:
        """Spectra of the point spread: VIS at the fine sampling (m, m // 2 + 1), all at the pixel (band, n, n // 2 + 1)."""
        frame, scale = self.frame, self.frame.pixel_scale
        radius = frame.padding * scale
        s = frame.supersampling
        vis = self.survey.bands[Band.VIS]
        fine = moffat_kernel(frame.width * s, scale / s, vis.psf_fwhm * psf_scale, vis.psf_beta, radius)
        coarse = [
            moffat_kernel(frame.width, scale, band.psf_fwhm * psf_scale, band.psf_beta, radius)
            for band in self.survey.bands
        ]
        complex_type = torch.complex64 if self.dtype == torch.float32 else torch.complex128
        spectra = (torch.fft.rfft2(kernel).to(self.device, complex_type) for kernel in (fine, torch.stack(coarse)))
        return tuple(spectra)

    def _tensor(self, values: pd.Series | pd.DataFrame, dtype: torch.dtype | None = None) -> Tensor:
        return torch.as_tensor(values.to_numpy(dtype=np.float64, copy=True)).to(self.device, dtype or self.dtype)
