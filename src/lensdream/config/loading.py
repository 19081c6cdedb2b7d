"""Settings of every stage at a scale, read from `params.yaml`.

`params.yaml` has a block of settings for each stage and network, which holds at every scale. Under `scales` each scale
(`quick`, `poster`) has one block: its `networks`, each `trained` or `given`, and what differs from the settings above, block
by block. What is left out has the default of its dataclass. An unknown key, a wrong type or a value out of range is refused,
all of them in one message.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from lensdream.config.fields import ConfigError
from lensdream.config.stages import (
    CompoundConfig,
    EvaluateConfig,
    ExplainConfig,
    ObserveConfig,
    PopulationConfig,
    ReportConfig,
    SimulateConfig,
    SurveyConfig,
    TuneConfig,
)
from lensdream.config.training import ClassPriorConfig, CompoundTraining, SecondStageFineTuning, SecondStageTraining

Config = TypeVar("Config")

SCALES = "scales"
"""block of the scales"""
NETWORKS = "networks"
"""networks in the block of a scale, by recipe; lists would be written anew by `dvc exp run -S`"""
TRAINED, GIVEN = "trained", "given"
"""how a scale comes to a network"""

BLOCKS: dict[str, type] = {
    "population": PopulationConfig,
    "simulate": SimulateConfig,
    "deep": SecondStageTraining,
    "second_stage": SecondStageFineTuning,
    "class_prior": ClassPriorConfig,
    "compound_classifier": CompoundTraining,
    "evaluate": EvaluateConfig,
    "survey": SurveyConfig,
    "compound_test": CompoundConfig,
    "explain": ExplainConfig,
    "observe": ObserveConfig,
    "report": ReportConfig,
    "tune": TuneConfig,
}
"""settings of every block of `params.yaml`, without those of the networks of `train.recipes`"""


@dataclasses.dataclass(frozen=True)
class Models:
    """Trained networks of a scale, by the names of their recipes."""

    recipes: tuple[str, ...] = ()
    """those that the scale's pipeline trains"""
    given: tuple[str, ...] = ()
    """those that were trained before; `models/<scale>/provenance.yaml` says how"""


def load(stage: str, config: type[Config], scale: str, params: Path = Path("params.yaml")) -> Config:
    """Settings of a stage at a scale, out of `params.yaml`.

    Raises `ConfigError` that lists every problem found: blocks that cannot be read and scales that one of them lacks; else
    unknown keys, wrong types, values out of bounds.
    """
    document = _document(params)
    _refuse_unknown(scale, _scales(document), params)
    if stage not in document:
        raise _needs_mending(params, [f"{stage}: no such block; blocks are {', '.join(_blocks(document))}"])
    problems: list[str] = []
    settings = _built(config, merged(document[stage], document[SCALES][scale].get(stage, {})), stage, problems)
    if problems:
        raise _needs_mending(params, problems)
    return settings


def models(scale: str, params: Path = Path("params.yaml")) -> Models:
    """Networks of a scale, those that it trains and those that it is given."""
    document = _document(params)
    _refuse_unknown(scale, _scales(document), params)
    return models_of(document[SCALES][scale])


def models_of(block: Mapping[str, Any]) -> Models:
    """Networks in the block of a scale."""
    named = block.get(NETWORKS, {})
    return Models(*(tuple(name for name, how in named.items() if how == wanted) for wanted in (TRAINED, GIVEN)))


def scales(params: Path = Path("params.yaml"), blocks: Collection[str] | None = None) -> list[str]:
    """Scales that `params.yaml` has; raises `ConfigError` for a block in it that is none of `blocks`."""
    document = _document(params)
    unknown = [name for name in _blocks(document) if blocks is not None and name not in blocks]
    if unknown:
        known = ", ".join(blocks)
        raise _needs_mending(params, [f"{name}: no such block; blocks are {known}" for name in unknown])
    return _scales(document)


def require_scale(scale: str, params: Path = Path("params.yaml"), blocks: Collection[str] | None = None) -> None:
    """Raise `ConfigError` for a scale that `params.yaml` has not, and for a block in it that is none of `blocks`."""
    _refuse_unknown(scale, scales(params, blocks), params)


def merged(settings: Mapping[str, Any], differing: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the values that differ, nested ones too."""
    values = dict(settings)
    for key, value in differing.items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = merged(values[key], value) if both else value
    return values


def settings_fields(config: type) -> dict[str, tuple[dataclasses.Field, type]]:
    """Fields of a dataclass, each with its type; of `Training[OUConfig]` `network` is an `OUConfig`."""
    plain = get_origin(config) or config
    given = dict(zip(getattr(plain, "__parameters__", ()), get_args(config), strict=False))
    types = get_type_hints(plain)
    fields = {field.name: (field, types[field.name]) for field in dataclasses.fields(plain)}
    for name, (field, field_type) in fields.items():
        if isinstance(field_type, TypeVar):
            fields[name] = field, given.get(field_type) or type(field.default_factory())
    return fields


def _built(config: type, values: object, key_path: str, problems: list[str], default: object = None) -> Any:  # noqa: ANN401
    """Settings of these values, `default` for the rest; problems are appended, and then None is returned."""
    if not isinstance(values, Mapping):
        problems.append(_no_settings(key_path, values))
        return None
    fields = settings_fields(config)
    problems += [f"{key_path}.{key}: unknown key; known are {', '.join(fields)}" for key in values if key not in fields]
    default = (get_origin(config) or config)() if default is None else default
    found = {}
    for name, (field, field_type) in fields.items():
        at, of_default = f"{key_path}.{name}", getattr(default, name)
        if dataclasses.is_dataclass(field_type):
            of_default = of_default if isinstance(of_default, field_type) else field_type()
            found[name] = _built(field_type, values.get(name, {}), at, problems, of_default)
        elif name in values:
            found[name] = values[name]
            problems += _value_problems(field, field_type, values[name], at)
    try:
        return None if problems else dataclasses.replace(default, **found)
    except ConfigError as error:
        problems.append(str(error))


def _value_problems(field: dataclasses.Field, field_type: type, value: object, key_path: str) -> list[str]:
    about = field.metadata
    if get_origin(field_type) is dict:
        if not isinstance(value, Mapping):
            return [f"{key_path}: {value!r} holds no shares by name: write each as `family: share`"]
        return [p for name, share in value.items() for p in _value_problems(field, float, share, f"{key_path}.{name}")]
    allowed = (int, float) if field_type is float else field_type
    if isinstance(value, bool) != (field_type is bool) or not isinstance(value, allowed):
        return [f"{key_path}: {value!r} is not of type {field_type.__name__}"]
    if "low" in about and not about["low"] <= value <= about["high"]:
        return [f"{key_path}: {value!r} is not in [{about['low']:g}, {about['high']:g}]"]
    if "names" in about and value not in about["names"]:
        return [f"{key_path}: {value!r} is none of {', '.join(about['names'])}"]
    return []


def _document(params: Path) -> dict:
    """Blocks of the file; raises `ConfigError` for a layout that cannot be read."""
    try:
        document = yaml.safe_load(params.read_text())
    except FileNotFoundError:
        raise ConfigError(f"no {params} in {Path.cwd()}: run from the repository's root") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{params} is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{params} must hold blocks of settings, found {type(document).__name__}")
    problems = _layout_problems(document)
    if problems:
        raise _needs_mending(params, problems)
    return document


def _refuse_unknown(scale: str, known: list[str], params: Path) -> None:
    if scale not in known:
        raise ConfigError(f"scale {scale!r} is not in {params}; scales are {', '.join(known)}")


def _needs_mending(params: Path, problems: list[str]) -> ConfigError:
    return ConfigError(f"{params} needs mending:\n  " + "\n  ".join(problems))


def _blocks(document: dict) -> list[str]:
    return [name for name in document if name != SCALES]


def _scales(document: dict) -> list[str]:
    return sorted(map(str, document[SCALES]))


def _layout_problems(document: dict) -> list[str]:
    """Blocks that hold no settings, scales whose blocks are none of the file's, and networks that are no names."""
    found = [_no_settings(name, block) for name, block in document.items() if not isinstance(block, dict)]
    if not document.get(SCALES):
        found.append(f"{SCALES}: no scale; write one as `{SCALES}: {{quick: {{networks: {{lensnet: trained}}}}}}`")
    if found:
        return found
    for scale, parts in document[SCALES].items():
        if not isinstance(parts, dict):
            found.append(f"{SCALES}.{scale}: {parts!r} is no scale: write what differs there, block by block")
            continue
        for name, part in parts.items():
            found += _part_problems(f"{SCALES}.{scale}.{name}", name, part, _blocks(document))
    return found


def _part_problems(key_path: str, name: str, part: object, blocks: list[str]) -> list[str]:
    if name == NETWORKS:
        if isinstance(part, dict) and set(part.values()) <= {TRAINED, GIVEN}:
            return []
        return [f"{key_path}: {part!r} names no networks: write each as `lensnet: trained` or `: given`"]
    if name not in blocks:
        return [f"{key_path}: no such block; blocks are {', '.join(blocks)}"]
    return [] if isinstance(part, dict) else [_no_settings(key_path, part)]


def _no_settings(key_path: str, value: object) -> str:
    return f"{key_path}: {value!r} holds no settings by name: write each as `name: value`"
