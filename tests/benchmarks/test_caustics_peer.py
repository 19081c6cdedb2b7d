"""The renderer against caustics, a second truth beside lenstronomy; wants the extra "peers"."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from conftest import random_scene
from lensdream.instrument import Band
from lensdream.optics.multiplane import Deflectors, trace_to_source_1, trace_to_source_2
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import MASS_COLUMNS, Renderer

pytest.importorskip("caustics", reason='needs the extra "peers"')
import caustics_peer

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__")  # of its own cosmology

# every pixel sampled alike, as caustics does
UNIFORM = Frame(stamp=48, padding=16, supersampling=3, fine_width=80, pixel_scale=0.1, integrate=False)


def two_deflectors(scene):
    scene.scenes.loc[:, ["theta_E_b", "mass_b_q", "mass_b_phi", "mass_b_x", "mass_b_y"]] = 0.6, 0.7, 0.4, 0.8, -0.5
    return scene


def deflectors(scene):
    values = {
        field.name: scene.scenes[MASS_COLUMNS[field.name]].to_numpy(float, copy=True) for field in fields(Deflectors)
    }
    return Deflectors(**{name: torch.as_tensor(value)[:, None] for name, value in values.items()})


@pytest.mark.parametrize("sources", [0, 1, 2], ids=["unlensed", "single", "two-plane"])
@pytest.mark.parametrize("seed", range(4))
def test_images_agree_with_caustics(sources, seed):
    # 2e-6 at worst in 36 such scenes: its grid is rounded to float32, in whatever type it then computes
    scene = random_scene(np.random.default_rng([sources, seed]), sources)
    if sources and seed % 2:
        scene = two_deflectors(scene)
    spreads = caustics_peer.point_spreads(scene, UNIFORM, [Band.VIS])
    ours = Renderer(UNIFORM, dtype=torch.float64).light(scene)[0][0, Band.VIS]
    theirs = UNIFORM.crop(caustics_peer.prepared(scene, UNIFORM, spreads, [Band.VIS])())[0]
    assert float((ours - theirs).abs().max()) <= 1e-5 * float(ours.max())


@pytest.mark.parametrize(
    ("trace", "lens", "bound"),
    [
        (trace_to_source_1, caustics_peer.one_plane, 1e-8),
        (trace_to_source_2, caustics_peer.two_planes, 1e-5),  # its distances are interpolated in a table
    ],
    ids=["source-1", "source-2"],
)
@pytest.mark.parametrize("seed", range(4))
def test_rays_agree_with_caustics(trace, lens, bound, seed):
    # in arcsec, at points of our own, so that nothing is rounded
    rng = np.random.default_rng(seed)
    scene = two_deflectors(random_scene(rng, 2))
    x, y = torch.as_tensor(rng.uniform(-3, 3, (2, 1000)))
    theirs = lens(scene.scenes.iloc[0], caustics_peer.cosmology()).to(dtype=torch.float64).raytrace(x, y)
    ours = trace(x[None], y[None], deflectors(scene))
    assert max(float((a[0] - b).abs().max()) for a, b in zip(ours, theirs, strict=True)) <= bound


def test_shapes_that_caustics_lacks_are_not_drawable():
    scene = random_scene(np.random.default_rng(1), 1)
    assert caustics_peer.drawable(scene)
    for column in ("ring_width", "arm_contrast", "dust_width"):
        shaped = type(scene)(scene.scenes, scene.components.assign(**{column: 0.5}))
        assert not caustics_peer.drawable(shaped)
