"""Who draws the light: `simulate.renderer`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lensdream.optics.sampling import Frame
from lensdream.scene import Scenes
from lensdream.simulate.render import Renderer


class ReferenceRenderer(Renderer):
    """The slow reference: light by lenstronomy, while noise, artefacts and truth are ours and the same."""

    def light(self, scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
        """As `Renderer.light`."""
        # lenstronomy takes seconds to import
        from lensdream.population.galaxies import COSMOLOGY
        from lensdream.simulate.reference import reference_noiseless

        noiseless = torch.as_tensor(reference_noiseless(scenes, self.frame, COSMOLOGY)).to(self.device, self.dtype)
        return noiseless, *self.arcs(scenes)


RENDERERS: dict[str, Callable[[Frame], Renderer]] = {"lensdream": Renderer, "lenstronomy": ReferenceRenderer}
