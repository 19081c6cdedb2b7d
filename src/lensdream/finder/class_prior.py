"""What an image is if it is no lens, and what a network says of it where non-lenses come in other shares than in training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from lensdream.networks.lensnet import DeepLensNet, pooled
from lensdream.networks.model_file import KINDS_FILE, SECOND, WEIGHTS
from lensdream.runtime.files import sha256_of


class Kinds(nn.Module):
    """Which kind of non-lens an image shows: a linear layer over what the second network sees in it."""

    def __init__(self, weight: Tensor, bias: Tensor, trained_on: Mapping[str, float]) -> None:
        """Logistic regression: weight (kind, feature), bias (kind,); trained_on: non-lenses of each kind for every lens.

        `trained_on` counts what the training of that network was drawn from, by the weights it had there.
        """
        super().__init__()
        self.names = tuple(trained_on)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("trained_on", torch.tensor(list(trained_on.values())))

    def forward(self, seen: Tensor) -> Tensor:
        """(B, feature) -> (B, kind): log likelihoods of the kinds, up to a constant of each image."""
        return nn.functional.linear(seen, self.weight, self.bias)

    def correction(self, seen: Tensor, shares: Tensor) -> Tensor:
        """(B, feature), (kind,) -> (B,): what to add to a lens logit for as many lenses as non-lenses in these shares.

        Of the odds, p(image | lens) : sum over kinds of number x p(image | kind), only the numbers change.
        """
        said = self(seen)
        there, here = (torch.logsumexp(said + mix.log(), 1) for mix in (self.trained_on, shares))
        return there - here

    def shares(self, numbers: Mapping[str, float]) -> Tensor:
        """Numbers or shares of the kinds as shares (kind,) in their order; raises `ValueError` for those of other kinds."""
        if set(numbers) != set(self.names):
            raise ValueError(f"shares of {', '.join(numbers)}, the kinds of non-lenses are {', '.join(self.names)}")
        mix = torch.tensor([numbers[name] for name in self.names], dtype=torch.float32)
        return mix / mix.sum()


class InShares(nn.Module):
    """A network that has lens logits for as many lenses as non-lenses in these shares, too; what it sees stays the same."""

    def __init__(self, network: DeepLensNet, kinds: Kinds, shares: Mapping[str, float]) -> None:
        super().__init__()
        self.network = network
        self.kinds = kinds
        self.register_buffer("shares", kinds.shares(shares))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B, 2): for the shares of training, and for these."""
        seen = pooled(self.network.features(images))
        logits = self.network.head(self.network.dropout(seen))[:, 0]
        return torch.stack([logits, logits + self.kinds.correction(seen, self.shares)], 1)


def save_kinds(folder: Path, kinds: Kinds) -> None:
    """Write them beside the second network of the model in `folder`, to which they belong."""
    path = folder / KINDS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"kinds": json.dumps(kinds.names), "of": sha256_of(folder / SECOND / WEIGHTS)}
    part = path.with_name(f"{path.name}.part")
    safetensors.torch.save_file(kinds.state_dict(), part, about)
    part.replace(path)


def load_kinds(folder: Path) -> Kinds:
    """Read what `save_kinds` wrote; raises `ValueError` where it belongs to another second network than the folder's."""
    with safe_open(folder / KINDS_FILE, "pt") as file:
        about = file.metadata()
        weight, bias, trained_on = (file.get_tensor(name) for name in ("weight", "bias", "trained_on"))
    if about["of"] != sha256_of(folder / SECOND / WEIGHTS):
        raise ValueError(f"{folder / KINDS_FILE} belongs to another second network: run the train-kinds stage again")
    return Kinds(weight, bias, dict(zip(json.loads(about["kinds"]), trained_on.tolist(), strict=True)))
