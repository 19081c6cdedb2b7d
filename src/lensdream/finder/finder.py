"""A trained network ready to score images, with the thresholds that were measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from lensdream.finder import operating_points
from lensdream.finder.cascade import SecondLooks, load_finder
from lensdream.finder.operating_points import OperatingPoints, PointsError
from lensdream.instrument import Band
from lensdream.networks import predict
from lensdream.networks.input import Middle
from lensdream.networks.model_file import digest_of, stamp_of


class ModelError(ValueError):
    """A model's folder that cannot be used, with the remedy."""


@dataclass(frozen=True)
class Scorer:
    """A network and what its logits mean."""

    network: SecondLooks
    """with second looks"""
    stamp: int
    """side of the images it takes [pixel]"""
    points: OperatingPoints
    device: torch.device
    digest: str
    """of the weights"""

    @property
    def first_look(self) -> nn.Module:
        """The network of the first look, which the report's maps of real lenses are of."""
        return self.network.network

    @cached_property
    def middle(self) -> int:
        """Side of the middle of an image that it looks at [pixel]; all of it for a network that takes no middle."""
        sides = [part.side for part in self.network.modules() if isinstance(part, Middle)]
        return min(max(sides, default=self.stamp), self.stamp)

    @classmethod
    def load(cls, model_folder: Path) -> Scorer:
        """Load a model's folder, onto a GPU if there is one; raises `ModelError` with the remedy."""
        try:
            points = operating_points.read_best(model_folder)
            network, stamp, digest = (
                load_finder(model_folder, shares=points.shares),
                stamp_of(model_folder),
                digest_of(model_folder),
            )
        except (FileNotFoundError, PointsError) as error:
            raise ModelError(str(error)) from None
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            # The first line only: torch lists every weight that differs.
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
            raise ModelError(f"the model in {model_folder} cannot be used ({reason}): train it again") from None
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Channels last: a third faster on a CPU.
        network = network.to(device, memory_format=torch.channels_last).eval()
        return cls(network, stamp, points, device, digest)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(n, band, stamp, stamp) [microjansky a pixel] -> (n,) float64 lens logits; raises `ValueError` for other shapes."""
        shape = (len(Band), self.stamp, self.stamp)
        if np.ndim(images) != 4 or np.shape(images)[1:] != shape:
            raise ValueError(
                f"images have the shape {np.shape(images)}, this model takes (n, {', '.join(map(str, shape))}), bands in "
                f"the order {' '.join(band.name for band in Band)}: cut them out so"
            )
        return (
            predict(self.network, torch.from_numpy(np.asarray(images, np.float32)), device=self.device).double().numpy()
        )
