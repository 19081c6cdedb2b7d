"""Networks from four-band images to one lens logit, chosen by class."""

from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.ou import OU66, OU200, OUConfig
from lensdream.networks.predict import predict

__all__ = [
    "OU66",
    "OU200",
    "DeepLensNet",
    "LensNet",
    "LensNetConfig",
    "OUConfig",
    "load_model",
    "predict",
    "save_model",
]
