"""`lensdream explain FILE.fits`: maps of a user's own cutouts."""

import os

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS

from conftest import IN_SURVEY, save_classifying_finder
from lensdream import cli
from lensdream.commands import explain_files as command
from lensdream.commands.explain_files import explain_files
from lensdream.commands.explain_fits import sky_of_stamp
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.reader import read_cutout
from lensdream.explain.cutout import explain_image
from lensdream.explain.cutout_page import cutout_page
from lensdream.explain.decision import BY_FIRST_STAGE, BY_SECOND_STAGE
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, load_cascade
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, N_BANDS, Band
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model

STAMP = 32
CENTRE = (150.0, 2.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    save_model(folder, LensNet(LensNetConfig(width=4, middle_pixels=24)), STAMP)
    return folder


def picture(side=40):
    noise = np.random.default_rng(0).normal(size=(N_BANDS, side, side))
    y, x = np.indices((side, side)) - (side - 1) / 2
    return (noise + 200 * np.exp(-(y**2 + (x - 3) ** 2) / 18)) * np.array(EUCLID.sky_sigma)[:, None, None]


@pytest.fixture
def cutout(tmp_path):
    path = tmp_path / "in" / "lens.fits"
    write_cutout(path, picture(), "a lens", centre=CENTRE)
    return path


def run(model, out, *paths, **settings):
    return explain_files([str(path) for path in paths], out, str(model), **settings)


def test_each_cutout_gives_a_picture_and_a_file_of_maps(model, cutout, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(model, out, cutout, window=4, stride=4) == 0
    assert {file.name for file in out.iterdir()} == {"lens-why.png", "lens-maps.fits"}
    assert (out / "lens-why.png").read_bytes().startswith(b"\x89PNG")
    image = read_cutout(cutout, STAMP).image
    network = load_model(model)
    maps = explain_image(network, image, window=4, stride=4)
    with fits.open(out / "lens-maps.fits") as units:
        bands = [band.fits_name for band in EUCLID.bands]
        assert [unit.name for unit in units[1:]] == [
            "OCCLUSION_SKY", "OCCLUSION_BLACK", *(f"OCCLUSION_{name}" for name in bands), "INTEGRATED_GRADIENTS", *bands,
        ]  # fmt: skip
        np.testing.assert_allclose(units["OCCLUSION_SKY"].data, maps.sky, atol=1e-5)
        np.testing.assert_allclose(units["OCCLUSION_NIR_J"].data, maps.by_band[Band.J], atol=1e-5)
        np.testing.assert_allclose(units["VIS"].data, image[Band.VIS])
        assert units[0].header["LOGIT"] == pytest.approx(maps.logit, abs=1e-5)
        assert units[0].header["FINDER"] == pytest.approx(
            load_cascade(model)(torch.from_numpy(image)[None]).item(), abs=1e-5
        )
        assert (units[0].header["OBJECT"], units[0].header["WINDOW"]) == ("a lens", 4)
    with torch.no_grad():
        assert maps.logit == pytest.approx(network(torch.from_numpy(image)[None]).item(), abs=1e-5)
    assert "logit" in capsys.readouterr().out


@pytest.mark.parametrize("below_gate", [False, True])
def test_maps_are_of_the_network_that_decided_and_say_so(cutout, tmp_path, monkeypatch, below_gate):
    two_networks = tmp_path / "two"
    save_classifying_finder(two_networks, STAMP)
    if below_gate:
        first = load_model(two_networks)
        torch.nn.init.constant_(first.head.bias, -20.0)
        save_model(two_networks, first, STAMP)
    points = OperatingPoints(temperature=2.0, shares=IN_SURVEY)
    operating_points.write(two_networks, points, SURVEY_POINTS)
    drawn = []
    monkeypatch.setattr(command, "cutout_page", lambda *page: drawn.append(cutout_page(*page)) or drawn[-1])
    assert run(two_networks, tmp_path, cutout, window=8, stride=8) == 0
    finder, image = Finder.load(two_networks), read_cutout(cutout, STAMP).image
    of_finder = float(finder.score(image).logit[0])
    with torch.no_grad():
        decided = finder.cascade.first if below_gate else finder.cascade.second
        logit = decided(torch.from_numpy(image)[None]).item()
    assert (
        of_finder == pytest.approx(logit, abs=1e-5)
    ) == below_gate  # the mean of eight orientations is no single one
    name = BY_FIRST_STAGE if below_gate else BY_SECOND_STAGE
    header = fits.getheader(tmp_path / "lens-maps.fits")
    assert (header["LOGIT"], header["FINDER"]) == (pytest.approx(logit, abs=1e-4), pytest.approx(of_finder, abs=1e-4))
    assert (header["PROB"], header["LOOK"]) == (pytest.approx(1 / (1 + np.exp(-of_finder / 2)), abs=1e-4), name)
    title = drawn[0].get_suptitle().splitlines()[1]
    assert (
        title
        == f"finder: logit {of_finder:+.2f}, probability of a lens {header['PROB']:.3f}; maps of {name}, logit {logit:+.2f}"
    )
    maps = explain_image(decided, image, window=8, stride=8)
    np.testing.assert_allclose(fits.getdata(tmp_path / "lens-maps.fits", "OCCLUSION_SKY"), maps.sky, atol=1e-4)


def sky_at(path, extension, x, y):
    with fits.open(path) as units:
        return WCS(units[extension].header).all_pix2world(x, y, 0)


@pytest.mark.parametrize("side", [40, 24, 41])
def test_maps_lie_on_the_cutouts_sky(model, tmp_path, side):
    path = tmp_path / "in.fits"
    write_cutout(path, picture(side), "lens", centre=CENTRE)
    assert run(model, tmp_path, path, window=8, stride=8) == 0
    with fits.open(path) as units:
        wanted = units["VIS_FLUX"].data
    with fits.open(tmp_path / "in-maps.fits") as units:
        shown = units["VIS"].data
    peak = np.unravel_index(np.argmax(shown), shown.shape)
    place = np.unravel_index(np.argmax(wanted), wanted.shape)
    for extension in ("OCCLUSION_SKY", "INTEGRATED_GRADIENTS"):
        one = sky_at(tmp_path / "in-maps.fits", extension, peak[1], peak[0])
        np.testing.assert_allclose(one, sky_at(path, "VIS_FLUX", place[1], place[0]), atol=1e-9)


def test_sky_of_other_pixels_is_scaled(tmp_path):
    path = tmp_path / "hubble.fits"
    write_cutout(path, picture(100), "lens", centre=CENTRE)
    with fits.open(path) as units:
        vis = units["VIS_FLUX"]
        cards = vis.header
        cards["CD1_1"], cards["CD2_2"] = cards["CD1_1"] / 2, cards["CD2_2"] / 2
        cards["EXTNAME"] = "F814W_FLUX"
        fits.HDUList([units[0], vis]).writeto(tmp_path / "half.fits")
    wcs = WCS(sky_of_stamp(tmp_path / "half.fits", STAMP))
    middle = wcs.all_pix2world((STAMP - 1) / 2, (STAMP - 1) / 2, 0)
    np.testing.assert_allclose(middle, CENTRE, atol=1e-9)
    ra, dec = wcs.all_pix2world((STAMP - 1) / 2 + 1, (STAMP - 1) / 2 + 1, 0)
    step = EUCLID.pixel_scale / 3600
    assert dec - CENTRE[1] == pytest.approx(step, rel=1e-4)
    assert (CENTRE[0] - ra) * np.cos(np.radians(CENTRE[1])) == pytest.approx(step, rel=1e-4)


def test_file_without_coordinates_has_maps_without(model, cutout, tmp_path):
    with fits.open(cutout) as units:
        for unit in units[1:]:
            for card in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CD1_1", "CD2_2"):
                unit.header.remove(card, ignore_missing=True)
        units.writeto(tmp_path / "bare.fits")
    assert run(model, tmp_path, tmp_path / "bare.fits", window=8, stride=8) == 0
    assert "CTYPE1" not in fits.getheader(tmp_path / "bare-maps.fits", "OCCLUSION_SKY")


def patched(path, old, new):
    """The same file with other bytes of the same number."""
    path.write_bytes(path.read_bytes().replace(old, new.ljust(len(old))))
    return path


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"'RA---TAN'", b"'RA---XXX'", "Unrecognized projection code (XXX in CTYPE1)."),
        (b"'DEC--TAN'", b"'DEC--SIN'", "Inconsistent projection types (expected DEC--TAN, got DEC--SIN in CTYPE2)."),
        (b"'deg     '", b"'d\xe9g     '", "printable ASCII"),
    ],
)
def test_without_usable_coordinates_there_are_maps_without(model, cutout, tmp_path, capsys, old, new, reason):
    patched(cutout, old, new)
    assert run(model, tmp_path, cutout, window=8, stride=8) == 0
    told = capsys.readouterr().err
    assert f"{cutout}: maps without world coordinates: " in told
    assert reason in told
    with fits.open(tmp_path / "lens-maps.fits") as units:
        assert reason[:20] in "".join(units[0].header["HISTORY"])
        assert "CTYPE1" not in units["OCCLUSION_SKY"].header


def test_an_object_of_any_letters(model, cutout, tmp_path):
    patched(cutout, b"OBJECT  = 'a lens  '", "OBJECT  = 'Löwe\t'".encode("latin-1"))
    assert run(model, tmp_path, cutout, window=8, stride=8) == 0
    assert fits.getheader(tmp_path / "lens-maps.fits")["OBJECT"] == r"L\ufffdwe"


def test_an_error_in_one_file_leaves_the_others_explained(model, cutout, tmp_path, monkeypatch, capsys):
    def failing(path, stamp):
        return sky_of_stamp(path, stamp) if path == cutout else {}["what nobody foresaw"]

    monkeypatch.setattr(command, "sky_of_stamp", failing)
    other = tmp_path / "a.fits"
    write_cutout(other, picture(), "another")
    assert run(model, tmp_path / "out", other, cutout, window=8, stride=8) == 3
    assert "a.fits: KeyError: 'what nobody foresaw'" in capsys.readouterr().err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"lens-why.png", "lens-maps.fits"}


def test_bad_files_are_named_and_skipped(model, cutout, tmp_path, capsys):
    broken = tmp_path / "broken.fits"
    broken.write_bytes(cutout.read_bytes()[:8000])
    empty = tmp_path / "nothing.fits"
    write_cutout(empty, np.full((N_BANDS, 40, 40), np.nan), "nothing")
    small = tmp_path / "small.fits"
    write_cutout(small, picture(8), "small")
    code = run(model, tmp_path / "out", broken, empty, small, cutout, tmp_path / "none.fits", window=8, stride=8)
    assert code == 3
    told = capsys.readouterr().err
    for name, reason in (
        ("broken.fits", "truncated"),
        ("nothing.fits", "no data"),
        ("small.fits", "cut out 24 pixels or more"),
        ("none.fits", "no such file"),
    ):
        assert any(name in line and reason in line for line in told.splitlines())
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"lens-why.png", "lens-maps.fits"}


def test_few_pixels_without_data_are_sky_and_flagged(model, tmp_path):
    image = picture()
    image[Band.VIS, 20, 20:24] = np.nan
    write_cutout(tmp_path / "in.fits", image, "lens")
    assert run(model, tmp_path, tmp_path / "in.fits", window=8, stride=8) == 0
    header = fits.getheader(tmp_path / "in-maps.fits")
    assert "bad_pixels_VIS:0.0039" in str(header["HISTORY"])
    for name in ("OCCLUSION_SKY", "INTEGRATED_GRADIENTS", "VIS"):
        assert np.isfinite(fits.getdata(tmp_path / "in-maps.fits", name)).all()


@pytest.mark.parametrize("name", ["gal\xe9.fits", os.fsdecode(b"bad\xff.fits")])
def test_names_beyond_ascii(model, tmp_path, name, capsys):
    write_cutout(tmp_path / name, picture(), "lens")
    assert run(model, tmp_path / "out", tmp_path / name, window=8, stride=8) == 0
    assert "logit" in capsys.readouterr().out
    (maps,) = (tmp_path / "out").glob("*.fits")
    assert fits.getheader(maps)["FILE"] in ("gal\\xe9.fits", "bad\\udcff.fits")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 33}, "window is 33 pixels, the image 32: choose a window in [1, 32]"),
        ({"window": 4, "stride": 5}, "stride is 5 pixels, the window 4: choose a stride in [1, 4]"),
    ],
)
def test_squares_that_do_not_fit_are_a_usage_error(model, cutout, tmp_path, capsys, settings, message):
    assert run(model, tmp_path / "out", cutout, **settings) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_to_explain_no_model_and_a_file_in_the_way_are_usage_errors(model, cutout, tmp_path, capsys):
    assert run(model, tmp_path / "out", tmp_path / "none.fits") == 2
    assert "nothing to explain" in capsys.readouterr().err
    assert run(tmp_path, tmp_path / "out", cutout) == 2
    assert "no model.safetensors" in capsys.readouterr().err
    assert run(model, cutout, cutout) == 2
    assert "name another place" in capsys.readouterr().err


def test_files_of_one_name_do_not_overwrite_each_other(model, cutout, tmp_path):
    other = tmp_path / "other" / "lens.fits"
    write_cutout(other, picture(), "another", centre=CENTRE)
    assert run(model, tmp_path / "out", cutout, other, window=8, stride=8) == 0
    objects = [fits.getheader(tmp_path / "out" / f"{name}-maps.fits")["OBJECT"] for name in ("lens", "lens-2")]
    assert objects == ["a lens", "another"]


def test_bands_without_data_are_left_alone(model):
    image = picture(STAMP).astype(np.float32)
    image[Band.Y :] = 0
    maps = explain_image(load_model(model), image, window=8, stride=8)
    assert set(maps.by_band) == {Band.VIS}
    np.testing.assert_allclose(maps.by_band[Band.VIS], maps.sky, atol=1e-6)
    with pytest.raises(ValueError, match="zero in every band"):
        explain_image(load_model(model), np.zeros_like(image), window=8, stride=8)


class Linear(torch.nn.Module):
    """Its maps are known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(N_BANDS, STAMP, STAMP, generator=torch.Generator().manual_seed(2)))

    def forward(self, images):
        return (images * self.weight).sum((1, 2, 3))


def test_maps_of_a_linear_score_are_its_weights():
    network, image = Linear(), picture(STAMP).astype(np.float32)
    maps = explain_image(network, image, window=4, stride=4)
    share = network.weight.detach().numpy() * image
    np.testing.assert_allclose(maps.integrated, share.sum(0), rtol=1e-4, atol=1e-5)
    squares = share.sum(0).reshape(8, 4, 8, 4).sum((1, 3))
    np.testing.assert_allclose(maps.black[::4, ::4], squares, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(maps.integrated_squares[::4, ::4], squares, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(sum(maps.by_band.values()), maps.sky, rtol=1e-3, atol=1e-4)


def test_command_takes_files_or_a_scale(model, cutout, tmp_path, monkeypatch, capsys):
    done = []
    monkeypatch.setattr("lensdream.commands.explain_study.run", lambda scale, root: done.append(scale))
    assert cli.main(["explain", "--scale", "quick"]) == 0
    assert done == ["quick"]
    out = tmp_path / "out"
    code = cli.main(
        ["explain", str(cutout), "--out", str(out), "--model", str(model), "--window", "8", "--stride", "8"]
    )
    assert code == 0
    assert (out / "lens-maps.fits").exists()
    for wrong in (["explain"], ["explain", str(cutout), "--scale", "quick"]):
        with pytest.raises(SystemExit) as end:
            cli.main(wrong)
        assert end.value.code == 2
    assert done == ["quick"]
