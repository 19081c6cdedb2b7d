"""Networks from four-band images to one lens logit, chosen by class."""

from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.predict import predict

__all__ = ["LensNet", "LensNetConfig", "load_model", "predict", "save_model"]
