"""Settings of every stage: one frozen dataclass each, with the default, range, unit and text of every value.

All have defaults, so that a notebook makes them without `params.yaml`; `load` reads them from there, and
`lensdream params --write` writes the texts behind its values. Nothing heavy is imported here.
"""

from lensdream.config.fields import ConfigError, choice, mix, part, setting, switch
from lensdream.config.loading import BLOCKS, Models, load, models, models_of, require_scale, scales
from lensdream.config.stages import (
    FIELD_WIDTH,
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
from lensdream.config.training import (
    ClassPriorConfig,
    CompoundTraining,
    Fit,
    FreshMix,
    LensNetConfig,
    SecondStageFineTuning,
    SecondStageTraining,
    Training,
    WarmStart,
)

__all__ = [
    "BLOCKS",
    "FIELD_WIDTH",
    "ClassPriorConfig",
    "CompoundConfig",
    "CompoundTraining",
    "ConfigError",
    "EvaluateConfig",
    "ExplainConfig",
    "Fit",
    "FreshMix",
    "LensNetConfig",
    "Models",
    "ObserveConfig",
    "PopulationConfig",
    "ReportConfig",
    "SecondStageFineTuning",
    "SecondStageTraining",
    "SimulateConfig",
    "SurveyConfig",
    "Training",
    "TuneConfig",
    "WarmStart",
    "choice",
    "load",
    "mix",
    "models",
    "models_of",
    "part",
    "require_scale",
    "scales",
    "setting",
    "switch",
]
