"""The public interface: loaded when used, documented by examples that hold, and a lens by hand."""

import ast
import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lensdream
from conftest import ROOT, ratio
from lensdream import Lens, Renderer, Sersic, metrics, simulate
from lensdream.instrument import EUCLID, Band
from lensdream.population.drawing import joined
from lensdream.render.validate import refuse_impossible
from lensdream.scene import Role

COMPOUND = Lens(second_source=Sersic(24.0, 0.15, x=-0.3), z_source=1.2, z_source_2=4.0, theta_E_12=0.1)


def documented(name):
    """What holds the documentation of a public name: an object that is no class, function or module has its class's."""
    found = getattr(lensdream, name)
    return found if inspect.isroutine(found) or inspect.isclass(found) or inspect.ismodule(found) else type(found)


NAMES = [name for name in lensdream.__all__ if name != "__version__"]
FUNCTIONS_OF_METRICS = [
    name for name, found in vars(metrics).items() if inspect.isfunction(found) and found.__module__ == metrics.__name__
]
MADE_BY_THE_LIBRARY = ("Band", "Finder")
TAKING = {
    name: documented(name)
    for name in NAMES
    if name not in MADE_BY_THE_LIBRARY and not inspect.ismodule(documented(name))
}
TAKING |= {f"metrics.{name}": getattr(metrics, name) for name in FUNCTIONS_OF_METRICS}
TAKING |= {"Lens.scene": Lens.scene, "Renderer.render": Renderer.render}
TAKING |= {f"Finder.{name}": getattr(lensdream.Finder, name) for name in ("load", "score", "explain", "dream")}


def test_importing_takes_less_than_50_ms_and_loads_no_array_library():
    code = (
        "import sys, time; start = time.perf_counter(); import lensdream; print(time.perf_counter() - start);"
        "print(*{'numpy', 'torch', 'pandas', 'astropy'} & set(sys.modules))"
    )
    printed = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(3)]
    seconds, loaded = zip(*(text.split("\n")[:2] for text in printed), strict=True)
    assert min(map(float, seconds)) < 0.05
    assert set(loaded) == {""}


def test_editors_find_every_public_name():
    tree = ast.parse(Path(lensdream.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING")
    assert sorted(alias.name for statement in block.body for alias in statement.names) == sorted(NAMES)


def test_the_shell_completes_every_public_name():
    assert set(lensdream.__all__) <= set(dir(lensdream))


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(AttributeError, match="no attribute 'Telescope'; it has EUCLID, Band"):
        lensdream.Telescope  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_public_name_hold(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    runner, failures = doctest.DocTestRunner(), []
    for each in doctest.DocTestFinder().find(documented(name), name):
        runner.run(each, out=failures.append)
    assert runner.tries > 0
    assert not failures, "".join(failures)


@pytest.fixture(scope="module")
def poster():
    return lensdream.Finder.load(ROOT / "models/poster")


@pytest.mark.parametrize("lens", [Lens(), Lens(theta_E=0.7), Lens(theta_E=1.2), Lens(theta_E=1.5)])
def test_the_default_lens_lies_above_the_threshold_of_one_in_a_thousand(poster, lens):
    scores = poster.score(np.stack([simulate(lens, seed=seed) for seed in range(4)]))
    assert scores.above["fpr_1e-3"].all(), scores.logit


def test_five_lines_simulate_score_and_explain_a_lens(poster):
    image = simulate(Lens(theta_E=1.2))
    scores = poster.score(image)
    assert scores.logit[0] > 3.04  # a survey's threshold of 1e-3 is 3.03
    maps = poster.explain(image, window=8, stride=8)
    assert maps.sky.shape == (80, 80)
    arcs = Renderer().render(Lens(theta_E=1.2).scene()).truth[0, 1].numpy()
    assert maps.sky[arcs > arcs.max() / 2].mean() > maps.sky[arcs < arcs.max() / 100].mean()


def test_a_compound_lens_by_hand_scores_as_one_and_without_its_second_source_does_not(poster):
    lens = Lens(
        theta_E=0.8,
        z_source=1.0,
        source=Sersic((23.6, 23.5, 23.4, 23.3), 0.12, q=0.7, phi=1.0, x=0.1, y=0.05),
        second_source=Sersic((24.0, 23.6, 23.3, 23.0), 0.12, x=0.15, y=0.05),
        z_source_2=4.0,
        theta_E_12=0.1,
    )
    both = [lens.scene(seed=1), lens.scene(seed=1).without({Role.SOURCE_2})]
    compound, single = poster.score(Renderer().render(joined(both)).images.numpy()).compound_probability
    assert single < 0.1 < 0.5 < compound


def test_the_example_of_the_package_holds():
    failed, tried = doctest.testmod(lensdream)
    assert failed == 0
    assert tried > 0


@pytest.mark.parametrize("name", FUNCTIONS_OF_METRICS)
def test_every_metric_has_an_example(name):
    assert ">>>" in getattr(metrics, name).__doc__


@pytest.mark.parametrize("name", TAKING)
def test_every_parameter_of_a_public_name_is_documented(name):
    text = inspect.getdoc(TAKING[name])
    for parameter in inspect.signature(TAKING[name]).parameters:
        assert parameter == "self" or re.search(rf"^(\w+, )*{parameter}(, \w+)* : ", text, re.MULTILINE), parameter


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"magnitude": (22.0, 21.0)}, r"shape \(2,\): give 4 numbers, for VIS, Y, J, H, or one"),
        ({"magnitude": float("nan")}, r"magnitude = nan is not in \[10, 40\]: give AB magnitudes, not fluxes"),
        ({"magnitude": (22.0, 21.0, -3.0, 20.0)}, r"magnitude = .* is not in \[10, 40\]"),
        ({"r_e": -0.1}, r"r_e = -0.1 is not in \(0, inf\): give the half-light radius in arcsec"),
        ({"r_e": None}, "r_e = None is not in"),
        ({"n": 0.2}, r"n = 0.2 is not in \[0.3, 10\]"),
        ({"n": 11}, "n = 11 is not in"),
        ({"q": 1.1}, r"q = 1.1 is not in \(0, 1\]: give the minor axis over the major axis"),
        ({"q": 0.0}, "q = 0.0 is not in"),
        ({"x": float("inf")}, "x = inf is not in"),
    ],
)
def test_light_that_no_galaxy_has_is_refused(values, problem):
    with pytest.raises(ValueError, match=problem):
        Sersic(**({"magnitude": 22.0, "r_e": 0.3} | values))


SOURCE_2 = Sersic(24.0, 0.15)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"theta_E": 0.0}, r"theta_E = 0.0 is not in \(0, inf\): give the Einstein radius in arcsec"),
        ({"theta_E": float("nan")}, "theta_E = nan"),
        ({"q": 1.5}, "q = 1.5"),
        ({"z_source": 0.5}, "z_source = 0.5 is not beyond z_lens = 0.5: put the source behind the deflector"),
        ({"z_lens": 0.0}, r"z_lens = 0.0 is not in \(0, 6\]"),
        ({"z_source": None}, "z_source = None"),
        ({"shear": (0.3, 0.2)}, "is 0.361 in all, at most 0.3 is allowed"),
        ({"shear": (0.1, float("nan"))}, "shear"),
        ({"shear": 0.1}, "is not of two numbers"),
        ({"light": 19.3}, "light = 19.3 is no Sersic"),
        ({"z_source_2": 3.0}, "z_source_2 = 3.0 is of a second_source, which is None"),
        ({"theta_E_12": 0.1}, "theta_E_12 = 0.1 is of a second_source, which is None"),
        ({"second_source": SOURCE_2}, "z_source_2 = None: give the redshift"),
        ({"second_source": SOURCE_2, "z_source_2": 1.5}, "z_source_2 = 1.5 is not beyond z_source = 2.0"),
        ({"second_source": SOURCE_2, "z_source_2": 3.0, "theta_E_2": -1.0}, "theta_E_2 = -1.0"),
        ({"second_source": SOURCE_2, "z_source_2": 3.0, "theta_E_12": -1.0}, "theta_E_12 = -1.0"),
        ({"second_source": 24.0, "z_source_2": 3.0}, "second_source = 24.0 is no Sersic"),
    ],
)
def test_a_lens_that_cannot_be_is_refused(values, problem):
    with pytest.raises(ValueError, match=problem):
        Lens(**values)


def test_all_problems_of_a_lens_are_in_one_message():
    with pytest.raises(ValueError, match=r"(?s)theta_E = -1.*q = 2.*z_source = 0.1"):
        Lens(theta_E=-1, q=2, z_source=0.1)


@pytest.mark.parametrize("seed", [0, 5])
def test_a_simulated_lens_is_its_scene_rendered_in_a_batch(seed):
    lenses = [Lens(), COMPOUND, Lens(theta_E=1.2, shear=(0.03, -0.02))]
    scenes = joined(lens.scene(seed + k) for k, lens in enumerate(lenses))
    refuse_impossible(scenes)
    batch = Renderer().render(scenes).images.numpy()
    np.testing.assert_array_equal(simulate(lenses, seed=seed), batch)
    for k, lens in enumerate(lenses):
        np.testing.assert_array_equal(simulate(lens, seed=seed + k), batch[k])


def test_the_same_seed_gives_the_same_image_and_another_seed_another():
    np.testing.assert_array_equal(simulate(Lens(), seed=3), simulate(Lens(), seed=3))
    assert (simulate(Lens(), seed=3) != simulate(Lens(), seed=4)).any()


@pytest.mark.parametrize("stamp", [32, 45, 65, 100])
def test_a_noiseless_stamp_of_another_size_is_the_middle_of_the_larger_one(stamp):
    small, large = (simulate(Lens(), stamp=side, noise=False)[Band.VIS] for side in (stamp, stamp + 20))
    assert small.shape == (stamp, stamp)
    np.testing.assert_allclose(small, large[10:-10, 10:-10], rtol=0.02, atol=EUCLID.sky_sigma[0])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"lens": []}, "no lens"),
        ({"lens": Lens(), "seed": -1}, "seed = -1 is negative"),
        ({"lens": Lens(), "stamp": 20}, r"stamp = 20 is not in \[32, 1024\]"),
    ],
)
def test_an_image_that_cannot_be_drawn_is_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        simulate(**arguments)


def test_the_flux_of_an_unlensed_galaxy_is_that_of_its_magnitudes():
    light = Sersic((20.0, 19.5, 19.2, 19.0), 0.3)
    far = Lens(theta_E=1e-4, light=light, source=Sersic(35.0, 0.1))
    total = simulate(far, noise=False).sum((1, 2))
    np.testing.assert_allclose(total, light.flux, rtol=0.02)


def ring_radius(image):
    """Mean radius of the light [arcsec]."""
    axis = (np.arange(len(image)) - (len(image) - 1) / 2) * EUCLID.pixel_scale
    return np.average(np.hypot(axis[:, None], axis[None]), weights=image)


def test_sources_on_the_axis_become_rings_of_their_einstein_radii():
    small = Sersic(23.0, 0.03, q=1.0)
    lens = Lens(q=1.0, source=small, second_source=small, z_source=1.0, z_source_2=5.0)
    _, one, two = Renderer().render(lens.scene()).truth[0].numpy()
    expected = ratio(0.5, 5.0) / ratio(0.5, 1.0)  # of one velocity dispersion, from astropy
    assert ring_radius(one) == pytest.approx(1.0, abs=0.03)
    assert ring_radius(two) == pytest.approx(expected, abs=0.03)


def test_the_mass_of_source_1_widens_the_ring_of_source_2():
    small = Sersic(23.0, 0.03, q=1.0)
    given = {"q": 1.0, "source": small, "second_source": small, "z_source_2": 5.0, "theta_E_2": 1.3}
    rings = [Renderer().render(Lens(**given, theta_E_12=mass).scene()).truth[0, 2].numpy() for mass in (0.0, 0.2)]
    # beta_2 = theta - theta_E_2 - theta_E_12 sign(beta_1), beta_1 = theta - theta_E > 0
    assert ring_radius(rings[0]) == pytest.approx(1.3, abs=0.03)
    assert ring_radius(rings[1]) > 1.4


def test_a_scene_tells_the_velocity_dispersions():
    row = COMPOUND.scene().scenes.iloc[0]
    assert row["sigma_lens"] == pytest.approx(COMPOUND.sigma)
    assert row["theta_E_2"] / row["theta_E_1"] == pytest.approx(ratio(0.5, 4.0) / ratio(0.5, 1.2), rel=1e-4)
    assert row["sigma_source_1"] == pytest.approx(
        COMPOUND.sigma * (0.1 * ratio(0.5, 1.2) / ratio(1.2, 4.0)) ** 0.5, rel=1e-4
    )


def test_the_frame_and_the_renderer_have_the_sampling_of_the_trained_networks():
    assert Renderer().frame == lensdream.Frame(stamp=80, padding=16, supersampling=3, fine_width=54, pixel_scale=0.1)
    assert Renderer().dtype == torch.float32
