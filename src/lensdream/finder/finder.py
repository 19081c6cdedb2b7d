"""Finder as one object: cascade, class prior, thresholds and compound classifier of a model folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from lensdream.explain.cutout import CutoutMaps, explain_image
from lensdream.explain.decision import (
    BY_FIRST_STAGE,
    BY_SECOND_STAGE,
    Decision,
    deciding_network,
    is_decided_by_second_stage,
)
from lensdream.explain.dream import TOWARDS_LENS, TOWARDS_NON_LENS, Climb, dream, psf_transfer
from lensdream.families import LENS
from lensdream.finder import operating_points
from lensdream.finder.locate import ModelError, find_model
from lensdream.finder.operating_points import OperatingPoints, PointsError
from lensdream.instrument import EUCLID, Band
from lensdream.networks.cascade import Cascade
from lensdream.networks.class_prior import ClassPriorError, SecondStage, load_class_prior
from lensdream.networks.compound import PREVALENCE, CompoundClassifier, compound_probability
from lensdream.networks.input import CenterCrop
from lensdream.networks.layout import (
    CLASS_PRIOR,
    COMPOUND,
    POINTS,
    SECOND_STAGE,
    SURVEY_POINTS,
    digest_of,
    is_model,
    part_files,
    stamp_of,
)
from lensdream.networks.model_file import load_model
from lensdream.networks.predict import predict

COMPOUND_AT = "fpr_1e-2"
"""threshold of the finder above which images are scored by the compound classifier"""
FARTHEST_SCATTER = 100.0
"""factor either way between an image's median absolute pixel and the sky's scatter, beyond which the unit must be another"""
BRIGHTEST = 1e4
"""microjansky a pixel that a dream may reach: a star of VIS 13 has more"""
BANDS = tuple(band.name for band in Band)


class HasImage(Protocol):
    """Anything with an image, such as a cutout that `read_cutout` gives."""

    image: np.ndarray
    """(band, y, x) [microjansky a pixel]"""


@dataclass(frozen=True)
class Scores:
    """Scores of n images, an array or a column each.

    Attributes
    ----------
    logit : ndarray
        (n,) lens logits for a survey's mix of non-lenses; what thresholds are for.
    training_mix_logit : ndarray
        (n,) lens logits for the mix of training, which the test set has too.
    probability : ndarray
        (n,) calibrated probabilities of a lens, where lenses are as many as non-lenses.
    above : Mapping
        For each measured false-positive rate such as `fpr_1e-3`, (n,) bool: is the logit above its threshold.
    compound_logit, compound_probability : ndarray
        (n,) that a lens has two sources; NaN below the threshold of 1e-2 and for a model without the classifier.
    class_posterior : DataFrame or None
        (n, 1 + class) probabilities of a lens and of the non-lens classes; NaN where the second stage was not needed. None
        for a model without a class prior.

    """

    logit: np.ndarray
    training_mix_logit: np.ndarray
    probability: np.ndarray
    above: Mapping[str, np.ndarray]
    compound_logit: np.ndarray
    compound_probability: np.ndarray
    class_posterior: pd.DataFrame | None

    def __len__(self) -> int:
        """Count the images."""
        return len(self.logit)

    @property
    def looks_like(self) -> list[str | None]:
        """Likeliest class of each image; None where the class posterior is not known."""
        if self.class_posterior is None:
            return [None] * len(self)
        known = self.class_posterior.notna().all(axis=1)
        likeliest = self.class_posterior.fillna(0.0).idxmax(axis=1)
        return [name if has_posterior else None for name, has_posterior in zip(likeliest, known, strict=True)]

    def to_table(self) -> pd.DataFrame:
        """A row an image: logit, probability, `above_<rate>`, compound_probability, looks_like."""
        columns = {"logit": self.logit.astype(float), "probability": self.probability}
        columns |= {f"above_{rate}": hits for rate, hits in self.above.items()}
        columns |= {"compound_probability": self.compound_probability, "looks_like": self.looks_like}
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class Finder:
    """A trained finder of strong lenses.

    Examples
    --------
    >>> from lensdream import Finder, Lens, simulate
    >>> finder = Finder.load("models/poster")
    >>> scores = finder.score(simulate(Lens(theta_E=1.2)))
    >>> bool(scores.above["fpr_1e-3"][0])
    True

    """

    cascade: Cascade
    compound: CompoundClassifier | None
    points: OperatingPoints
    stamp: int
    """side of the images that the finder takes [pixel]"""
    device: torch.device
    folder: Path
    """folder that the finder was loaded from"""
    name: str
    """name of the model in tables"""
    digest: str
    """digest of weights and settings"""

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        *,
        root: Path = Path(),
        device: torch.device | str | None = None,
    ) -> Finder:
        """Load a finder with its thresholds.

        Parameters
        ----------
        model : str or Path, optional
            A model folder, or an alias or version of the registry. By default the champion of the registry, else the best
            model in `models/`, else the packaged one.
        root : Path
            The repository of the registry and of `models/`.
        device : torch.device or str, optional
            By default a GPU if there is one.

        Raises
        ------
        ModelError
            For a model that is not there or cannot be used; the message says what to do.

        """
        folder, name = find_model(model, root)
        try:
            points = operating_points.read_best(folder)
        except PointsError as error:
            raise ModelError(str(error)) from None
        return cls._of(folder, name, points, device)

    @classmethod
    def unmeasured(cls, folder: Path, shares: Mapping[str, float] | None = None) -> Finder:
        """Load the finder of a folder onto the CPU without thresholds, to measure it; raises `ModelError`.

        shares: shares of the non-lens classes that the logits are for; None for those of training.
        """
        return cls._of(folder, folder.as_posix(), OperatingPoints(shares=shares), "cpu")

    @classmethod
    def _of(cls, folder: Path, name: str, points: OperatingPoints, device: torch.device | str | None) -> Finder:
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        try:
            cascade = load_cascade(folder, points.shares).to(device)
            compound = CompoundClassifier.load(folder).to(device) if is_model(folder / COMPOUND) else None
            return cls(cascade, compound, points, stamp_of(folder), device, folder, name, digest_of(folder))
        except (FileNotFoundError, ClassPriorError) as error:
            raise ModelError(str(error)) from None
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            # The first line only: torch lists every weight that differs.
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
            raise ModelError(f"the model in {folder} cannot be used ({reason}): train it again") from None

    @property
    def model(self) -> str:
        """Name and digest of the model, as tables have them."""
        return f"{self.name}@{self.digest[:12]}"

    @property
    def corrects_prior(self) -> bool:
        """Whether logits are for a survey's shares of the non-lens classes, and not those of training."""
        return self.cascade.second is not None and self.cascade.second.prior is not None

    @cached_property
    def crop_pixels(self) -> int:
        """Side of the centre crop of an image that the networks take [pixel]."""
        sides = [part.side for part in self.cascade.modules() if isinstance(part, CenterCrop)]
        return min(max(sides, default=self.stamp), self.stamp)

    def score(
        self,
        images: np.ndarray | Sequence[HasImage],
        *,
        bands: Sequence[str] = BANDS,
        compound_prevalence: float = PREVALENCE,
        batch_size: int | None = None,
    ) -> Scores:
        """Score images.

        Parameters
        ----------
        images : ndarray or sequence of Cutout
            (n, band, y, x) or one (band, y, x) [microjansky a pixel of 0.1 arcsec], `stamp` pixels a side; a band that is
            zero everywhere is missing.
        bands : sequence of str
            The order of your bands; another than VIS, Y, J, H is refused.
        compound_prevalence : float
            Share of compound lenses among the lenses of your survey.
        batch_size : int, optional
            Images that a network takes at once.

        Returns
        -------
        Scores
            Of n images.

        Raises
        ------
        ValueError
            For another shape, another order of bands, pixels that are not finite, and values a hundred times off.

        """
        if tuple(bands) != BANDS:
            raise ValueError(f"the bands are {' '.join(bands)}, this model takes {' '.join(BANDS)}: reorder them")
        pixels = np.asarray(images if isinstance(images, np.ndarray) else [one.image for one in images], np.float32)
        pixels = pixels[None] if pixels.ndim == 3 else pixels
        self.refuse_shape(pixels)
        _refuse_values(pixels)
        return self.scores(torch.from_numpy(pixels), compound_prevalence=compound_prevalence, batch_size=batch_size)

    def scores(
        self, images: Tensor, *, compound_prevalence: float = PREVALENCE, batch_size: int | None = None
    ) -> Scores:
        """Score images (n, band, y, x) of any float type whose unit and order are known to be right, as `score` does."""
        found = predict(self.cascade.outputs, images, batch_size, self.device)
        found = found.reshape(len(images), -1) if len(images) else found.new_empty(0, 2)
        logit, training_mix_logit = found[:, 0].numpy(), found[:, 1].numpy()
        compound_logit = self._compound_logits(images, logit, batch_size)
        probability = self.points.probability(logit.astype(float))
        return Scores(
            logit,
            training_mix_logit,
            probability,
            {rate: logit > threshold for rate, threshold in self.points.thresholds.items()},
            compound_logit,
            compound_probability(compound_logit, self._training_odds, compound_prevalence),
            self._class_posterior(found[:, 2:], probability),
        )

    @property
    def _training_odds(self) -> float:
        return 1.0 if self.compound is None else self.compound.training_odds

    def _compound_logits(self, images: Tensor, logit: np.ndarray, batch_size: int | None) -> np.ndarray:
        found = np.full(len(logit), np.nan)
        (taken,) = np.nonzero(logit > self.points.thresholds.get(COMPOUND_AT, np.inf))
        if self.compound is not None and len(taken):
            found[taken] = predict(self.compound, images[torch.from_numpy(taken)], batch_size, self.device).numpy()
        return found

    def _class_posterior(self, log_likelihoods: Tensor, probability: np.ndarray) -> pd.DataFrame | None:
        if log_likelihoods.shape[1] == 0:
            return None
        second = self.cascade.second
        of_non_lenses = torch.softmax((log_likelihoods + second.shares.log().cpu()).double(), 1).numpy()
        whole = np.column_stack([probability, of_non_lenses * (1 - probability)[:, None]])
        whole[np.isnan(of_non_lenses).any(1)] = np.nan
        return pd.DataFrame(whole, columns=[LENS, *second.prior.names])

    def explain(self, image: np.ndarray, *, window: int = 4, stride: int = 4) -> CutoutMaps:
        """Maps of what supports 'lens' in one image, by the network that decided on it.

        Parameters
        ----------
        image : ndarray
            (band, y, x) [microjansky a pixel].
        window, stride : int
            Side of the occluding square and its step [pixel].

        Returns
        -------
        CutoutMaps
            Of `sky`, (y, x): logit lost with a square of sky over the place, positive where it supports 'lens'; and more.

        Raises
        ------
        ValueError
            For another shape, pixels that are not finite, and squares that do not fit.

        """
        image = np.asarray(image, np.float32)
        self.refuse_shape(image[None])
        return explain_image(self.deciding_network(image), image, window=window, stride=stride)

    def decision(self, image: np.ndarray, logit: float) -> Decision:
        """Score of an image (band, y, x) with this `logit`, and the network that `explain` makes maps of."""
        by_second = is_decided_by_second_stage(self.cascade, torch.from_numpy(image).to(self.device))
        return Decision(logit, float(self.points.probability(logit)), BY_SECOND_STAGE if by_second else BY_FIRST_STAGE)

    def deciding_network(self, image: np.ndarray) -> nn.Module:
        """Network that decides on an image (band, y, x): the second stage above the gate, else the first."""
        return deciding_network(self.cascade, torch.from_numpy(image).to(self.device))

    def dream(
        self, image: np.ndarray, towards: str = LENS, *, climb: Climb | None = None, seed: int = 0
    ) -> tuple[np.ndarray, float, float]:
        """Deep Dream: change an image until the network that decides on it gives a lens logit, or that of a non-lens.

        Parameters
        ----------
        image : ndarray
            (band, y, x) [microjansky a pixel].
        towards : str
            `lens` or `non-lens`.
        climb : Climb, optional
            Steps, octaves and step size.
        seed : int
            Of the jitter; the same seed gives the same dream.

        Returns
        -------
        image : ndarray
            The dream, (band, y, x) [microjansky a pixel], its added light blurred by the point spread.
        before, after : float
            Lens logits of one orientation.

        Raises
        ------
        ValueError
            For another shape, pixels that are not finite, and another word for `towards`.

        """
        signs = {LENS: TOWARDS_LENS, "non-lens": TOWARDS_NON_LENS}
        if towards not in signs:
            raise ValueError(f"towards = {towards!r}: say {' or '.join(map(repr, signs))}")
        image = np.asarray(image, np.float32)
        self.refuse_shape(image[None])
        found = dream(
            self.deciding_network(image),
            torch.from_numpy(image)[None].to(self.device),
            towards=signs[towards],
            climb=climb or Climb(),
            sky_sigma=torch.tensor(EUCLID.sky_sigma),
            highest=torch.full((len(BANDS),), BRIGHTEST),
            generator=torch.Generator().manual_seed(seed),
            transfer=psf_transfer(EUCLID, image.shape[-1]),
        )
        return found.images[0].cpu().numpy(), float(found.before[0]), float(found.after[0])

    def save(self, folder: str | Path) -> Path:
        """Copy the model's files, thresholds included, to a folder; returns it. Raises `ValueError` for its own folder."""
        folder = Path(folder)
        if folder.resolve() == self.folder.resolve():
            raise ValueError(f"{folder} is the folder that this finder was loaded from: name another")
        points = [Path(name) for name in (POINTS, SURVEY_POINTS) if (self.folder / name).is_file()]
        for path in [*part_files(self.folder), *points]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / path, folder / path)
        return folder

    def refuse_shape(self, images: np.ndarray) -> None:
        """Raise `ValueError` for images of another shape than (n, band, stamp, stamp)."""
        shape = (len(BANDS), self.stamp, self.stamp)
        if np.ndim(images) != 4 or np.shape(images)[1:] != shape:
            raise ValueError(
                f"images have the shape {np.shape(images)}, this model takes (n, {', '.join(map(str, shape))}), bands in "
                f"the order {' '.join(BANDS)}: cut them out so"
            )


def load_cascade(folder: Path, shares: Mapping[str, float] | None = None) -> Cascade:
    """Cascade of a model folder, for a survey's `shares` of the non-lens classes where the folder has a class prior."""
    second = None
    if is_model(folder / SECOND_STAGE):
        prior = load_class_prior(folder) if shares is not None and (folder / CLASS_PRIOR).is_file() else None
        second = SecondStage(load_model(folder / SECOND_STAGE), prior, shares)
    return Cascade(load_model(folder), second).to(memory_format=torch.channels_last).eval()


def _refuse_values(images: np.ndarray) -> None:
    """Raise `ValueError` for images (n, band, y, x) with pixels that are not finite or in another unit."""
    if len(images) == 0:
        return
    finite = np.isfinite(images).all((1, 2, 3))
    if not finite.all():
        raise ValueError(
            f"{(~finite).sum()} of {len(images)} images hold pixels that are not finite, the first is image "
            f"{int(np.argmin(finite))}: fill or drop them"
        )
    typical = np.median(np.abs(images), (2, 3)) / np.array(EUCLID.sky_sigma)
    off = (typical > FARTHEST_SCATTER) | ((typical < 1 / FARTHEST_SCATTER) & images.any((2, 3)))
    if off.any():
        k, band = np.argwhere(off)[0]
        raise ValueError(
            f"image {k}, {BANDS[band]}: half of its pixels are beyond {typical[k, band] * EUCLID.sky_sigma[band]:.3g}, "
            f"{typical[k, band]:.3g} times the scatter of the sky, at most a factor {FARTHEST_SCATTER:g} either way is "
            "expected: give microjansky a pixel of 0.1 arcsec"
        )
