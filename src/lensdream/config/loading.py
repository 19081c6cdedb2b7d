"""Settings of every stage at a scale, read from `params.yaml`.

`params.yaml` has one block a stage. Its `shared` part holds for every scale, and each scale (`quick`, `poster`) adds what
differs. Every block has all scales. What a block leaves out has the default of its dataclass. An unknown key, a wrong type or a
value out of range is refused, all of them in one message.
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

SHARED = "shared"
"""part of a block that holds for every scale"""

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


def load(stage: str, config: type[Config], scale: str, params: Path = Path("params.yaml")) -> Config:
    """Settings of a stage at a scale, out of `params.yaml`.

    Raises `ConfigError` that lists every problem found: blocks that cannot be read and scales that one of them lacks; else
    unknown keys, wrong types, values out of bounds.
    """
    document = _document(params)
    _refuse_unknown(scale, _scales(document), params)
    if stage not in document:
        raise _needs_mending(params, [f"{stage}: no such block; blocks are {', '.join(document)}"])
    block = document[stage]
    values, twice = merged(block.get(SHARED) or {}, block.get(scale) or {})
    problems = [f"{stage}.{scale}.{key}: already set under {stage}.{SHARED}; keep one of the two" for key in twice]
    settings = _built(config, values, stage, problems)
    if problems:
        raise _needs_mending(params, problems)
    return settings


def scales(params: Path = Path("params.yaml"), blocks: Collection[str] | None = None) -> list[str]:
    """Scales that `params.yaml` has; raises `ConfigError` for a block in it that is none of `blocks`."""
    document = _document(params)
    unknown = [name for name in document if blocks is not None and name not in blocks]
    if unknown:
        known = ", ".join(blocks)
        raise _needs_mending(params, [f"{name}: no such stage; stages are {known}" for name in unknown])
    return _scales(document)


def require_scale(scale: str, params: Path = Path("params.yaml"), blocks: Collection[str] | None = None) -> None:
    """Raise `ConfigError` for a scale that `params.yaml` has not, and for a block in it that is none of `blocks`."""
    _refuse_unknown(scale, scales(params, blocks), params)


def merged(shared: Mapping[str, Any], scale: Mapping[str, Any], key_path: str = "") -> tuple[dict[str, Any], list[str]]:
    """Values of both, nested ones too, and the dotted names of values in both."""
    values, twice = dict(shared), []
    for key, value in scale.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), Mapping):
            values[key], nested = merged(values[key], value, f"{key_path}{key}.")
            twice += nested
            continue
        if key in values:
            twice.append(f"{key_path}{key}")
        values[key] = value
    return values, twice


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
        problems.append(f"{key_path}: {values!r} holds no settings by name: write each as `name: value`")
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
        raise ConfigError(f"{params} must hold one block a stage, found {type(document).__name__}")
    problems = _layout_problems(document)
    if problems:
        raise _needs_mending(params, problems)
    return document


def _refuse_unknown(scale: str, known: list[str], params: Path) -> None:
    if scale not in known:
        raise ConfigError(f"scale {scale!r} is not in {params}; scales are {', '.join(known)}")


def _needs_mending(params: Path, problems: list[str]) -> ConfigError:
    return ConfigError(f"{params} needs mending:\n  " + "\n  ".join(problems))


def _scales(document: dict) -> list[str]:
    return sorted({str(part) for block in document.values() for part in block} - {SHARED})


def _layout_problems(document: dict) -> list[str]:
    """Blocks and parts that hold no settings; if there are none, scales that a block lacks."""
    found = []
    for stage, block in document.items():
        if not isinstance(block, dict):
            found.append(f"{stage}: {block!r} is no block: put settings under {stage}.{SHARED} and under each scale")
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
