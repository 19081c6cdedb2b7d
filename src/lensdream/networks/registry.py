"""Registry of the networks of this package: classes by name, each with its settings.

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
class NetworkClass:
    """A class of networks and the settings that it is built of."""

    network: type[nn.Module]
    settings: type
    """a dataclass, that `network` is called with and keeps as `config`"""


_classes: dict[str, NetworkClass] = {}


def network(settings: type) -> Callable[[Class], Class]:
    """Decorator that registers a network's class with its settings, so that its models are saved and read."""

    def add(found: Class) -> Class:
        _classes[found.__name__] = NetworkClass(found, settings)
        return found

    return add


def networks() -> dict[str, NetworkClass]:
    """Classes of all networks by name, as a `model.json` has them."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_classes.items()))
