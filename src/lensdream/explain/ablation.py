"""Component ablation (the method): the loss of the lens logit when a scene is rendered without one of its components.

The simulator draws the same scene with the same sky again without its arcs, one source, the counter-image, the central
galaxy or the neighbours. No patch is left behind, and shot noise goes with the light that made it. A real image has no
scene to render again, so ablation is the reference that maps are judged by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from lensdream.instrument import Band
from lensdream.render.detectability import above_sky
from lensdream.render.renderer import Rendered, Renderer
from lensdream.scene import SOURCES, Role, Scenes

ROLES: Mapping[str, frozenset[Role]] = {
    "arcs": SOURCES,
    "source_1": frozenset({Role.SOURCE_1}),
    "source_2": frozenset({Role.SOURCE_2}),
    "target": frozenset({Role.TARGET}),
    "neighbours": frozenset({Role.NEIGHBOUR}),
}
"""components by name; `target` is the deflector's light or, in a scene without arcs, the galaxy in the middle"""
COUNTER_IMAGE = "counter_image"
COMPONENTS = (*ROLES, COUNTER_IMAGE)
DISJOINT = ("source_1", "source_2", "target", "neighbours")
"""components that share no light"""
SMALLEST_IMAGE = 4
"""pixels of the smallest part of an arc that counts as an image of the source"""
EVERYWHERE = np.ones((3, 3))
"""pixels touch across corners, too"""


@dataclass(frozen=True)
class Part:
    """Images of a batch's scenes without one component, for the m scenes that have it."""

    rows: np.ndarray
    """(m,) rows of the scenes in the batch"""
    without: Tensor
    """(m, band, y, x) [microjansky a pixel] images without the component"""
    mask: Tensor
    """(m, y, x) bool: VIS light of the component alone is above 1 sigma of the sky"""


def ablate(renderer: Renderer, scenes: Scenes) -> tuple[Rendered, dict[str, Part]]:
    """Render scenes whole, and without each of their `COMPONENTS`; a component that no scene has is left out.

    The scenes must be in the order of their index, as `Scenes.take` needs them.
    """
    whole = renderer.render(scenes)
    sky = whole.sky_sigma[:, Band.VIS]
    parts = {}
    for name, roles in ROLES.items():
        rows = _scenes_with(scenes, roles)
        if not len(rows):
            continue
        less = renderer.render(scenes.take(rows).without(set(roles)))
        light = whole.noiseless[rows, Band.VIS] - less.noiseless[:, Band.VIS]
        parts[name] = Part(rows, less.images, above_sky(light, sky[rows]))
        if name == "source_1":
            centre = scenes.scenes[["mass_y", "mass_x"]].to_numpy()[rows] / renderer.frame.pixel_scale
            counter = _without_counter_images(parts[name], whole.images, light, centre)
            parts |= {} if counter is None else {COUNTER_IMAGE: counter}
    return whole, parts


def counter_image(light: np.ndarray, mask: np.ndarray, centre: tuple[float, float]) -> np.ndarray | None:
    """Pixels (y, x) bool nearer to the counter-image than to the other image; None for other configurations than doubles.

    A double is recognised where the light (y, x) of a source falls into just two parts of its mask (y, x) bool, and the
    fainter part lies nearer to the deflector's centre (y, x) [pixel from the stamp's middle]. Rings, and quads of separate
    images, have no counter-image.
    """
    labels, n = ndimage.label(mask, EVERYWHERE)
    sizes = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    images = np.flatnonzero(sizes >= SMALLEST_IMAGE) + 1
    if len(images) != 2:
        return None
    flux = ndimage.sum_labels(light, labels, images)
    middle = (np.array(mask.shape) - 1) / 2 + centre
    distance = [np.hypot(*(np.array(ndimage.center_of_mass(light, labels, k)) - middle)) for k in images]
    faint, bright = np.argsort(flux)
    if distance[faint] >= distance[bright]:
        return None
    to_faint, to_bright = (ndimage.distance_transform_edt(labels != images[k]) for k in (faint, bright))
    return to_faint < to_bright


def _without_counter_images(source: Part, whole: Tensor, light: Tensor, centre: np.ndarray) -> Part | None:
    """Images without counter-images: inside their regions, the pixels are those rendered without the first source."""
    found = {}
    for k, (flux, mask) in enumerate(zip(light.double().cpu().numpy(), source.mask.cpu().numpy(), strict=True)):
        region = counter_image(flux, mask, tuple(centre[k]))
        if region is not None:
            found[k] = torch.from_numpy(region).to(whole.device)
    if not found:
        return None
    doubles = np.array(list(found))
    regions = torch.stack(list(found.values()))
    without = torch.where(regions[:, None], source.without[doubles], whole[source.rows[doubles]])
    return Part(source.rows[doubles], without, source.mask[doubles] & regions)


def _scenes_with(scenes: Scenes, roles: frozenset[Role]) -> np.ndarray:
    parts = scenes.components
    owners = parts.loc[parts["role"].isin([int(role) for role in roles]), "scene"]
    return np.flatnonzero(scenes.scenes["index"].isin(owners))


def disjoint_masks(masks: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Masks (y, x) of the `DISJOINT` components of one scene: a pixel in an arc counts for the arc alone.

    The deflector's light reaches under most arcs; relevance in an arc's pixels is attributed to the arc.
    """
    arcs = [masks[name] for name in ("source_1", "source_2") if name in masks]
    for name in DISJOINT:
        if name in masks:
            yield name, masks[name] if name.startswith("source") else masks[name] & ~np.any(arcs, axis=0)
