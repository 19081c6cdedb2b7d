"""Networks from four-band images to one lens logit, chosen by class."""

from lensdream.networks.deep import DeepLensNet
from lensdream.networks.kinds import InShares, Kinds, save_kinds
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.ou import OU66, OU200, OUConfig
from lensdream.networks.predict import predict
from lensdream.networks.second_looks import BothLogits, SecondLooks, load_finder

__all__ = [
    "OU66",
    "OU200",
    "BothLogits",
    "DeepLensNet",
    "InShares",
    "Kinds",
    "LensNet",
    "LensNetConfig",
    "OUConfig",
    "SecondLooks",
    "load_finder",
    "load_model",
    "predict",
    "save_kinds",
    "save_model",
]
