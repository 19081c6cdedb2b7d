"""Maps from gradients of the logit, with captum: Guided Grad-CAM and Integrated Gradients.

captum's guided backpropagation hooks `nn.ReLU` modules and nothing else: with `F.relu` or another activation it returns
the plain gradient without a warning. `check_guidable` refuses such a network.
"""

from __future__ import annotations

import warnings

import captum.attr
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from lensdream.explain.crop import CropWindow, crop_of
from lensdream.explain.score_function import ScoreFn, check_images
from lensdream.networks.input import CenterCrop

FUNCTIONAL_ACTIVATIONS = frozenset(
    {
        torch.relu, torch.relu_, torch.selu, torch.celu, torch.rrelu, torch.prelu, torch.sigmoid, torch.tanh,
        F.relu, F.relu_, F.relu6, F.leaky_relu, F.leaky_relu_, F.prelu, F.rrelu, F.elu, F.elu_, F.selu, F.celu, F.gelu,
        F.silu, F.mish, F.glu, F.hardtanh, F.hardswish, F.hardsigmoid, F.softplus, F.softsign, F.sigmoid, F.tanh,
        F.threshold, F.logsigmoid, F.tanhshrink, F.hardshrink, F.softshrink,
    }
)  # fmt: skip
METHOD_ACTIVATIONS = frozenset({"relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_"})


class GuidanceError(ValueError):
    """Network on which guided backpropagation would silently return another quantity."""


def check_guidable(model: nn.Module) -> None:
    """Refuse a network whose activations are not all `nn.ReLU` modules, or that is in training mode.

    Raises `GuidanceError`; the message names the module or call, and what to use in its place.
    """
    if model.training:
        raise GuidanceError("the network is in training mode, its dropout would change the map: call model.eval()")
    activations = {
        name: module
        for name, module in model.named_modules()
        if type(module).__module__ == "torch.nn.modules.activation"
    }
    others = [f"{name} ({type(m).__name__})" for name, m in activations.items() if type(m) is not nn.ReLU]
    if others:
        raise GuidanceError(f"guided backpropagation passes by {', '.join(others)}: use nn.ReLU modules only")
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # tracing runs the network's own code, which may raise anything
        raise GuidanceError(
            f"cannot trace the network to look for functional activations ({error}): "
            "take branches on values out of its forward"
        ) from error
    hidden = [
        str(node.target if node.op == "call_method" else node.target.__name__)
        for node in graph.nodes
        if (node.op == "call_function" and node.target in FUNCTIONAL_ACTIVATIONS)
        or (node.op == "call_method" and node.target in METHOD_ACTIVATIONS)
    ]
    if hidden:
        raise GuidanceError(
            f"guided backpropagation passes by the functional {', '.join(sorted(set(hidden)))}: "
            "use nn.ReLU modules only"
        )
    if not activations:
        raise GuidanceError("the network has no nn.ReLU module, so there is nothing to guide: use nn.ReLU modules")


class _Tracer(fx.Tracer):
    """Tracer into every module of a network but the receptive crop, whose code branches on the size of its input."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, CenterCrop) or super().is_leaf_module(m, module_qualified_name)


def guided_grad_cam(model: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    """Guided Grad-CAM of the lens logit: (B, band, y, x) -> (B, band, y, x) [logit per microjansky, times the CAM].

    Selvaraju et al. 2017 (arXiv:1610.02391), with the CAM brought bilinearly to the image's size as they do; zero
    outside the receptive crop. `layer`: the layer whose activations make the CAM; an early one resolves thin arcs.
    Raises `GuidanceError` as `check_guidable` does, `ValueError` for pixels that are not finite.
    """
    check_guidable(model)
    check_images(images)
    window = CropWindow.of(crop_of(model), images.shape[-2:])
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Setting backward hooks"
        )  # a warning on every call that they will be removed again
        inputs = _leaf(window.cut(images))
        maps = captum.attr.GuidedGradCam(model, layer).attribute(inputs, interpolate_mode="bilinear").detach()
    if maps.shape != inputs.shape:  # captum only warns when it cannot bring the CAM to the image's size
        raise RuntimeError(f"captum returned a map of shape {tuple(maps.shape)} for images {tuple(inputs.shape)}")
    return window.put_back(maps, images.shape[-2:])


def integrated_gradients(score_fn: ScoreFn, images: Tensor, *, steps: int = 32, chunk: int = 32) -> Tensor:
    """Integrated Gradients from an empty, noiseless sky (all zero): (B, band, y, x) -> the same shape [logit].

    Sundararajan et al. 2017 (arXiv:1703.01365). The attributions of an image add up to its logit minus that of the
    empty sky, but for the error of `steps` points of Gauss-Legendre quadrature. Positive supports 'lens'.
    Raises `ValueError` for pixels that are not finite.
    """
    check_images(images)
    method = captum.attr.IntegratedGradients(score_fn)
    maps = [method.attribute(_leaf(i), n_steps=steps, internal_batch_size=chunk) for i in images.split(1)]
    return torch.cat(maps).detach().to(images.dtype)


def pooled(attributions: Tensor) -> Tensor:
    """Map of each image: the sum over bands of the positive parts, (B, band, y, x) -> (B, y, x)."""
    return attributions.clamp(min=0).sum(1)


def _leaf(images: Tensor) -> Tensor:
    """Copy of images to differentiate by, so that captum never marks the caller's tensor."""
    return images.detach().clone().requires_grad_()
