"""Class prior of the non-lenses: corrects lens logits where the mix of classes differs from that of training.

Prior shift after Saerens, Latinne & Decaestecker 2002 (Neural Computation 14, 21): of the odds
p(image | lens) : sum over classes of number x p(image | class), only the numbers change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from lensdream.families import NON_LENS_CLASSES
from lensdream.networks.layout import CLASS_PRIOR, SECOND_STAGE, WEIGHTS
from lensdream.networks.lensnet import pooled
from lensdream.runtime.files import sha256_of, write_whole


class ClassPriorError(ValueError):
    """A class prior that does not belong to its model; the message names the stage to run."""


class ClassPrior(nn.Module):
    """Logistic regression from the second stage's features to the non-lens classes, and the mix of its training."""

    def __init__(self, weight: Tensor, bias: Tensor, trained_on: Mapping[str, float]) -> None:
        """Take the regression and the mix of training.

        Parameters
        ----------
        weight, bias : Tensor
            Of the regression, (class, feature) and (class,).
        trained_on : Mapping
            Non-lenses of each class for every lens in the training of the second stage, by their weights there.

        """
        super().__init__()
        self.names = tuple(trained_on)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("trained_on", torch.tensor(list(trained_on.values())))

    def forward(self, features: Tensor) -> Tensor:
        """(B, feature) -> (B, class): log likelihoods of the classes, up to a constant of each image."""
        return nn.functional.linear(features, self.weight, self.bias)

    def correction(self, log_likelihoods: Tensor, shares: Tensor) -> Tensor:
        """(B, class), (class,) -> (B,): gain of a lens logit where non-lenses, as many as lenses, have these shares."""
        of_training, of_target = (torch.logsumexp(log_likelihoods + mix.log(), 1) for mix in (self.trained_on, shares))
        return of_training - of_target

    def shares(self, numbers: Mapping[str, float]) -> Tensor:
        """Numbers by class as shares (class,) in the prior's order; raises `ValueError` for other classes."""
        if set(numbers) != set(self.names):
            raise ValueError(
                f"shares of {', '.join(numbers)}, the classes of non-lenses are {', '.join(self.names)}: give each of these one"
            )
        mix = torch.tensor([numbers[name] for name in self.names], dtype=torch.float32)
        return mix / mix.sum()


class SecondStage(nn.Module):
    """Second-stage network with its class prior: lens logits for a survey's shares of the non-lens classes."""

    def __init__(
        self, network: nn.Module, prior: ClassPrior | None = None, shares: Mapping[str, float] | None = None
    ) -> None:
        """Take a network; with a `prior`, one that has `features`, and the `shares` of the classes in a survey."""
        super().__init__()
        self.network = network
        self.prior = prior
        self.register_buffer("shares", None if prior is None else prior.shares(shares))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,) for the target mix."""
        if self.prior is None:
            return self.network.forward(images)  # not called: explanations trace the network's own layers
        return self.outputs(images)[:, 0]

    def outputs(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 2 + class): logits for target and training mix, log likelihoods."""
        if self.prior is None:
            logits = self.network(images)
            return torch.stack([logits, logits], 1)
        features = pooled(self.network.features(images))
        logits = self.network.head(self.network.dropout(features))[:, 0]
        classes = self.prior(features)
        corrected = logits + self.prior.correction(classes, self.shares)
        return torch.cat([corrected[:, None], logits[:, None], classes], 1)


def save_class_prior(folder: Path, prior: ClassPrior) -> None:
    """Write the class prior beside the second stage of the model in `folder`, to which it belongs."""
    path = folder / CLASS_PRIOR
    about = {"kinds": json.dumps(prior.names), "of": sha256_of(folder / SECOND_STAGE / WEIGHTS)}
    write_whole(path, safetensors.torch.save(prior.state_dict(), about))


def load_class_prior(folder: Path) -> ClassPrior:
    """Read the class prior of the model in `folder`.

    Raises `ClassPriorError` for a prior of another second stage than the folder's, or of other classes than
    `NON_LENS_CLASSES`.
    """
    with safe_open(folder / CLASS_PRIOR, "pt") as file:
        about = file.metadata()
        weight, bias, trained_on = (file.get_tensor(name) for name in ("weight", "bias", "trained_on"))
    if about["of"] != sha256_of(folder / SECOND_STAGE / WEIGHTS):
        raise ClassPriorError(
            f"{folder / CLASS_PRIOR} belongs to another second stage: run the class-prior stage again"
        )
    names = json.loads(about["kinds"])
    if set(names) != set(NON_LENS_CLASSES):
        raise ClassPriorError(
            f"{folder / CLASS_PRIOR} has the non-lens classes {', '.join(names)}, this version has "
            f"{', '.join(NON_LENS_CLASSES)}: run the class-prior stage again"
        )
    return ClassPrior(weight, bias, dict(zip(names, trained_on.tolist(), strict=True)))
