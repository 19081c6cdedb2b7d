"""The networks of this package by the names of their classes, each with the settings that it is built of.

A module of the package adds a network by `@network(ItsSettings)`; no list names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

Class = TypeVar("Class", bound=type[nn.Module])


@dataclass(frozen=True)
class Known:
    """A class of networks."""

    network: type[nn.Module]
    settings: type
    """a dataclass, that `network` is called with and keeps as `config`"""

    def build(self, settings: object) -> nn.Module:
        """A network with random weights."""
        return self.network(settings)


_known: dict[str, Known] = {}


def network(settings: type) -> Callable[[Class], Class]:
    """Decorator of a network's class: it is built of these settings, and models of it are saved and read."""

    def add(found: Class) -> Class:
        _known[found.__name__] = Known(found, settings)
        return found

    return add


def networks() -> dict[str, Known]:
    """All networks by name, as a `model.json` has them."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_known.items()))
