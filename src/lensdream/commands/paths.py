"""Paths of the pipeline's files, relative to the repository's root; `networks.layout` has those within a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lensdream.networks.layout import BASELINES, SECOND_STAGE


@dataclass(frozen=True)
class Paths:
    """Files of one scale (`quick` or `poster`)."""

    scale: str
    root: Path = Path()

    @property
    def scenes(self) -> Path:
        """Folder of the tables of scenes."""
        return self.root / "artifacts" / self.scale / "scenes"

    @property
    def images(self) -> Path:
        """Folder of the image store."""
        return self.root / "artifacts" / self.scale / "images"

    def lock(self, stage: str) -> Path:
        """Lock that a stage holds while it runs."""
        return self.root / "artifacts" / self.scale / f"{stage}.lock"

    def checkpoint(self, stage: str) -> Path:
        """Unfinished training of a stage, to resume from; removed when training ends."""
        return self.root / "artifacts" / self.scale / f"{stage}.pt"

    def kept(self, stage: str) -> Path:
        """Folder of the scenes that an unfinished training of a stage keeps; removed when training ends."""
        return self.root / "artifacts" / self.scale / f"{stage}-kept"

    @property
    def observed(self) -> Path:
        """Folder of the scored real cutouts: their table and the page of pictures; never in git."""
        return self.root / "artifacts" / self.scale / "observed"

    @property
    def real_lenses(self) -> Path:
        """Picture of the maps of real cutouts beside those of simulated lenses; never in git."""
        return self.observed / "real-lenses.png"

    @property
    def scores(self) -> Path:
        """Folder of the tables of scores: of stored images, and of the survey's non-lenses by the baselines."""
        return self.root / "artifacts" / self.scale / "scores"

    @property
    def survey(self) -> Path:
        """Folder of the streamed non-lenses: their logits, and the images of the highest-scoring ones."""
        return self.root / "artifacts" / self.scale / "survey-test"

    @property
    def model(self) -> Path:
        """Folder of the best epoch's weights, its settings and its operating points."""
        return self.root / "models" / self.scale

    @property
    def second(self) -> Path:
        """Folder of the network of the second looks; at most scales there is none."""
        return self.model / SECOND_STAGE

    @property
    def baselines(self) -> Path:
        """Folder of the baseline networks, a subfolder each."""
        return self.model / BASELINES

    @property
    def figures(self) -> Path:
        """Folder of the figures, one subfolder a stage."""
        return self.root / "figures" / self.scale

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.root / "reports" / self.scale

    def metrics(self, stage: str) -> Path:
        """Metrics file of a stage."""
        return self.root / "metrics" / self.scale / f"{stage}.json"

    def manifest(self, name: str) -> Path:
        """Description of the `scenes` or `images` of the scale, which git keeps in their place."""
        return self.root / "manifests" / self.scale / f"{name}.json"

    def epochs(self, stage: str) -> Path:
        """Table of the epochs of a training stage."""
        return self.metrics(stage.replace("train", "epochs")).with_suffix(".csv")

    @property
    def timings(self) -> Path:
        """File of the stages' durations on this machine; never in git."""
        return self.root / "artifacts" / self.scale / "timings.json"

    @property
    def plots(self) -> Path:
        """Folder of the curves that DVC draws, a table each."""
        return self.root / "metrics" / self.scale / "plots"

    @property
    def cutouts(self) -> Path:
        """Folder for a user's real cutouts."""
        return self.root / "data" / "cutouts"
