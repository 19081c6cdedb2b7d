"""Settings of trainings: how a network is fitted, its shape, and what it is trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from lensdream.config.fields import LARGEST_SEED, MANY, ConfigError, part, setting, switch


@dataclass(frozen=True)
class Fit:
    """Fit of any network to images."""

    seed: int = setting(1, 0, LARGEST_SEED, "of weights, order and augmentation")
    learning_rate: float = setting(0.002, 1e-6, 1.0, "peak of the one-cycle schedule")
    final_rate: float = setting(0.01, 0.0, 1.0, "share of it that the schedule ends at; 1, without warm-up: constant")
    weight_decay: float = setting(0.02, 0.0, 1.0, "of AdamW; 0 is Adam")
    warmup_epochs: float = setting(1.0, 0.0, 100.0, "rise of the learning rate", "epoch")
    batch_size: int = setting(64, 2, 65536, "images of a step")
    clip_norm: float = setting(1.0, 1e-6, math.inf, "largest norm of a gradient; .inf for any")
    balanced: bool = switch(False, "whether both classes weigh the same in the loss, whatever their numbers")
    dihedral: bool = switch(True, "whether images are turned by right angles and mirrored")
    shift_pixels: int = setting(2, 0, 16, "largest random shift of an image", "pixel")
    band_dropout: float = setting(0.15, 0.0, 0.9, "chance that an image loses its near-infrared bands, or one band")
    gain_scatter: float = setting(0.03, 0.0, 0.5, "of each band of each image, as zero points err")
    label_smoothing: float = setting(
        0.0, 0.0, 0.4, "with 0.01 all plain lenses score alike, and rates of 1e-3 live on what parts them"
    )
    averaging: float = setting(0.995, 0.0, 0.99999, "decay a step of the running mean of the weights; 0 for none")
    patience: int = setting(0, 0, 10**4, "epochs without a lower validation loss that end it; 0 for never")
    epochs: int = setting(16, 1, 10**4, "passes over the training images")
    threads: int = setting(2, 1, 1024, "of torch on a CPU")


@dataclass(frozen=True)
class LensNetConfig:
    """Shape of LensNet, and of its deeper sibling."""

    width: int = setting(32, 4, 512, "the first layer has half as many channels, the last ones four times as many")
    dropout: float = setting(0.2, 0.0, 0.9, "before the last layer")
    middle_pixels: int = setting(
        64, 16, 1024, "side of the middle of an image that is the input; of smaller images all is", "pixel"
    )


@dataclass(frozen=True)
class WarmStart:
    """Shape of a network that starts from trained weights: all but the dropout is theirs."""

    dropout: float = setting(0.2, 0.0, 0.9, "before the last layer")


Network = TypeVar("Network")
"""settings of a network's shape"""


@dataclass(frozen=True)
class Training(Generic[Network]):
    """Training of a network that separates lenses from non-lenses; `Training[OUConfig]` has another network's shape."""

    fit: Fit = part(Fit)
    network: Network = part(LensNetConfig, "the network's shape")
    images: int = setting(0, 0, MANY, "of the training split, evenly taken; 0 for all")
    fresh_scenes: int = setting(
        0, 0, MANY, "drawn anew for every epoch in place of the stored ones; 0 for those of the store"
    )
    hard_negatives: int = setting(
        0, 0, MANY, "fresh non-lenses of a round: those that score high take the places of stored ones"
    )
    hard_rounds: int = setting(0, 0, 100, "such rounds, evenly spread over the epochs")

    def __post_init__(self) -> None:
        """Check bounds that involve several settings."""
        if self.hard_negatives and not 0 < self.hard_rounds < self.fit.epochs:
            raise ConfigError(
                f"hard_rounds = {self.hard_rounds} do not fit between {self.fit.epochs} epochs: at least 1 and fewer than "
                "epochs, or hard_negatives = 0"
            )
        if self.hard_negatives and self.fresh_scenes:
            raise ConfigError(
                f"hard_negatives = {self.hard_negatives} take the places of stored images, and fresh_scenes = "
                f"{self.fresh_scenes} uses none: set one of them to 0"
            )


@dataclass(frozen=True)
class FreshMix:
    """Fresh scenes that the second stage is trained on in addition to the stored ones."""

    scenes: int = setting(2000, 0, MANY, "drawn once, in the training split's shares but for the share of lenses")
    lens_share: float = setting(0.35, 0.0, 1.0, "of lenses among them")
    rare_lenses: float = setting(0.3, 0.0, 1.0, "of rare kinds among these, as population.rare_lenses")
    targets: int = setting(2000, 0, MANY, "fresh non-lenses in a survey's shares")
    hard_families: int = setting(
        0, 0, MANY, "fresh ring galaxies besides, and as many mergers; they weigh what their share is"
    )


@dataclass(frozen=True)
class SecondStageTraining:
    """Training of DeepLensNet from random weights on the images that pass the gate of the first stage; for a GPU."""

    fit: Fit = part(Fit, seed=8, batch_size=256)
    network: LensNetConfig = part(LensNetConfig, "the network's shape", width=64)
    fresh: FreshMix = part(FreshMix, "fresh scenes")


@dataclass(frozen=True)
class SecondStageFineTuning:
    """Fine-tuning of the second stage from DeepLensNet's weights on a training set with more rare lenses."""

    fit: Fit = part(Fit, seed=8, batch_size=256, learning_rate=0.0007, warmup_epochs=0.1, epochs=4)
    network: WarmStart = part(WarmStart, "the network, which has the shape of DeepLensNet")
    fresh: FreshMix = part(FreshMix, "fresh scenes", rare_lenses=0.6, hard_families=500)


@dataclass(frozen=True)
class ClassPriorConfig:
    """Fit of the class prior: a regression of the non-lens class on the features of the second-stage network."""

    fresh_of_each: int = setting(
        200, 10, 10**7, "fresh non-lenses drawn of each of the thirteen classes; fewer pass the first stage"
    )
    penalty: float = setting(
        0.002, 1e-9, 1e3, "on half the squared weights of standardised features, as against the mean loss of an image"
    )
    held_out: float = setting(0.1, 0.01, 0.5, "share of the images that measures it")
    seed: int = setting(9, 0, LARGEST_SEED, "of orientations and of which are held out")


@dataclass(frozen=True)
class CompoundTraining:
    """Training of the compound classifier from the weights of the first stage, so that few epochs do."""

    fit: Fit = part(Fit, seed=7, learning_rate=0.001, warmup_epochs=0.5, band_dropout=0.1, epochs=8)
    network: WarmStart = part(WarmStart, "the network, which has the shape of the finder's")
    held_out: float = setting(0.1, 0.01, 0.5, "share of the compound scenes, with their partners, that validate")
    singles_per_compound: float = setting(
        2.0, 0.0, 100.0, "ordinary single lenses of an epoch beside each compound lens and its partner"
    )
