"""Find strong gravitational lenses in survey images, and show why the network thinks so.

The names below are the public interface; each is loaded when it is first used, so that `import lensdream` takes no time.

Examples
--------
>>> from lensdream import Lens, simulate
>>> simulate(Lens(theta_E=1.2)).shape  # VIS, Y, J, H [microjansky a pixel]
(4, 80, 80)
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` itself would be most of the time that the import takes; editors know the name
if TYPE_CHECKING:
    from lensdream import metrics
    from lensdream.api import Lens, Sersic, simulate
    from lensdream.cutouts.reader import Cutout, read_cutout
    from lensdream.dataset.store import ImageStore
    from lensdream.finder.finder import Finder
    from lensdream.instrument import EUCLID, Band
    from lensdream.networks.lensnet import DeepLensNet, LensNet
    from lensdream.optics.sampling import Frame
    from lensdream.population.drawing import draw_scenes
    from lensdream.render.renderer import Renderer
    from lensdream.scene import Scenes
    from lensdream.train.loop import fit

__version__ = "0.1.0"

__all__ = [
    "EUCLID",
    "Band",
    "Cutout",
    "DeepLensNet",
    "Finder",
    "Frame",
    "ImageStore",
    "Lens",
    "LensNet",
    "Renderer",
    "Scenes",
    "Sersic",
    "__version__",
    "draw_scenes",
    "fit",
    "metrics",
    "read_cutout",
    "simulate",
]

_HOMES = {
    "EUCLID": "instrument",
    "Band": "instrument",
    "Cutout": "cutouts.reader",
    "DeepLensNet": "networks.lensnet",
    "Finder": "finder.finder",
    "Frame": "optics.sampling",
    "ImageStore": "dataset.store",
    "Lens": "api",
    "LensNet": "networks.lensnet",
    "Renderer": "render.renderer",
    "Scenes": "scene",
    "Sersic": "api",
    "draw_scenes": "population.drawing",
    "fit": "train.loop",
    "read_cutout": "cutouts.reader",
    "simulate": "api",
}
"""modules of the public names"""


def __getattr__(name: str) -> object:
    if name == "metrics":
        return import_module("lensdream.metrics")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    found = getattr(import_module(f"lensdream.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
