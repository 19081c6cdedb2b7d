"""The settings of every stage: one frozen dataclass each, read from `params.yaml`.

`params.yaml` has one block a stage. Its `shared` part holds for every scale, and each scale (`quick`, `poster`) adds what
differs. Every block has all scales. An unknown key, a missing one, a wrong type or a value out of range is refused, all of
them in one message.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from lensdream.families import FAMILIES_NON_LENS
from lensdream.instrument import EUCLID

Config = TypeVar("Config")

FIELD_WIDTH = 11.2
"""side of the square in which a scene has neighbours [arcsec]: no frame may be wider"""

STAGES_WITH_SETTINGS = (
    "population",
    "simulate",
    "train",
    "ou66",
    "ou200",
    "lensnet-wide",
    "deep",
    "second_network",
    "kinds",
    "compound_head",
    "evaluate",
    "survey",
    "compound",
    "explain",
    "observe",
    "report",
    "tune",
)


class ConfigError(ValueError):
    """Every problem found in the settings, one a line."""


def bounded(low: float, high: float) -> Any:  # noqa: ANN401 - dataclasses.field is typed so
    """A dataclass field whose value must lie in [low, high]."""
    return dataclasses.field(metadata={"low": low, "high": high})


def chosen(*names: str) -> Any:  # noqa: ANN401
    """A dataclass field whose value must be one of these names."""
    return dataclasses.field(metadata={"names": names})


class NonLensShares:
    """Settings with a field for each non-lens family: its share among those that are no lenses."""

    @property
    def non_lens_shares(self) -> dict[str, float]:
        """The shares by family."""
        return {name: getattr(self, name) for name in FAMILIES_NON_LENS}

    def refuse_shares(self, stage: str) -> None:
        """Raise `ConfigError` for shares that do not add up to 1; `stage` is the block that they stand in."""
        total = sum(self.non_lens_shares.values())
        if abs(total - 1.0) > 1e-6:
            raise ConfigError(
                f"{stage}: the shares of the non-lens families add up to {total:.6g}, they must add up to 1: change one of "
                f"{', '.join(self.non_lens_shares)}"
            )


@dataclass(frozen=True)
class PopulationConfig(NonLensShares):
    """Which scenes are drawn, and how many."""

    seed: int = bounded(0, 2**31 - 1)
    sky_area: float = bounded(1e-3, 100.0)
    magnitude_limit: float = bounded(20.0, 30.0)
    source_magnitude_limit: float = bounded(20.0, 30.0)
    lens_fraction: float = bounded(0.0, 1.0)
    elliptical: float = bounded(0.0, 1.0)
    spiral: float = bounded(0.0, 1.0)
    ring: float = bounded(0.0, 1.0)
    merger: float = bounded(0.0, 1.0)
    companion: float = bounded(0.0, 1.0)
    edge_on: float = bounded(0.0, 1.0)
    group: float = bounded(0.0, 1.0)
    irregular: float = bounded(0.0, 1.0)
    field: float = bounded(0.0, 1.0)
    star: float = bounded(0.0, 1.0)
    artefact: float = bounded(0.0, 1.0)
    empty: float = bounded(0.0, 1.0)
    artefact_rate: float = bounded(0.0, 1.0)
    second_deflector: float = bounded(0.0, 1.0)
    group_members: float = bounded(0.0, 1.0)
    rare_lenses: float = bounded(0.0, 1.0)
    minimum_arc_snr: float = bounded(0.0, 1000.0)
    minimum_magnification: float = bounded(1.0, 100.0)
    train: int = bounded(0, 10**8)
    validation: int = bounded(0, 10**8)
    test: int = bounded(0, 10**8)
    undetectable: int = bounded(0, 10**8)
    compound_arc: int = bounded(0, 10**8)
    double_ring: int = bounded(0, 10**8)
    faint_second: int = bounded(0, 10**8)
    compound_arc_train: int = bounded(0, 10**8)
    double_ring_train: int = bounded(0, 10**8)

    def __post_init__(self) -> None:
        """Check what no single bound can."""
        self.refuse_shares("population")


@dataclass(frozen=True)
class SimulateConfig:
    """How scenes become images."""

    stamp: int = bounded(32, 1024)
    padding: int = bounded(8, 128)
    supersampling: int = bounded(1, 15)
    fine_width: int = bounded(8, 1024)
    shard_size: int = bounded(1, 10**6)
    chunk: int = bounded(1, 4096)
    workers: int = bounded(1, 1024)
    renderer: str = chosen("lensdream", "lenstronomy")

    def __post_init__(self) -> None:
        """Check what no single bound can."""
        problems = []
        if self.padding > self.stamp:
            problems.append(
                f"simulate.padding: {self.padding} is wider than the stamp, the point spread may reach over "
                f"{self.stamp} pixels at most: lower it or raise simulate.stamp"
            )
        frame, widest = self.stamp + 2 * self.padding, round(FIELD_WIDTH / EUCLID.pixel_scale)
        if frame > widest:
            problems.append(
                f"simulate.stamp: {self.stamp} and a padding of {self.padding} on each side are {frame} pixels, neighbours are "
                f"drawn in {widest} at most and the sky beyond would be empty: lower simulate.stamp or simulate.padding"
            )
        if self.fine_width > self.stamp:
            problems.append(
                f"simulate.fine_width: {self.fine_width} is wider than the stamp of {self.stamp} pixels: lower it or raise "
                "simulate.stamp"
            )
        if (self.stamp - self.fine_width) % 2:
            problems.append(
                f"simulate.fine_width: {self.fine_width} and the stamp of {self.stamp} pixels have not the same middle, "
                "both must be even or both odd: change one by 1"
            )
        if problems:
            raise ConfigError("\n  ".join(problems))


@dataclass(frozen=True)
class FitConfig:
    """How a network learns from images, whichever they are."""

    seed: int = bounded(0, 2**31 - 1)
    dropout: float = bounded(0.0, 0.9)
    learning_rate: float = bounded(1e-6, 1.0)
    final_rate: float = bounded(0.0, 1.0)
    weight_decay: float = bounded(0.0, 1.0)
    warmup_epochs: float = bounded(0.0, 100.0)
    batch_size: int = bounded(2, 65536)
    clip_norm: float = bounded(1e-6, math.inf)
    balanced: bool
    dihedral: bool
    shift_pixels: int = bounded(0, 16)
    band_dropout: float = bounded(0.0, 0.9)
    gain_scatter: float = bounded(0.0, 0.5)
    label_smoothing: float = bounded(0.0, 0.4)
    averaging: float = bounded(0.0, 0.99999)
    patience: int = bounded(0, 10**4)
    epochs: int = bounded(1, 10**4)
    threads: int = bounded(1, 1024)


@dataclass(frozen=True)
class RecipeConfig(FitConfig):
    """How a network learns lenses from non-lenses."""

    images: int = bounded(0, 10**8)
    fresh_scenes: int = bounded(0, 10**8)
    hard_negatives: int = bounded(0, 10**8)
    hard_rounds: int = bounded(0, 100)

    def __post_init__(self) -> None:
        """Check what no single bound can."""
        if self.hard_negatives and not 0 < self.hard_rounds < self.epochs:
            raise ConfigError(
                f"hard_rounds = {self.hard_rounds} do not fit between {self.epochs} epochs: at least 1 and fewer than epochs, "
                "or hard_negatives = 0"
            )
        if self.hard_negatives and self.fresh_scenes:
            raise ConfigError(
                f"hard_negatives = {self.hard_negatives} take the places of stored images, and fresh_scenes = "
                f"{self.fresh_scenes} uses none: set one of them to 0"
            )


@dataclass(frozen=True)
class TrainConfig(RecipeConfig):
    """How LensNet learns, its width and what it sees."""

    width: int = bounded(4, 512)
    middle_pixels: int = bounded(16, 1024)


@dataclass(frozen=True)
class SecondNetworkConfig(FitConfig):
    """How the network of the second looks learns what the first look lets through."""

    fresh_scenes: int = bounded(0, 10**8)
    fresh_lens_share: float = bounded(0.0, 1.0)
    fresh_rare_lenses: float = bounded(0.0, 1.0)
    fresh_targets: int = bounded(0, 10**8)
    fresh_look_alikes: int = bounded(0, 10**8)


@dataclass(frozen=True)
class DeepConfig(SecondNetworkConfig):
    """How DeepLensNet learns it from random weights, its width and what it sees."""

    width: int = bounded(4, 512)
    middle_pixels: int = bounded(16, 1024)


@dataclass(frozen=True)
class KindsConfig:
    """How the kinds of non-lenses are told apart by what the second network sees."""

    fresh_of_each: int = bounded(10, 10**7)
    penalty: float = bounded(1e-9, 1e3)
    held_out: float = bounded(0.01, 0.5)
    seed: int = bounded(0, 2**31 - 1)


@dataclass(frozen=True)
class CompoundHeadConfig(FitConfig):
    """How the finder's network learns to tell compound lenses from single ones."""

    held_out: float = bounded(0.01, 0.5)
    singles_per_compound: float = bounded(0.0, 100.0)


@dataclass(frozen=True)
class EvaluateConfig:
    """How the network is measured."""

    bootstrap: int = bounded(10, 10**6)
    seed: int = bounded(0, 2**31 - 1)
    prevalence: float = bounded(1e-6, 0.5)
    batch_size: int = bounded(1, 65536)


@dataclass(frozen=True)
class SurveyConfig(NonLensShares):
    """What a survey's targets are, and how the network is measured on them."""

    n: int = bounded(100, 10**8)
    n_peers: int = bounded(100, 10**8)
    atlas: int = bounded(1, 1000)
    pairs: int = bounded(1, 10**6)
    images: int = bounded(10, 10**8)
    bootstrap: int = bounded(10, 10**6)
    seed: int = bounded(0, 2**31 - 1)
    prevalence: float = bounded(1e-6, 0.5)
    batch_size: int = bounded(1, 65536)
    elliptical: float = bounded(0.0, 1.0)
    beside_caustic: float = bounded(0.0, 1.0)
    spiral: float = bounded(0.0, 1.0)
    ring: float = bounded(0.0, 1.0)
    merger: float = bounded(0.0, 1.0)
    companion: float = bounded(0.0, 1.0)
    edge_on: float = bounded(0.0, 1.0)
    group: float = bounded(0.0, 1.0)
    irregular: float = bounded(0.0, 1.0)
    field: float = bounded(0.0, 1.0)
    star: float = bounded(0.0, 1.0)
    artefact: float = bounded(0.0, 1.0)
    empty: float = bounded(0.0, 1.0)

    def __post_init__(self) -> None:
        """Check what no single bound can."""
        self.refuse_shares("survey")
        if self.n_peers > self.n:
            raise ConfigError(
                f"survey.n_peers: {self.n_peers} are not among the {self.n} non-lenses of survey.n, at most all of them can "
                "be: lower it or raise survey.n"
            )


@dataclass(frozen=True)
class CompoundConfig:
    """How the compound test is measured."""

    bootstrap: int = bounded(10, 10**6)
    seed: int = bounded(0, 2**31 - 1)
    prevalence: float = bounded(1e-6, 0.5)
    batch_size: int = bounded(1, 65536)


@dataclass(frozen=True)
class ExplainConfig:
    """Which scenes are explained, and how."""

    seed: int = bounded(0, 2**31 - 1)
    window: int = bounded(1, 256)
    stride: int = bounded(1, 256)
    sky_window: int = bounded(1, 256)
    sky_stride: int = bounded(1, 256)
    chunk: int = bounded(1, 4096)
    dream_scenes: int = bounded(0, 10**6)
    dream_steps: int = bounded(1, 10**4)
    dream_octaves: int = bounded(1, 8)
    dream_octave_scale: float = bounded(1.0, 4.0)
    dream_jitter: int = bounded(0, 64)
    dream_step_size: float = bounded(1e-6, 10.0)
    scenes_per_family: int = bounded(1, 10**4)
    sanity_scenes: int = bounded(0, 10**4)
    removal_steps: int = bounded(1, 1000)
    channel_scenes: int = bounded(0, 10**6)
    figures_per_family: int = bounded(1, 100)


@dataclass(frozen=True)
class ObserveConfig:
    """How real cutouts are read and scored."""

    batch_size: int = bounded(1, 65536)
    pictures: int = bounded(0, 10**4)


@dataclass(frozen=True)
class ReportConfig:
    """What the report shows."""

    examples_per_family: int = bounded(1, 100)


@dataclass(frozen=True)
class TuneConfig:
    """The search for better training settings."""

    trials: int = bounded(1, 10**5)
    images: int = bounded(2, 10**8)
    epochs: int = bounded(1, 10**4)
    seed: int = bounded(0, 2**31 - 1)


def load(stage: str, config: type[Config], scale: str, params: Path = Path("params.yaml")) -> Config:
    """Settings of a stage at a scale, out of `params.yaml`.

    Raises `ConfigError` that lists every problem found: blocks that cannot be read and scales that one of them lacks; else
    unknown and missing keys, wrong types, values out of bounds.
    """
    document = _document(params)
    _refuse_unknown(scale, document, params)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for part in ("shared", scale):
        for key, value in (document.get(stage, {}).get(part) or {}).items():
            if key in values:
                problems.append(f"{stage}.{part}.{key}: already set under {stage}.shared; keep one of the two")
            values[key] = value
    problems += _value_problems(stage, config, values)
    try:
        if not problems:
            return config(**values)
    except ConfigError as error:
        problems.append(str(error))
    raise _needs_mending(params, problems)


def require_scale(scale: str, params: Path = Path("params.yaml")) -> None:
    """Raise `ConfigError` for a scale that `params.yaml` has not."""
    _refuse_unknown(scale, _document(params), params)


def _document(params: Path) -> dict:
    """The blocks of the file; raises `ConfigError` for a layout that cannot be read."""
    try:
        document = yaml.safe_load(params.read_text())
    except FileNotFoundError:
        raise ConfigError(f"no {params} in {Path.cwd()}: run from the repository's root") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{params} is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{params} must hold one block a stage, found {type(document).__name__}")
    problems = _layout_problems(document)
    if problems:
        raise _needs_mending(params, problems)
    return document


def _refuse_unknown(scale: str, document: dict, params: Path) -> None:
    scales = _scales(document)
    if scale not in scales:
        raise ConfigError(f"scale {scale!r} is not in {params}; scales are {', '.join(scales)}")


def _needs_mending(params: Path, problems: list[str]) -> ConfigError:
    return ConfigError(f"{params} needs mending:\n  " + "\n  ".join(problems))


def _scales(document: dict) -> list[str]:
    return sorted({str(part) for block in document.values() for part in block} - {"shared"})


def _layout_problems(document: dict) -> list[str]:
    """Blocks of no stage, blocks and parts that hold no settings; if there are none, scales that a block lacks."""
    known = ", ".join(STAGES_WITH_SETTINGS)
    found = [f"{name}: no such stage; stages are {known}" for name in document if name not in STAGES_WITH_SETTINGS]
    for stage, block in document.items():
        if not isinstance(block, dict):
            found.append(f"{stage}: {block!r} is no block: put settings under {stage}.shared and under each scale")
            continue
        for name, part in block.items():
            if not isinstance(part, dict | None):
                found.append(f"{stage}.{name}: {part!r} holds no settings by name: write each as `name: value`")
    if found:
        return found
    for scale in _scales(document):
        # else a scale that is misspelt, with its settings, would be one more
        lacking = [stage for stage, block in document.items() if scale not in block]
        if lacking:
            having = ", ".join(stage for stage in document if stage not in lacking)
            found.append(
                f"scale {scale!r} is in {having} and not in {', '.join(lacking)}: rename it, or add it there, as "
                f"`{scale}: {{}}` where nothing differs"
            )
    return found


def _value_problems(stage: str, config: type, values: dict[str, Any]) -> list[str]:
    fields = {field.name: field for field in dataclasses.fields(config)}
    types = get_type_hints(config)
    found = [f"{stage}.{key}: unknown key; known are {', '.join(fields)}" for key in values if key not in fields]
    for name, field in fields.items():
        if name not in values:
            found.append(f"{stage}.{name}: missing")
            continue
        value, kind = values[name], types[name]
        if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
            found.append(f"{stage}.{name}: {value!r} is not of type {kind.__name__}")
        elif "low" in field.metadata and not field.metadata["low"] <= value <= field.metadata["high"]:
            found.append(f"{stage}.{name}: {value!r} is not in [{field.metadata['low']:g}, {field.metadata['high']:g}]")
        elif "names" in field.metadata and value not in field.metadata["names"]:
            found.append(f"{stage}.{name}: {value!r} is none of {', '.join(field.metadata['names'])}")
    return found
