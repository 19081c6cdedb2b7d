"""Lenses: the detection rule, and the geometry of every kind."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from conftest import ROOT
from lensdream import config
from lensdream.instrument import EUCLID, microjansky
from lensdream.population import lenses, nonlenses
from lensdream.population.builder import to_table
from lensdream.scene import Role

SETTINGS = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")


@pytest.mark.slow
def test_single_lenses_pass_the_rule_and_their_controls_do_not_lens(catalogs):
    rng = np.random.default_rng(1)
    found, missed = lenses.draw_single(SETTINGS, catalogs, "test", rng)
    assert found
    assert missed
    assert all(builder.row["arc_snr"] > 20 and builder.row["magnification_1"] > 3 for builder in found)
    assert all(builder.row["label"] == -1 for builder in missed)
    first, _ = lenses.detect(to_table(found))
    assert first.passes(SETTINGS).mean() > 0.95  # neighbours are not in the rule
    controls = lenses.controls(SETTINGS, found, rng)
    control, _ = lenses.detect(to_table(controls))
    assert not control.passes(SETTINGS).any()
    assert (control.magnification < 2.5).all()
    for builder, partner in zip(found, controls, strict=True):
        assert builder.row["seed"] == partner.row["seed"]
        unlensed = [part for part in builder.components if part.plane == 0]
        assert unlensed == [part for part in partner.components if part.plane == 0]


def test_lenses_that_stay_lenses_wherever_their_source_goes_are_told(catalogs, monkeypatch):
    rng = np.random.default_rng(1)
    found, _ = lenses.draw_single(SETTINGS, catalogs, "test", rng)
    monkeypatch.setattr(lenses, "LARGEST_CONTROL_MAGNIFICATION", 0.5)
    with pytest.raises(
        ValueError, match=r"controls are still magnified .* at most 0\.5 is allowed: lower population\."
    ):
        lenses.controls(SETTINGS, found, rng)


def test_detectable_lenses_of_another_kind_are_not_called_undetectable(catalogs):
    found, missed = lenses.draw_single(SETTINGS, catalogs, "test", np.random.default_rng(1))
    closed, also_missed = lenses.draw_single(
        SETTINGS, catalogs, "test", np.random.default_rng(1), lenses.Selection(minimum_degrees=lenses.FULL_RING_DEGREES)
    )
    # no random number depends on it
    assert also_missed == missed
    assert 0 < len(closed) < len(found)
    assert all(builder in found for builder in closed)


def test_a_narrow_frame_sees_what_a_wide_one_sees(catalogs, monkeypatch):
    scenes = to_table(
        [
            builder
            for builders in lenses.draw_single(SETTINGS, catalogs, "test", np.random.default_rng(4))
            for builder in builders
        ]
    )
    narrow = lenses._reach(scenes) < lenses.NARROW_FRAME.stamp * EUCLID.pixel_scale / 2
    assert 0.2 < narrow.mean() < 0.8
    mixed, _ = lenses.detect(scenes)
    monkeypatch.setattr(lenses, "_reach", lambda scenes: np.full(len(scenes), np.inf))
    wide, _ = lenses.detect(scenes)
    np.testing.assert_allclose(mixed.magnification[narrow], wide.magnification[narrow], rtol=0.02)
    np.testing.assert_allclose(mixed.snr[narrow], wide.snr[narrow], rtol=1e-3)
    np.testing.assert_array_equal(mixed.degrees, wide.degrees)
    np.testing.assert_array_equal(mixed.magnification[~narrow], wide.magnification[~narrow])


@pytest.mark.parametrize("kind", lenses.RARE_SELECTIONS, ids=["full ring", "bright", "wide"])
def test_rare_lenses_are_what_they_are_called_and_detectable(catalogs, kind):
    rng = np.random.default_rng(8)
    found = []
    while len(found) < 5:
        found += lenses.draw_single(SETTINGS, catalogs, "train", rng, kind)[0]
    scenes = to_table(found)
    first, _ = lenses.detect(scenes)
    assert first.passes(SETTINGS).mean() > 0.95  # neighbours are not in the rule
    assert (first.degrees >= kind.minimum_degrees).all()
    assert (scenes.scenes["arc_snr"] > kind.minimum_snr).all()
    assert (scenes.scenes["theta_E_1"] > kind.minimum_theta_E).all()
    offset = np.hypot(*(scenes.scenes[f"mass_2_{axis}"] - scenes.scenes[f"mass_{axis}"] for axis in "xy"))
    single = scenes.scenes["theta_E_b"] == 0
    largest = kind.offset * (1.0 if kind.in_arcsec else scenes.scenes["theta_E_1"])
    assert (offset <= largest + 1e-9)[single].all()
    assert all(builder.row["label"] == 1 for builder in found)


@pytest.mark.slow
@pytest.mark.parametrize("family", lenses.COMPOUND_FAMILIES.values(), ids=lambda family: family.name)
def test_compound_lenses_have_the_geometry_of_their_family(catalogs, family):
    rng = np.random.default_rng(2)
    pairs = []
    while len(pairs) < 3:
        pairs += lenses.draw_compound(SETTINGS, catalogs, "compound", rng, family)
    scenes = to_table([compound for compound, _ in pairs])
    table = scenes.scenes
    assert (table["family"] == family.name).all()
    first, second = lenses.detect(scenes)
    assert first.passes(SETTINGS).all()
    assert second.passes(SETTINGS).tolist() == [family.name != "faint_second"] * len(pairs)
    full = (first.degrees >= 270) & (second.degrees >= 270)
    if family.name != "faint_second":
        assert full.all() if family.name == "double_ring" else not full.any()
    assert (table["z_source_2"] > table["z_source_1"]).all()
    assert (table["z_source_1"] > table["z_lens"]).all()
    assert (table["theta_E_2"] > table["theta_E_1"]).all()
    assert (table["theta_E_12"] > 0).all()
    if family.name == "double_ring":
        assert (table["theta_E_2"] - table["theta_E_1"] > lenses.SEEING).all()
    for compound, single in pairs:
        assert single.row["theta_E_2"] == 0
        assert [p for p in compound.components if p[0] != Role.SOURCE_2] == single.components


def einstein_radius(sigma, z_lens, z_source):
    """Of isothermal spheres [arcsec], arrays over lenses, from astropy."""
    distance = FlatLambdaCDM(70, 0.3).angular_diameter_distance
    ratio = distance(z_lens, z_source) / distance(z_source)
    return np.degrees(4 * np.pi * (sigma / 299792.458) ** 2 * ratio.value) * 3600


def test_einstein_radii_of_compound_lenses_follow_from_redshifts_and_velocity_dispersions(catalogs):
    family = lenses.COMPOUND_FAMILIES["faint_second"]
    pairs = lenses.draw_compound(SETTINGS, catalogs, "compound", np.random.default_rng(2), family)
    table = to_table([compound for compound, _ in pairs]).scenes
    assert len(table) > 3
    z_lens, z_1, z_2 = (table[column].to_numpy() for column in ("z_lens", "z_source_1", "z_source_2"))
    lens, source = table["sigma_lens"].to_numpy(), table["sigma_source_1"].to_numpy()
    np.testing.assert_allclose(table["theta_E_1"], einstein_radius(lens, z_lens, z_1), rtol=1e-4)
    np.testing.assert_allclose(table["theta_E_2"], einstein_radius(lens, z_lens, z_2), rtol=1e-4)
    np.testing.assert_allclose(table["theta_E_12"], einstein_radius(source, z_1, z_2), rtol=1e-4)


def test_lenses_have_shear_and_neighbours_as_often_as_the_sky_has_galaxies(catalogs):
    alone = replace(SETTINGS, second_deflector=0.0, group_members=0.0, artefact_rate=0.0)
    rng = np.random.default_rng(3)
    builders = [
        builder for _ in range(3) for part in lenses.draw_single(alone, catalogs, "test", rng) for builder in part
    ]
    scenes = to_table(builders)
    shear = scenes.scenes[["shear_1", "shear_2"]].to_numpy()
    # Rayleigh's distribution of scale 0.03, in any direction
    assert np.hypot(*shear.T).mean() == pytest.approx(0.03 * np.sqrt(np.pi / 2), rel=0.1)
    assert np.abs(shear.mean(0)).max() < 0.01
    assert neighbours(scenes) == pytest.approx(neighbours_expected(catalogs), rel=0.1)


def test_non_lenses_have_as_many_neighbours(catalogs):
    rng = np.random.default_rng(4)
    scenes = to_table(
        [nonlenses.draw("empty", catalogs, "test", rng, replace(SETTINGS, artefact_rate=0.0)) for _ in range(300)]
    )
    assert neighbours(scenes) == pytest.approx(neighbours_expected(catalogs), rel=0.1)


def neighbours(scenes):
    """How many a scene has, their clumps not counted."""
    parts = scenes.components
    return ((parts["role"] == Role.NEIGHBOUR) & (parts["sersic_index"] > 0.5)).sum() / len(scenes)


def neighbours_expected(catalogs):
    """In the frame of 11.2 arcsec; those brighter than VIS 24.5 stay out of the middle arcsec."""
    flux, area = catalogs.galaxies["flux_VIS"], 3600 * catalogs.sky_area
    faint, bright = (flux > microjansky(SETTINGS.magnitude_limit)).sum(), (flux > microjansky(24.5)).sum()
    return (faint * 11.2**2 - bright * np.pi) / area
