"""Batches of scenes to stored images, truth masks and measurements, in chunks that fit a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lensdream.config import SimulateConfig
from lensdream.instrument import EUCLID, Band
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.optics.sampling import Frame
from lensdream.render.detectability import above_sky, arc_snr
from lensdream.render.renderer import TRUTH_ROLES, Rendered, Renderer
from lensdream.scene import Role, Scenes

ARC_1 = 1
"""mask bit: lensed, PSF-convolved VIS flux of source 1 above 1 sigma of the sky"""
ARC_2 = 2
"""mask bit: the same of source 2"""
LENS_LIGHT = 4
"""mask bit: the same of the target's light"""

MEASURED = ("arc_snr_1", "arc_snr_2", "flux_target_VIS", "flux_source_1_VIS", "flux_source_2_VIS")
"""columns that rendering adds to a scene's row; fluxes are lensed, in microjansky"""


class ReferenceRenderer(Renderer):
    """Renderer whose light is lenstronomy's; noise, artefacts and truth are those of `Renderer`."""

    def light(self, scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
        """Images, truth and flux as from `Renderer.light`."""
        from lensdream.render.reference import reference_noiseless  # lenstronomy takes seconds to import

        noiseless = torch.as_tensor(reference_noiseless(scenes, self.frame, COSMOLOGY)).to(self.device, self.dtype)
        return noiseless, *self.arcs(scenes)


RENDERERS: dict[str, Callable[[Frame], Renderer]] = {"lensdream": Renderer, "lenstronomy": ReferenceRenderer}


def frame_of(settings: SimulateConfig) -> Frame:
    """Frame of these settings."""
    return Frame(settings.stamp, settings.padding, settings.supersampling, settings.fine_width, EUCLID.pixel_scale)


def renderer_of(settings: SimulateConfig) -> Renderer:
    """Renderer of these settings."""
    return RENDERERS[settings.renderer](frame_of(settings))


def in_chunks(renderer: Renderer, scenes: Scenes, chunk: int) -> Iterator[Rendered]:
    """Renderings of scenes, `chunk` at a time."""
    for start in range(0, len(scenes), chunk):
        yield renderer.render(scenes.take(slice(start, start + chunk)))


def stored(rendered: Rendered) -> np.ndarray:
    """Images in the format of stores and training: (B, band, y, x) float16 [microjansky a pixel]."""
    return rendered.images.to(torch.float16).cpu().numpy()


def truth_masks(rendered: Rendered) -> Tensor:
    """Bits (B, y, x) uint8: VIS light of source 1, source 2 and target above 1 sigma of the sky."""
    sky = rendered.sky_sigma[:, Band.VIS]
    mask = torch.zeros_like(rendered.truth[:, 0], dtype=torch.uint8)
    for role, bit in ((Role.SOURCE_1, ARC_1), (Role.SOURCE_2, ARC_2), (Role.TARGET, LENS_LIGHT)):
        mask |= above_sky(rendered.truth[:, TRUTH_ROLES.index(role)], sky).to(torch.uint8) * bit
    return mask


def measurements(rendered: Rendered) -> pd.DataFrame:
    """Table of the columns `MEASURED`, one row a scene."""
    sky = rendered.sky_sigma[:, Band.VIS]
    target, source_1, source_2 = rendered.truth.unbind(1)
    columns = (
        arc_snr(source_1, target + source_2, sky), arc_snr(source_2, target + source_1, sky),
        *rendered.lensed_flux.unbind(1),
    )  # fmt: skip
    return pd.DataFrame({name: column.double().cpu().numpy() for name, column in zip(MEASURED, columns, strict=True)})
