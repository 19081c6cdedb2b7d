"""Which images are held against a threshold: those like the ones that its rate was measured on, and no others."""

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import random_scene
from cutout_files import edited
from lensdream.commands.score import score_files
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.reader import PixelPosition, read_cutout
from lensdream.cutouts.scoring import Score
from lensdream.cutouts.sources import Target
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, Band
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import Renderer

STAMP = 80
SKY = np.array(EUCLID.sky_sigma)[:, None, None]
POINTS = OperatingPoints({"fpr_1e-2": 0.0, "fpr_1e-3": 0.0})
INFRARED = ("NIR_Y", "NIR_J", "NIR_H")
BANDS = ("VIS", *INFRARED)


def galaxy(side=100, peak=300.0):
    """Sky and a galaxy whose light falls with the cube of the radius, (band, side, side) [microjansky a pixel]."""
    radius = np.hypot(*(np.indices((side, side)) - (side - 1) / 2))
    noise = np.random.default_rng(4).normal(size=(4, side, side))
    return (noise + 0.2 + peak / (1 + (radius / 5) ** 3)) * SKY


@pytest.fixture
def plain(tmp_path):
    """A file with four bands, a galaxy in its middle."""
    write_cutout(tmp_path / "plain.fits", galaxy(), "a galaxy", centre=(150.0, 2.0))
    return tmp_path / "plain.fits"


def held(path, centre=None):
    """Whether the score of a file is held against thresholds, and its flags."""
    cutout = read_cutout(path, STAMP, centre)
    score = Score(Target(path, centre), cutout, 5.0, 0.99, 0.0, None, dict.fromkeys(POINTS.thresholds, True))
    above = {score.above(rate) for rate in POINTS.thresholds}
    assert above == ({None} if cutout.unmeasured else {True})
    assert set(cutout.unmeasured) <= set(cutout.flags)
    return not cutout.unmeasured, cutout.flags


def without(*names):
    return lambda units: [unit for unit in units if not unit.name.startswith(names)]


def test_a_plain_cutout_of_four_bands_is_held_against_thresholds(plain):
    assert held(plain) == (True, ())


def test_simulated_scenes_are_held_against_thresholds(tmp_path):
    renderer = Renderer(Frame(stamp=STAMP, padding=16, supersampling=3, fine_width=54, pixel_scale=0.1))
    for seed, sources in enumerate((0, 1, 1, 2)):
        image = renderer.render(random_scene(np.random.default_rng(seed), sources)).images[0].numpy()
        write_cutout(tmp_path / f"{seed}.fits", image.astype(np.float16), "simulated")
        assert held(tmp_path / f"{seed}.fits") == (True, ())


def test_the_table_of_scores_leaves_above_empty_and_keeps_the_logit(plain, tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "model", LensNet(LensNetConfig(width=4)).eval(), STAMP)
    operating_points.write(tmp_path / "model", OperatingPoints({"fpr_1e-3": -99.0}))
    alone = edited(plain, without("NIR"))
    assert score_files([str(plain), str(alone)], tmp_path / "t.parquet", str(tmp_path / "model")) == 0
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["above_fpr_1e-3"].isna().tolist() == [False, True]
    assert table["above_fpr_1e-3"][0]
    assert table["flags"][1].split(";")[-1] == "alone:VIS"
    assert table["logit"].notna().all()
    assert table["probability"].notna().all()


# VIS alone, and others in its place


def turned(units):
    for name in INFRARED:
        header = units[f"{name}_FLUX"].header
        header["CD1_1"] = -header["CD1_1"]


def small(units):
    for name in INFRARED:
        for plane in ("FLUX", "RMS"):
            units[f"{name}_{plane}"].data = units[f"{name}_{plane}"].data[:40, :40].copy()


def bad(units):
    for name in INFRARED:
        units[f"{name}_RMS"].data[:] = 1e16


@pytest.mark.parametrize("change", [without("NIR"), without("NIR_Y", "NIR_J"), turned, small, bad])
def test_vis_alone_is_held_against_nothing(plain, change):
    kept, flags = held(edited(plain, change))
    assert not kept
    assert "alone:VIS" in flags


@pytest.mark.parametrize("lost", INFRARED)
def test_one_lost_near_infrared_band_is_as_in_training(plain, lost):
    kept, flags = held(edited(plain, without(lost)))
    assert kept
    assert flags == (f"missing:{lost}",)


@pytest.mark.parametrize("name", ["F814W", "HSC_I", "HSC_G"])
def test_another_band_in_the_place_of_vis_is_held_against_nothing(plain, name):
    def change(units):
        for unit in units:
            unit.name = unit.name.replace("VIS", name)

    kept, flags = held(edited(plain, change))
    assert not kept
    assert f"VIS_from:{name}" in flags
    assert "alone:VIS" not in flags


# Less than 0.95 of what the network takes


@pytest.mark.parametrize(
    ("x", "y", "kept"), [(28.6, 50, True), (27.4, 50, False), (30.7, 68.3, True), (29.7, 50, True), (29.7, 69.3, False)]
)
def test_the_share_of_the_area_in_the_image_counts(plain, x, y, kept):
    found, flags = held(plain, PixelPosition(x, y))
    assert found == kept
    assert any(flag.startswith("padded_VIS") for flag in flags)
    assert any(flag.startswith("covered_VIS:0.9") for flag in flags) != kept


@pytest.mark.parametrize(("name", "kept"), [("VIS", False), ("NIR_J", True)])
def test_pixels_without_data_count_in_vis(plain, name, kept):
    def change(units):
        units[f"{name}_FLUX"].data[20:26, 10:90] = np.nan  # 0.09 of the 64 rows

    found, flags = held(edited(plain, change))
    assert found == kept
    assert (f"covered_{name}:0.91" in flags) != kept


# Assumed units


@pytest.mark.parametrize("name", ["VIS", "NIR_H"])
@pytest.mark.parametrize(("keys", "flag"), [(("MAGZERO",), "assumed_zero_point"), (("CTYPE1",), "assumed_pixel_scale")])
def test_assumed_units_are_held_against_nothing(plain, name, keys, flag):
    def change(units):
        for key in keys:
            del units[f"{name}_FLUX"].header[key]

    assert held(edited(plain, change)) == (False, (f"{flag}:{name}",))


def test_without_rms_the_pixels_themselves_are_enough(plain):
    path = edited(plain, lambda units: [unit for unit in units if not unit.name.endswith("RMS")])
    assert held(path) == (True, tuple(f"no_rms:{name}" for name in BANDS))


# Pixels outside of what was trained


@pytest.mark.parametrize("name", BANDS)
@pytest.mark.parametrize(("factor", "kept"), [(0.1, False), (0.5, True), (2.0, True), (15.0, False)])
def test_scatter_beyond_six_times_either_way_is_held_against_nothing(plain, name, factor, kept):
    def change(units):
        noise = np.random.default_rng(1).normal(0.2, factor, (100, 100)) * EUCLID.sky_sigma[BANDS.index(name)]
        flux = units[f"{name}_FLUX"]
        flux.data = (noise * 10 ** (0.4 * (flux.header["MAGZERO"] - 23.9))).astype(np.float32)

    found, flags = held(edited(plain, change))
    assert found == kept
    assert any(flag.startswith(f"noise_{name}:") for flag in flags) != kept


def test_a_zero_point_that_is_five_magnitudes_off_is_told_by_the_scatter(plain):
    def change(units, shift):
        units["VIS_FLUX"].header["MAGZERO"] += shift

    for shift in (-5.0, 5.0):
        kept, flags = held(edited(plain, lambda units, shift=shift: change(units, shift)))
        assert not kept
        assert flags[0].startswith("noise_VIS:")
        assert flags[-1].startswith("rms_VIS:")


@pytest.mark.parametrize(("factor", "kept"), [(0.1, False), (0.5, True), (4.0, True), (30.0, False), (1e5, False)])
def test_an_rms_map_outside_of_training_is_held_against_nothing(plain, factor, kept):
    def change(units):
        units["VIS_RMS"].data *= factor

    found, flags = held(edited(plain, change))
    assert found == kept
    assert any(flag.startswith("rms_VIS:") for flag in flags) != kept


def test_the_rms_of_near_infrared_mosaics_is_of_the_detectors_pixel(plain):
    def change(units):
        for name in INFRARED:
            units[f"{name}_RMS"].data *= 7.0  # as in a shallow field, 1.6 times what is usual

    assert held(edited(plain, change)) == (True, ())


@pytest.mark.parametrize("value", [0.0, -1.0, 1e7])
def test_pixels_with_an_rms_that_no_noise_has_are_counted(plain, value):
    def change(units):
        units["VIS_RMS"].data[60:63, 60:63] = value

    assert held(edited(plain, change)) == (False, ("odd_rms_VIS:9",))


def test_a_constant_image_is_held_against_nothing(plain):
    def change(units):
        units["NIR_J_FLUX"].data[:] = 0.1

    assert held(edited(plain, change)) == (False, ("constant:NIR_J",))


# 2 scatters more or less cannot be told under a galaxy that fills the image with its own light
@pytest.mark.parametrize(
    ("level", "peaks"),
    [(-10.0, (0, 300, 3000)), (-2.0, (0, 300)), (0.3, (0, 300, 3000)), (2.0, (0, 300)), (17.0, (0, 300, 3000))],
)
def test_a_sky_far_from_that_of_training_is_held_against_nothing(tmp_path, level, peaks):
    for peak in peaks:
        image = galaxy(peak=peak)
        image[Band.VIS] += level * EUCLID.sky_sigma[Band.VIS]
        write_cutout(tmp_path / "sky.fits", image, "sky")
        kept, flags = held(tmp_path / "sky.fits")
        assert kept == (level == 0.3)
        assert [flag.split(":")[0] for flag in flags] == ([] if kept else ["sky_VIS"])


@pytest.mark.parametrize("name", ["VIS", "NIR_Y"])
def test_saturated_pixels_are_held_against_nothing(plain, name):
    def cut_off(units):
        data = units[f"{name}_FLUX"].data
        units[f"{name}_FLUX"].data = np.minimum(data, np.sort(data.ravel())[-20])

    def too_bright(units):
        units[f"{name}_FLUX"].data[40, 40] = 3e5 * units[f"{name}_RMS"].data[40, 40]

    assert held(edited(plain, cut_off)) == (False, (f"saturated_{name}:20",))
    assert held(edited(plain, too_bright)) == (False, (f"saturated_{name}:1",))


def test_coarse_pixels_are_no_plateau(tmp_path):
    """A detector pixel of the near infrared becomes nine equal ones."""
    write_cutout(tmp_path / "fine.fits", galaxy(side=102), "fine")

    def change(units):
        for name in INFRARED:
            flux, rms = units[f"{name}_FLUX"], units[f"{name}_RMS"]
            flux.data, rms.data = flux.data.reshape(34, 3, 34, 3).sum((1, 3)), 3 * rms.data[:34, :34]
            header = flux.header
            header["CD1_1"], header["CD2_2"] = 3 * header["CD1_1"], 3 * header["CD2_2"]
            header["CRPIX1"], header["CRPIX2"] = 17.5, 17.5

    kept, flags = held(edited(tmp_path / "fine.fits", change))
    assert flags == tuple(f"pixel_scale_{name}:0.3" for name in INFRARED)
    assert kept


def test_sentinels_far_below_the_sky_are_held_against_nothing(plain):
    def change(units):
        units["VIS_FLUX"].data[60, 60:64] = -999.0

    assert held(edited(plain, change)) == (False, ("negative_VIS:4",))


def test_pixels_outside_of_the_network_s_crop_have_no_flag(plain):
    def change(units):
        units["VIS_FLUX"].data[12, 12:16] = -999.0  # in the stamp, 38 pixels from its middle

    assert held(edited(plain, change)) == (True, ())


def test_values_at_the_end_of_float32_are_flagged_without_a_warning(plain):
    def change(units):
        units["NIR_H_FLUX"].data[60, 60:64] = 1e38

    kept, flags = held(edited(plain, change))
    assert not kept
    assert flags == ("saturated_NIR_H:4",)
