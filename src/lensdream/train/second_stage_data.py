"""Training set of the second stage: the images that pass the gate of the first stage, stored and freshly simulated.

Few non-lenses pass: many fresh ones are drawn for the few that do, some in the shares of the training split, some in a
survey's, whose early types mostly have no source, and still more of the rare families that are most like lenses.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lensdream import config
from lensdream.config import FreshMix, PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import on_the_fly, target_mix
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.dataset.store import ImageStore
from lensdream.families import FAMILIES_NON_LENS, LENS, MERGER, NON_LENS_CLASSES, PAIRED, RING
from lensdream.instrument import N_BANDS
from lensdream.networks.cascade import GATE_THRESHOLD, passes_gate
from lensdream.networks.predict import predict
from lensdream.population import drawing
from lensdream.population.drawing import Chunk
from lensdream.runtime import checkpoint
from lensdream.runtime.processes import worker_map

EPOCH = 2**30 + 2**20
"""epoch number of the chunks of fresh scenes: no store, no other training and no round of hard negatives has them"""
TARGETS_EPOCH = EPOCH + 1
"""epoch number of the chunks in a survey's shares"""
HARD_FAMILIES_EPOCH = EPOCH + 2
"""epoch number of the chunks of the hard families alone"""
HARD_FAMILIES = (RING, MERGER)
"""families of which so few images pass the gate that a network learns them by heart"""
READ_AT_ONCE = 2000
"""images of the store in memory beside those that pass the gate"""
EASY = 6.0
"""logit of the first stage from which a lens teaches little (`benchmarks/second_looks.py` prints its loss)"""
KEEP_ONE_IN = 4
"""easy lenses, of which one is kept, with the weight of all"""


@dataclass(frozen=True)
class OnTheFlyMix:
    """Settings that determine which fresh scenes are drawn, and nothing else does."""

    population: PopulationConfig
    simulate: SimulateConfig
    survey: SurveyConfig
    n: int
    """scenes in the shares of the training split, but for the share of lenses"""
    lens_share: float
    """share of lenses among those"""
    n_targets: int
    """non-lenses in a survey's shares"""
    n_hard_families: int
    """non-lenses of each family of `HARD_FAMILIES`, besides"""

    @classmethod
    def of(
        cls, population: PopulationConfig, simulate: SimulateConfig, survey: SurveyConfig, fresh: FreshMix
    ) -> OnTheFlyMix:
        """Select the fresh scenes that the settings of a training ask for."""
        return cls(
            dataclasses.replace(population, rare_lenses=fresh.rare_lenses),
            simulate,
            survey,
            fresh.scenes,
            fresh.lens_share,
            fresh.targets,
            fresh.hard_families,
        )

    @classmethod
    def read(cls, scale: str, params: Path, fresh: FreshMix) -> OnTheFlyMix:
        """Read which fresh scenes the settings of a training ask for at a scale."""
        return cls.of(
            config.load("population", PopulationConfig, scale, params),
            config.load("simulate", SimulateConfig, scale, params),
            config.load("survey", SurveyConfig, scale, params),
            fresh,
        )

    @property
    def identity(self) -> str:
        """The settings and the code that determine the images."""
        numbers = [self.n, self.lens_share, self.n_targets, self.survey.non_lens_shares, self.survey.near_miss]
        numbers += [HARD_FAMILIES, self.n_hard_families]
        return json.dumps([on_the_fly.identity_of(self.population, self.simulate), numbers, EPOCH])

    @property
    def chunks(self) -> list[Chunk]:
        """Chunks in the shares of the training split."""
        settings = dataclasses.replace(self.population, lens_fraction=self.lens_share)
        return drawing.labelled_chunks(settings, on_the_fly.SPLIT, self.n, EPOCH)

    @property
    def target_chunks(self) -> list[Chunk]:
        """Chunks in a survey's shares."""
        numbers = target_mix.counts(self.n_targets, self.survey.non_lens_shares)
        return target_mix.chunks(numbers, on_the_fly.SPLIT, TARGETS_EPOCH)

    @property
    def hard_family_chunks(self) -> list[Chunk]:
        """Chunks of the hard families alone."""
        return target_mix.chunks(
            dict.fromkeys(HARD_FAMILIES, self.n_hard_families), on_the_fly.SPLIT, HARD_FAMILIES_EPOCH
        )

    def draw(self) -> Iterator[tuple[Chunk, np.ndarray, np.ndarray]]:
        """Render each chunk in `simulate.workers` processes: chunk, images (n, band, y, x) float16, labels (n,) float32."""
        chunks, target_chunks = self.chunks + self.hard_family_chunks, self.target_chunks
        arguments = (self.population, self.simulate, drawing.draw_all_catalogs(self.population))
        with worker_map(self.simulate.workers, ImageDrawer.start, arguments) as ordered:
            of_targets = partial(target_mix.draw_images, near_miss=self.survey.near_miss)
            parts = chain(ordered(ImageDrawer.draw, chunks), ordered(of_targets, target_chunks))
            known = tqdm(parts, total=len(chunks) + len(target_chunks), desc="fresh scenes", leave=False, disable=None)
            yield from ((chunk, *part) for chunk, part in zip(chunks + target_chunks, known, strict=True))


@dataclass(frozen=True)
class GatedImages:
    """`TrainingImages` that pass the gate of the first stage, the same in every epoch."""

    data: LabelledImages
    identity: str

    def __len__(self) -> int:
        """Count the images of an epoch."""
        return len(self.data)

    def epoch(self, number: int, model: nn.Module | None = None) -> LabelledImages:
        """The same images in every epoch, whatever the model."""
        return self.data

    def n_distinct(self, epochs: int) -> int:
        """Number of distinct images, whatever the number of epochs."""
        return len(self)


def gated_images(
    store: ImageStore, first: nn.Module, scenes: OnTheFlyMix, kept: Path, digests: list[str]
) -> GatedImages:
    """Images of the training split and of the fresh scenes that pass the gate, easy lenses subsampled.

    Every family of non-lenses weighs as if as many lenses as non-lenses had been drawn in the shares of the training split, so
    that scores stay the probabilities that the first stage gives; the scenes in a survey's shares come on top.

    kept: file of the fresh images, from which an interrupted training resumes; digests: of the weights of the first stage
    and of the weights that the training starts from: with others it begins anew.
    """
    identity = json.dumps(
        [store.manifest, scenes.identity, digests, GATE_THRESHOLD, EASY, KEEP_ONE_IN],
        sort_keys=True,
    )
    by_family = family_weights(store, scenes)
    found = checkpoint.load(kept, identity)
    if found is None:
        checkpoint.save(kept, _gated(first, _fresh_images(scenes, by_family)) | {"identity": identity})
        # as it stays on disk: in memory, beside its copy below, it would fill 24 GB
        found = checkpoint.load(kept, identity)
        n, n_lens = sum(map(len, found["labels"])), int(sum(part.sum() for part in found["labels"]))
        print(f"past the gate: {n_lens} fresh lenses, {n - n_lens} fresh non-lenses", flush=True)
    stored = _gated(first, _stored_images(store, by_family))
    labels, weights = (torch.cat(stored[name] + found[name]) for name in ("labels", "weights"))
    n_lens, non_lenses = drawn_in_training_mix(store, scenes)
    weights = torch.where(labels == 1, weights, weights * (n_lens / sum(non_lenses.values())))
    images = torch.empty(len(labels), N_BANDS, store.stamp, store.stamp, dtype=torch.float16)
    start = 0
    for part in chain(stored["images"], found["images"]):
        images[start : start + len(part)] = part
        start += len(part)
    return GatedImages(LabelledImages(images, labels, weights), identity)


def drawn_in_training_mix(store: ImageStore, scenes: OnTheFlyMix) -> tuple[int, dict[str, int]]:
    """Numbers of lenses, and of non-lenses by family, drawn in the shares of the training split, before the gate."""
    families = store.truth["family"].to_numpy()[store.labelled_rows("train")]
    numbers = {family: int((families == family).sum()) for family in (LENS, *FAMILIES_NON_LENS)}
    for chunk in scenes.chunks:
        numbers[chunk.family] += chunk.n
        numbers[PAIRED] += chunk.controls
    return numbers.pop(LENS), numbers


def classes_per_lens(store: ImageStore, scenes: OnTheFlyMix) -> dict[str, float]:
    """Non-lenses of each class drawn for every lens, by their weights, before the gate."""
    _, in_training_mix = drawn_in_training_mix(store, scenes)
    in_survey = target_mix.counts(scenes.n_targets, scenes.survey.non_lens_shares)
    parts = target_mix.by_class(in_training_mix, 1.0), target_mix.by_class(in_survey, scenes.survey.near_miss)
    n_non_lens = sum(in_training_mix.values())  # these weigh what the lenses do
    return {name: sum(part[name] for part in parts) / n_non_lens for name in NON_LENS_CLASSES}


def family_weights(store: ImageStore, scenes: OnTheFlyMix) -> dict[str, float]:
    """Weight of an image of each hard family, of which more are drawn than its share."""
    _, in_training_mix = drawn_in_training_mix(store, scenes)
    numbers = {family: in_training_mix[family] for family in HARD_FAMILIES}
    return {family: n / max(n + scenes.n_hard_families, 1) for family, n in numbers.items()}


def gated_validation(store: ImageStore, first: nn.Module) -> LabelledImages:
    """Images of the validation split that pass the gate; raises `ValueError` where those have one label only."""
    rows = gated_rows(store, "validation", first)
    labels = torch.as_tensor(store.truth["label"].to_numpy()[rows], dtype=torch.float32)
    if len(labels.unique()) != 2:
        raise ValueError(
            f"{len(labels)} images of the validation split pass the gate of the first stage, of labels "
            f"{labels.unique().int().tolist()}, both 0 and 1 are needed: raise population.validation"
        )
    return LabelledImages(torch.from_numpy(store.images(rows)), labels)


def gated_rows(store: ImageStore, split: str, first: nn.Module) -> np.ndarray:
    """Rows of the lenses and non-lenses of a split that pass the gate of the first stage."""
    rows = store.labelled_rows(split)
    parts = (rows[start : start + READ_AT_ONCE] for start in range(0, len(rows), READ_AT_ONCE))
    return np.concatenate([part[passes_gate(first, torch.from_numpy(store.images(part))).numpy()] for part in parts])


def _gated(first: nn.Module, parts: Iterable[tuple[Tensor, Tensor, Tensor]]) -> dict[str, list[Tensor]]:
    """Images, labels and weights of what passes the gate, part by part; parts hold images, labels and family weights."""
    found = {"images": [], "labels": [], "weights": []}
    for images, labels, family_weight in parts:
        weights = training_weights(first, images, labels)
        for name, part in (("images", images), ("labels", labels), ("weights", weights * family_weight)):
            found[name].append(part[weights > 0])
    return found


def _stored_images(store: ImageStore, by_family: Mapping[str, float]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images, labels and family weights of the training split."""
    rows = store.labelled_rows("train")
    truth = store.truth.iloc[rows]
    labels = torch.as_tensor(truth["label"].to_numpy(), dtype=torch.float32)
    weights = torch.tensor([by_family.get(family, 1.0) for family in truth["family"]])
    for start in range(0, len(rows), READ_AT_ONCE):
        part = slice(start, start + READ_AT_ONCE)
        yield torch.from_numpy(store.images(rows[part])), labels[part], weights[part]


def _fresh_images(scenes: OnTheFlyMix, by_family: Mapping[str, float]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images, labels and family weights of the fresh scenes; those in a survey's shares weigh 1."""
    for chunk, images, labels in scenes.draw():
        weight = 1.0 if chunk.epoch == TARGETS_EPOCH else by_family.get(chunk.family, 1.0)
        yield torch.from_numpy(images), torch.from_numpy(labels), torch.full((len(labels),), weight)


def training_weights(first: nn.Module, images: Tensor, labels: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Training weights (N,) of images (N, band, y, x) with labels (N,): 0 below the gate, and easy lenses subsampled.

    One easy lens in `KEEP_ONE_IN` is kept, with the weight of all.
    """
    logits = predict(first, images, device=device)
    weights = (logits > GATE_THRESHOLD).float()
    (easy,) = ((labels == 1) & (logits > EASY)).nonzero(as_tuple=True)
    weights[easy] = 0.0
    weights[easy[KEEP_ONE_IN // 2 :: KEEP_ONE_IN]] = float(KEEP_ONE_IN)
    return weights
