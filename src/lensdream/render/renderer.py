"""Batched renderer: scenes to four-band images, all bands from one ray-trace, on any device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lensdream.instrument import DITHERS, EUCLID, N_BANDS, Band, Survey
from lensdream.optics.artefacts import ArtefactCounts, apply_artefacts
from lensdream.optics.detector import pixel_response, resample, sampled, wider_by
from lensdream.optics.multiplane import Deflectors, trace_to_source_1, trace_to_source_2
from lensdream.optics.noise import correlated_noise, noise_filter, shot_noise_variance
from lensdream.optics.psf import convolve, convolve_and_thin, moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import reach, surface_brightness_at_r_e, surface_brightness_of_crest
from lensdream.render.cores import COMPACT, Cells, Core, extract_cores, near
from lensdream.render.profiles import SERSIC_COLUMNS, Parts, columns_of, profile, rows_of, select
from lensdream.scene import BACKGROUND_COLUMNS, COMPONENT_COLUMNS, FLUX_COLUMNS, SKY_COLUMNS, Role, Scenes

MASS_COLUMNS = {
    "theta_E_1": "theta_E_1", "theta_E_2": "theta_E_2", "theta_E_12": "theta_E_12",
    "q": "mass_q", "phi": "mass_phi", "x": "mass_x", "y": "mass_y",
    "q_2": "mass_2_q", "phi_2": "mass_2_phi", "x_2": "mass_2_x", "y_2": "mass_2_y",
    "shear_1": "shear_1", "shear_2": "shear_2",
    "theta_E_b": "theta_E_b", "q_b": "mass_b_q", "phi_b": "mass_b_phi", "x_b": "mass_b_x", "y_b": "mass_b_y",
}  # fmt: skip
TRUTH_ROLES = (Role.TARGET, Role.SOURCE_1, Role.SOURCE_2)
DARKNESS = 21.0
"""depth of the profiles: below exp(-21) = 8e-10 of the brightness at r_e they are left out"""
WIDE_CHUNK = 16
"""wide components evaluated together: more leave a CPU's cache"""
WIDE = 4.0
"""reach [arcsec] from which a component is evaluated everywhere: finding out where it is needed would cost more"""
STEEP = 1.7
"""sersic_index of a source above which its centre is sampled as finely as that of a compact one"""
REFINED_RADIUS, SUBSAMPLES, CUSP_SUBSAMPLES = 3.0, 5, 25
"""radius [r_e] in which compact sources are sampled more finely, by how many samples an axis, and by how many at a cusp"""
REFINED_MARGIN = 0.8
"""margin added to that radius [pixel or sample]: half a diagonal, which isothermal masses leave, and some shear"""


@dataclass(frozen=True)
class Rendered:
    """Images of a batch of scenes, with and without noise, and their truth."""

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


class _Sampled(NamedTuple):
    """Light of a batch at the frame's points."""

    samples: Tensor
    """(B, band + role, P) [microjansky a arcsec^2], without the cores"""
    roles: Tensor
    """(B, role) bool: the roles that a scene has"""
    cores: list[list[Core | Cells]]
    """cores and cells of each scene"""


EUCLID_FRAME = Frame()
"""8 arcsec a side, the networks' training images"""


class Renderer:
    """Renderer of scenes into images of one frame, as observed by one survey.

    Parameters
    ----------
    frame : Frame
        The images' size and sampling; by default 80 x 80 pixels of 0.1 arcsec.
    survey : Survey
        Bands, point spreads and noise.
    dtype : torch.dtype
        Type of the ray-tracing and of the noiseless light; `torch.float64` for comparisons.
    device : str
        Device of the computation, such as `cuda`.

    Examples
    --------
    >>> from lensdream import Frame, Lens, Renderer
    >>> renderer = Renderer(Frame(stamp=64))
    >>> rendered = renderer.render(Lens(theta_E=1.2).scene(seed=3))
    >>> rendered.images.shape  # (scene, band, y, x) [microjansky a pixel]
    torch.Size([1, 4, 64, 64])

    The light of the arcs alone, in VIS and without noise, is in `truth`:

    >>> bool((rendered.truth[0, 1] > rendered.sky_sigma[0, 0]).any())  # some of it above the sky's scatter
    True
    """

    def __init__(
        self,
        frame: Frame = EUCLID_FRAME,
        survey: Survey = EUCLID,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
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
        self._shares = {
            pixels: torch.stack([sampled(frame.width, offsets, pixels) for offsets in DITHERS]).to(self.device, dtype)
            for pixels in {band.detector_pixels for band in survey.bands[Band.Y :]}
        }
        self._transfer = lru_cache(maxsize=64)(self._transfer_functions)

    def render(self, scenes: Scenes) -> Rendered:
        """Images and truth of a batch; each depends on its own scene alone.

        Parameters
        ----------
        scenes : Scenes
            One scene or more, from `draw_scenes` or `Lens.scene`.

        Returns
        -------
        Rendered
            `images`, `noiseless` (B, 4, y, x), `truth` (B, 3, y, x) VIS light of target, source 1, source 2 [microjansky a
            pixel]; `lensed_flux` (B, 3) of these [microjansky]; `sky_sigma` (B, 4) [microjansky a pixel].
        """
        noiseless, truth, lensed_flux = self.light(scenes)
        table = scenes.scenes
        sky_sigma = self._sky_sigma * self._tensor(table[list(SKY_COLUMNS)], torch.float32)
        background = self._tensor(table[list(BACKGROUND_COLUMNS)], torch.float32) * self._sky_sigma
        scatter = torch.sqrt(sky_sigma[..., None, None] ** 2 + shot_noise_variance(noiseless, self._electrons))
        noise = self.frame.crop(correlated_noise(self._white(table["seed"].to_numpy()), self._noise_filters))
        images = noiseless + background[..., None, None] + scatter * noise
        self._add_artefacts(images, table, sky_sigma)
        return Rendered(images, noiseless, truth, lensed_flux, sky_sigma)

    def light(self, scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
        """Noiseless images (B, band, y, x), truth (B, role, y, x), flux before the PSF (B, role); see `Rendered`."""
        sampled = self._sample(scenes, N_BANDS)
        frame, psf = self.frame, scenes.scenes["psf"].to_numpy()
        mosaic = self._x.new_empty(len(scenes), N_BANDS, frame.width, frame.width)
        for k in range(len(scenes)):  # one by one, for a scene's fine maps fill a CPU's cache
            fine = frame.to_fine(sampled.samples[k, :N_BANDS])
            for core in sampled.cores[k]:
                core.add_to(fine, core.weights[:N_BANDS])
            mosaic[k] = convolve_and_thin(fine, self._transfer(int(psf[k]))[0], frame.supersampling)
        images = frame.crop(mosaic) * frame.pixel_scale**2
        images[:, Band.Y :] = self._expose(mosaic[:, Band.Y :], scenes.scenes) * frame.pixel_scale**2
        truth, flux = self._truth(frame.to_pixels(sampled.samples[:, N_BANDS:]), sampled, psf)
        return images, truth, flux

    def arcs(self, scenes: Scenes) -> tuple[Tensor, Tensor]:
        """Truth (B, role, y, x) and flux before the PSF (B, role) alone, as `light` gives them, at a fraction of its cost."""
        sampled = self._sample(scenes, 0)
        return self._truth(self.frame.to_pixels(sampled.samples), sampled, scenes.scenes["psf"].to_numpy())

    def _truth(self, pixels: Tensor, sampled: _Sampled, psf: np.ndarray) -> tuple[Tensor, Tensor]:
        """Truth and flux of the maps (B, role, y, x) by role; the point spread sampled at the pixel is enough for them."""
        area = self.frame.pixel_scale**2
        for k, cores in enumerate(sampled.cores):
            for core in cores:
                core.add_to_pixels(pixels[k], core.weights[-len(TRUTH_ROLES) :], self.frame.supersampling)
        truth = torch.zeros_like(pixels)
        # most scenes lack a source or two: nothing to convolve there
        scene, role = sampled.roles.nonzero(as_tuple=True)
        if len(scene):
            different, which = np.unique(psf, return_inverse=True)
            transfer = torch.stack([self._transfer(int(index))[1] for index in different])[torch.as_tensor(which)]
            truth[scene, role] = convolve(pixels[scene, role], transfer.to(self.device)[scene])
        return self.frame.crop(truth) * area, pixels.flatten(2).sum(-1) * area

    def _expose(self, sky: Tensor, table: pd.DataFrame) -> Tensor:
        """Stamps (B, band, y, x) in the near infrared, sampled by dithered exposures from the sky (B, band, width, width)."""
        dither = torch.as_tensor(table["dither"].to_numpy(np.int64), device=self.device)
        bands = (band.detector_pixels for band in self.survey.bands[Band.Y :])
        exposed = [
            resample(sky[:, k], self._shares[pixels][dither], pixels, self.frame.inside)
            for k, pixels in enumerate(bands)
        ]
        return torch.stack(exposed, 1)

    def _add_artefacts(self, images: Tensor, table: pd.DataFrame, sky_sigma: Tensor) -> None:
        """Draw the artefacts into the images of scenes that have some, in place."""
        columns = [field.name for field in fields(ArtefactCounts)]
        values = table[columns]
        for k in np.flatnonzero((values != 0).any(axis=1)):
            generator = torch.Generator().manual_seed((int(table["seed"].iloc[k]) + 1) % 2**63)
            counts = ArtefactCounts(**values.iloc[k].to_dict())
            images[k] = apply_artefacts(images[k].cpu(), counts, sky_sigma[k].cpu(), generator).to(images)

    def _sample(self, scenes: Scenes, bands: int) -> _Sampled:
        """Light of a batch at the frame's points, in the first `bands` bands and, in VIS, by role."""
        table, parts = scenes.scenes, {name: scenes.components[name].to_numpy() for name in COMPONENT_COLUMNS}
        samples = self._x.new_zeros(len(table), bands + len(TRUTH_ROLES), len(self._x))
        roles = torch.zeros(len(table), len(TRUTH_ROLES), dtype=torch.bool)
        cores: list[list[Core | Cells]] = [[] for _ in range(len(table))]
        owner = pd.Index(table["index"]).get_indexer(parts["scene"])
        weights = self._weights(parts, bands)
        for k, role in enumerate(TRUTH_ROLES):
            roles[owner[parts["role"] == role], k] = True
        for number, trace in ((0, None), (1, trace_to_source_1), (2, trace_to_source_2)):
            rows = np.flatnonzero(parts["plane"] == number)
            if bands == 0:  # then only what has a role is wanted
                rows = rows[np.isin(parts["role"][rows], TRUTH_ROLES)]
            if len(rows) == 0:
                continue
            some = rows_of(parts, rows)
            x, y, rank = self._x[None], self._y[None], np.zeros(len(rows), int)
            if trace is not None:
                lensing, rank = np.unique(owner[rows], return_inverse=True)
                mass = self._deflectors(table.iloc[lensing])
                x, y = trace(x, y, mass)
            maps = self._maps(x, y, torch.as_tensor(rank), some)
            if trace is not None and self.frame.integrate:
                refined = self._refine(maps, weights[rows], (x, y), torch.as_tensor(rank), some, trace, mass)
                for m, cells in refined:
                    cores[owner[rows[m]]].append(cells)
            if trace is None and self.frame.integrate:
                for m, core in extract_cores(maps, some, weights[rows], self.frame, (self._x, self._y)):
                    cores[owner[rows[m]]].append(core)
            # components are sorted by scene
            first = np.flatnonzero(np.diff(owner[rows], prepend=-1)).tolist()
            for start, stop in pairwise([*first, len(rows)]):
                samples[owner[rows[start]]].addmm_(weights[rows[start:stop]].T, maps[start:stop])
        return _Sampled(samples, roles.to(self.device), cores)

    def _refine(
        self, maps: Tensor, weights: Tensor, rays: tuple[Tensor, Tensor], rank: Tensor, parts: Parts,
        trace: Callable[[Tensor, Tensor, Deflectors], tuple[Tensor, Tensor]], mass: Deflectors,
    ) -> list[tuple[int, Cells]]:  # fmt: skip
        """Sample compact or cuspy lensed components more finely near their centres.

        maps (M, P), weights (M, band + role), rays (x, y) (R, P), traced through the masses (R, 1), component m along rays
        rank[m]. In the fine square samples are replaced by the means of finer ones, in place; pixels outside it, where any
        centre is too sharp for one sample, are taken out of the maps and returned as cells of the fine sampling, with
        their component's number.
        """
        whole = parts["ring_width"] == 0
        steep = whole & (parts["sersic_index"] > STEEP)
        compact = whole & (parts["r_e"] < COMPACT)
        frame, value = self.frame, columns_of(parts, self._x)
        first = len(self._x) - (frame.fine_width * frame.supersampling) ** 2
        plain = {name: value[name] for name in SERSIC_COLUMNS}  # a ring is not refined, arms are finer than any sample

        def near_centre(chosen: np.ndarray, span: slice, radius: Tensor) -> tuple[Tensor, Tensor]:
            """Components, and samples of this span whose rays pass their centres within a radius (M, 1)."""
            rows = torch.as_tensor(np.flatnonzero(chosen))
            x, y = (axis[rank[rows], span] for axis in rays)
            squared = (x - value["x"][rows]) ** 2 + (y - value["y"][rows]) ** 2
            m, p = (squared < radius[rows] ** 2).nonzero(as_tuple=True)
            return rows.to(m.device)[m], p + span.start

        def finer(own: Tensor, p: Tensor, width: float, samples: int) -> Tensor:
            """Unit profiles (K, samples, samples) of components on grids of a width around points."""
            line = ((torch.arange(samples) - (samples - 1) / 2) / samples * width).to(self._x)
            dy, dx = torch.meshgrid(line, line, indexing="ij")
            at = self._x[p, None] + dx.flatten(), self._y[p, None] + dy.flatten()
            seen = trace(*at, mass.of(rank.to(own.device)[own]))
            return profile(*seen, select(plain, own)).view(-1, samples, samples)

        # a source may lie between the rays of two samples
        inner, outer = slice(first, len(self._x)), slice(0, first)
        core, between = REFINED_RADIUS * value["r_e"].clamp(max=COMPACT / 2), REFINED_MARGIN * frame.fine_step
        own, p = near_centre(compact | steep, inner, core + between)
        maps[own, p] = finer(own, p, frame.fine_step, SUBSAMPLES).mean((1, 2))
        own, p = near_centre(steep, inner, torch.full_like(core, between))
        maps[own, p] = finer(own, p, frame.fine_step, CUSP_SUBSAMPLES).mean((1, 2))
        own, p = near_centre(whole, outer, core + REFINED_MARGIN * frame.pixel_scale)
        maps[own, p] = 0
        s = frame.supersampling
        brightness = finer(own, p, frame.pixel_scale, s * SUBSAMPLES)
        brightness = brightness.view(-1, s, SUBSAMPLES, s, SUBSAMPLES).mean((2, 4))
        components, counts = own.unique_consecutive(return_counts=True)
        indices = frame.outer_indices.to(p.device)[p]
        cells = zip(components.tolist(), *(part.split(counts.tolist()) for part in (indices, brightness)), strict=True)
        return [(k, Cells(weights[k], *cell)) for k, *cell in cells]

    def _weights(self, parts: Parts, bands: int) -> Tensor:
        """Factors (component, bands + role) of a component's unit profile in each band and role."""
        r_e, width, role = (parts[name] for name in ("r_e", "ring_width", "role"))
        per_flux = np.where(
            width > 0,
            surface_brightness_of_crest(1.0, r_e, np.where(width > 0, width, 1.0)),
            surface_brightness_at_r_e(1.0, r_e, parts["sersic_index"]),
        )
        flux = np.stack([parts[name] for name in FLUX_COLUMNS], 1) * per_flux[:, None]
        by_role = [np.where(role == wanted, flux[:, Band.VIS], 0.0) for wanted in TRUTH_ROLES]
        return torch.as_tensor(np.column_stack([flux[:, :bands], *by_role])).to(self.device, self.dtype)

    def _maps(self, x: Tensor, y: Tensor, rank: Tensor, parts: Parts) -> Tensor:
        """Unit profiles (M, P) of components along the rays (x, y) (R, P), component m along rays rank[m], in order."""
        value = columns_of(parts, self._x)
        far = reach(parts["r_e"], parts["sersic_index"], parts["ring_width"], DARKNESS) / np.sqrt(parts["q"])
        maps = self._x.new_zeros(len(rank), len(self._x))
        wide = torch.as_tensor(np.flatnonzero(far > WIDE))
        for rows in wide.split(WIDE_CHUNK) if len(wide) else ():
            rays = (x, y) if len(x) == 1 else (x[rank[rows]], y[rank[rows]])
            maps[rows] = profile(*rays, select(value, rows))
        rows = torch.as_tensor(np.flatnonzero(far <= WIDE))
        if len(rows):
            some, bound = select(value, rows), torch.as_tensor(far).to(self._x)[rows, None]
            inside = torch.empty(len(rows), len(self._x), dtype=torch.bool, device=maps.device)
            along, counts = rank[rows].unique_consecutive(return_counts=True)
            start = 0
            for k, stop in zip(along.tolist(), counts.cumsum(0).tolist(), strict=True):
                inside[start:stop] = near((x[k], y[k]), some["x"][start:stop], some["y"][start:stop], bound[start:stop])
                start = stop
            m, p = inside.nonzero(as_tuple=True)
            if len(m) == 0:  # all of them lie off the stamp
                return maps
            own = rows.to(m.device)[m]
            ray = rank.to(m.device)[own]
            maps[own, p] = profile(
                x[ray, p], y[ray, p], {name: column[:, 0] for name, column in select(value, own).items()}
            )
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

    def _transfer_functions(self, psf: int) -> tuple[Tensor, Tensor]:
        """Transfer functions of one of the survey's point spreads, on the fine grid and on the pixels.

        At the fine sampling (band, m, m // 2 + 1), with the average over each band's detector pixel; in VIS, at the pixel,
        without it (n, n // 2 + 1).
        """
        frame, scale, spread = self.frame, self.frame.pixel_scale, self.survey.point_spreads[psf]
        s = frame.supersampling

        def spectrum(band: Band, samples: int) -> Tensor:
            response = self.survey.bands[band]
            fwhm, beta = response.psf_fwhm * spread.fwhm[band], response.psf_beta * spread.beta[band]
            radius = (frame.padding - wider_by(response.detector_pixels)) * scale
            width = frame.width * samples
            return torch.fft.rfft2(
                moffat_kernel(width, scale / samples, fwhm, beta, radius, spread.e_1[band], spread.e_2[band])
            )

        fine = []
        for band in Band:
            line = pixel_response(frame.width * s, s, self.survey.bands[band].detector_pixels, frame.integrate)
            fine.append(spectrum(band, s) * line[:, None] * line[: frame.width * s // 2 + 1])
        complex_type = torch.complex64 if self.dtype == torch.float32 else torch.complex128
        return torch.stack(fine).to(self.device, complex_type), spectrum(Band.VIS, 1).to(self.device, complex_type)

    def _tensor(self, values: pd.Series | pd.DataFrame, dtype: torch.dtype | None = None) -> Tensor:
        return torch.as_tensor(values.to_numpy(dtype=np.float64, copy=True)).to(self.device, dtype or self.dtype)
