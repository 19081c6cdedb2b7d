"""A network as a chain of layers, applied one after the other, and the rest of the network after them.

A layer's outputs depend on small parts of an image, so after a change in one square most of the outputs for the unchanged
image still hold (`patches`). Any score function is a chain, if only one without layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, fx, nn

from lensdream.explain.crop import Cut, crop_of, whole
from lensdream.explain.score_function import ScoreFn

Layer = Callable[[Tensor], Tensor]
"""(B, channel, y, x) -> (B, channel, y, x), in general of another size"""


@dataclass(frozen=True)
class Chain:
    """Receptive crop of images (B, band, y, x), layers from that crop on, and the score of the last layer's maps."""

    layers: tuple[Layer, ...]
    rest: ScoreFn
    """maps (B, channel, y, x) of the last layer, or the images where there is none -> lens logits (B,)"""
    cut: Cut = whole
    """images -> their receptive crop"""

    def __call__(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        images = self.cut(images)
        for layer in self.layers:
            images = layer(images)
        return self.rest(images)

    def split(self, number: int) -> Chain:
        """Chain of the same score with this many layers; the other layers are part of the rest."""
        return Chain(self.layers[:number], Chain(self.layers[number:], self.rest), self.cut)


def plain(score_fn: ScoreFn) -> Chain:
    """Chain without layers for any score function: images are scored whole."""
    return Chain((), score_fn)


def chain_of(network: nn.Module) -> Chain:
    """Chain of a network: its leading submodules, each of which takes the output of the one before only, and the rest.

    Submodules are the network's own, and those of an `nn.Sequential`. A network that cannot be traced, or that begins
    with another operation, becomes a chain without layers. The receptive crop (`crop_of`) is no layer.
    """
    try:
        graph = _Outline().trace(network)
    except Exception:  # tracing runs the network's own code, which may raise anything; a network can be scored whole
        return plain(network)
    node = next(node for node in graph.nodes if node.op == "placeholder")
    inputs, layers = [node], []
    while (following := _only_module_after(node)) is not None:
        node = following
        layers.append(node)
    if len([n for n in graph.nodes if n.op == "placeholder"]) > 1 or not layers:
        return plain(network)
    rest, copies = fx.Graph(), {}
    copies[node] = rest.placeholder("maps")
    for other in graph.nodes:
        if other not in (*inputs, *layers):
            copies[other] = rest.node_copy(other, copies.__getitem__)
    modules = tuple(network.get_submodule(layer.target) for layer in layers)
    remaining = fx.GraphModule(network, rest, "Rest")
    cut = crop_of(network)
    return Chain(modules[1:], remaining, cut) if modules[0] is cut else Chain(modules, remaining)


class _Outline(fx.Tracer):
    """Tracer of the network's own forward that leaves every submodule whole but an `nn.Sequential`."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, nn.Sequential)


def _only_module_after(node: fx.Node) -> fx.Node | None:
    """Submodule that takes this node's value and nothing else, if the value has no other user."""
    users = list(node.users)
    if len(users) != 1 or users[0].op != "call_module" or users[0].args != (node,) or users[0].kwargs:
        return None
    return users[0]
