"""The finder as one object, of the committed models and of small ones: scores, refusals, maps, dreams, copies."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from conftest import ROOT, random_scene
from lensdream.cutouts.reader import Cutout
from lensdream.explain.decision import BY_FIRST_STAGE, BY_SECOND_STAGE
from lensdream.explain.dream import Climb
from lensdream.families import LENS, NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.finder import COMPOUND_AT, Finder
from lensdream.finder.locate import ModelError
from lensdream.instrument import EUCLID
from lensdream.networks.cascade import GATE_THRESHOLD
from lensdream.networks.compound import CompoundClassifier
from lensdream.networks.layout import POINTS, SETTINGS, SURVEY_POINTS, digest_of
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.predict import predict
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import Renderer
from lensdream.scene import Role

MODELS = ROOT / "models"
STAMP = 80
FRAME = Frame(stamp=STAMP, padding=16, supersampling=3, fine_width=54, pixel_scale=0.1)
SCENES = [(6, 1), (0, 1), (1, 1), (4, 2), (7, 1), (0, 0), (1, 0), (2, 0)]
"""seed and number of sources: lenses above the gate first, then what lies below it"""


@pytest.fixture(scope="module")
def images():
    renderer = Renderer(FRAME)
    scenes = (random_scene(np.random.default_rng(seed), sources) for seed, sources in SCENES)
    return np.stack([renderer.render(scene).images[0].numpy() for scene in scenes]).astype(np.float32)


@pytest.fixture(scope="module")
def poster():
    return Finder.load(MODELS / "poster", device="cpu")


@pytest.fixture(scope="module")
def quick():
    return Finder.load(MODELS / "quick", device="cpu")


@pytest.fixture
def small(tmp_path):
    """A model folder of random weights."""
    torch.manual_seed(0)
    save_model(tmp_path / "small", LensNet(LensNetConfig(4)), 32)
    return tmp_path / "small"


@pytest.mark.parametrize("model", ["poster", "quick"])
def test_scores_are_those_of_the_cascade_and_its_points(model, images, request):
    finder = request.getfixturevalue(model)
    scores = finder.score(images)
    outputs = predict(finder.cascade.outputs, torch.from_numpy(images)).numpy()
    np.testing.assert_array_equal(scores.logit, outputs[:, 0])
    np.testing.assert_array_equal(scores.training_mix_logit, outputs[:, 1])
    np.testing.assert_array_equal(scores.logit, predict(finder.cascade, torch.from_numpy(images)).numpy())
    temperature = finder.points.temperature
    np.testing.assert_allclose(scores.probability, 1 / (1 + np.exp(-scores.logit / temperature)), rtol=1e-6)
    assert set(scores.above) == set(finder.points.thresholds)
    for rate, threshold in finder.points.thresholds.items():
        np.testing.assert_array_equal(scores.above[rate], scores.logit > threshold)
    assert len(scores) == len(images)


def test_the_poster_corrects_for_a_survey_s_mix_above_the_gate_alone(poster, quick, images):
    scores = poster.score(images)
    above = predict(poster.cascade.first, torch.from_numpy(images)).numpy() > GATE_THRESHOLD
    assert 0 < above.sum() < len(images)
    np.testing.assert_array_equal(scores.logit != scores.training_mix_logit, above)
    assert poster.corrects_prior
    assert not quick.corrects_prior


def test_any_batch_size_and_sequences_of_cutouts_give_the_same(poster, images):
    scores = poster.score(images)
    np.testing.assert_allclose(poster.score(images, batch_size=3).logit, scores.logit, atol=1e-4)
    blank = {field.name: None for field in dataclasses.fields(Cutout)}
    cutouts = [Cutout(**blank | {"image": image}) for image in images]
    np.testing.assert_allclose(poster.score(cutouts).logit, scores.logit, atol=1e-4)
    single = poster.score(images[0])
    assert len(single) == 1
    np.testing.assert_allclose(single.logit, scores.logit[:1], atol=1e-4)
    assert len(poster.score(images[:0])) == 0


def test_compound_logits_are_the_classifiers_above_the_threshold_of_1e_2_and_unknown_below(poster, images):
    scores = poster.score(images)
    found = scores.logit > poster.points.thresholds[COMPOUND_AT]
    assert 0 < found.sum() < len(images)
    assert np.isnan(scores.compound_logit[~found]).all()
    assert np.isnan(scores.compound_probability[~found]).all()
    classifier = CompoundClassifier.load(MODELS / "poster")
    expected = predict(classifier, torch.from_numpy(images[found])).numpy()
    np.testing.assert_allclose(scores.compound_logit[found], expected, atol=1e-4)
    # the odds of training, 1 compound lens to 3 single ones, give way to those of 1 in 100
    odds = np.exp(scores.compound_logit[found]) * 3 / 99
    np.testing.assert_allclose(scores.compound_probability[found], odds / (1 + odds), rtol=1e-6)


def test_where_compound_lenses_are_more_common_their_probability_is_higher(poster, images):
    rare, common = (poster.score(images, compound_prevalence=share) for share in (0.01, 0.25))
    known = ~np.isnan(rare.compound_logit)
    np.testing.assert_array_equal(rare.compound_logit, common.compound_logit)
    # a quarter is the share of the training
    np.testing.assert_allclose(common.compound_probability[known], 1 / (1 + np.exp(-rare.compound_logit[known])))
    assert (rare.compound_probability[known] < common.compound_probability[known]).all()
    with pytest.raises(ValueError, match="prevalence of compound lenses is 1.5, it must lie between 0 and 1"):
        poster.score(images, compound_prevalence=1.5)


def test_class_posteriors_sum_to_one_above_the_gate_and_are_unknown_below(poster, images):
    scores = poster.score(images)
    posterior = scores.class_posterior
    assert set(posterior) == {LENS, *NON_LENS_CLASSES}
    above = predict(poster.cascade.first, torch.from_numpy(images)).numpy() > GATE_THRESHOLD
    assert posterior[~above].isna().all(axis=None)
    np.testing.assert_allclose(posterior[above].sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(posterior.loc[above, LENS], scores.probability[above])
    # of non-lenses alone, a class's odds against another are its likelihoods times its shares in the survey
    outputs = predict(poster.cascade.outputs, torch.from_numpy(images)).double().numpy()
    names, shares = list(poster.cascade.second.prior.names), poster.points.shares
    star, field = names.index("star"), names.index("field")
    odds = np.exp(outputs[above, 2 + star] - outputs[above, 2 + field]) * shares["star"] / shares["field"]
    np.testing.assert_allclose(posterior["star"][above] / posterior["field"][above], odds, rtol=1e-4)


def test_an_image_looks_like_its_likeliest_class(poster, quick, images):
    scores = poster.score(images)
    likeliest = scores.class_posterior.dropna().idxmax(axis=1)
    assert scores.looks_like == [likeliest.get(k) for k in range(len(images))]
    assert scores.looks_like[0] == LENS
    assert None in scores.looks_like
    assert quick.score(images).class_posterior is None
    assert quick.score(images).looks_like == [None] * len(images)


def test_the_table_of_scores_has_a_row_an_image(poster, images):
    scores = poster.score(images)
    table = scores.to_table()
    rates = [f"above_{rate}" for rate in poster.points.thresholds]
    assert list(table) == ["logit", "probability", *rates, "compound_probability", "looks_like"]
    np.testing.assert_allclose(table["logit"], scores.logit)
    np.testing.assert_array_equal(table["above_fpr_1e-3"], scores.above["fpr_1e-3"])


def test_a_finder_without_thresholds_scores(images):
    finder = Finder.unmeasured(MODELS / "poster")
    scores = finder.score(images)
    assert scores.above == {}
    assert np.isnan(scores.compound_probability).all()
    np.testing.assert_array_equal(scores.logit, scores.training_mix_logit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: images[:, :3], r"shape \(2, 3, 80, 80\), this model takes \(n, 4, 80, 80\)"),
        (lambda images: images[..., 1:], r"shape \(2, 4, 80, 79\), .* bands in the order VIS Y J H: cut them out so"),
        (lambda images: images[0, 0], r"shape \(80, 80\), this model takes"),
        (lambda images: images * 1000, r"image 0, VIS: .* times the scatter of the sky, .*: give microjansky a pixel"),
        (lambda images: images / 1000, r"image 0, VIS: .* times the scatter of the sky, .*: give microjansky a pixel"),
    ],
)
def test_images_of_another_shape_or_unit_are_refused(poster, images, change, message):
    with pytest.raises(ValueError, match=message):
        poster.score(change(images[:2]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused(poster, images, value):
    bad = images[:3].copy()
    bad[1, 2, 40, 40] = value
    with pytest.raises(ValueError, match="1 of 3 images hold pixels that are not finite, the first is image 1: fill"):
        poster.score(bad)
    for method in (poster.explain, poster.dream):
        with pytest.raises(ValueError, match="finite"):
            method(bad[1])


def test_another_order_of_bands_is_refused(poster, images):
    with pytest.raises(ValueError, match="the bands are Y VIS J H, this model takes VIS Y J H: reorder them"):
        poster.score(images, bands=("Y", "VIS", "J", "H"))


def test_a_missing_band_is_scored(poster, images):
    without = images.copy()
    without[:, 2] = 0
    np.testing.assert_array_equal(poster.score(without).logit, poster.scores(torch.from_numpy(without)).logit)


def test_a_copy_of_the_model_scores_the_same(poster, images, tmp_path):
    folder = poster.save(tmp_path / "copy")
    copy = Finder.load(folder, device="cpu")
    assert copy.digest == poster.digest == digest_of(MODELS / "poster")
    assert copy.points == poster.points
    pairs = zip(dataclasses.astuple(copy.score(images))[:3], dataclasses.astuple(poster.score(images))[:3], strict=True)
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(copy.score(images).compound_logit, poster.score(images).compound_logit)
    assert not (folder / "peers").exists()
    with pytest.raises(ValueError, match="is the folder that this finder was loaded from: name another"):
        copy.save(folder / ".." / "copy")


@pytest.mark.parametrize("k", [0, 5])
def test_maps_are_of_the_network_that_decides(poster, images, k):
    image = images[k]
    maps = poster.explain(image, window=16, stride=16)
    by_second = k == 0
    decided = poster.cascade.second if by_second else poster.cascade.first
    with torch.no_grad():
        assert maps.logit == pytest.approx(decided(torch.from_numpy(image)[None]).item(), abs=1e-4)
    assert poster.deciding_network(image) is decided
    decision = poster.decision(image, 1.5)
    assert decision.network == (BY_SECOND_STAGE if by_second else BY_FIRST_STAGE)
    assert decision.probability == pytest.approx(1 / (1 + np.exp(-1.5 / poster.points.temperature)))
    assert maps.sky.shape == image.shape[1:]


def test_maps_are_positive_where_arcs_support_lens(poster, images):
    seed, sources = SCENES[0]
    light, *_ = Renderer(FRAME).light(
        random_scene(np.random.default_rng(seed), sources).without({Role.TARGET, Role.NEIGHBOUR})
    )
    arcs = light[0, 0].numpy() > 2 * EUCLID.sky_sigma[0]
    maps = poster.explain(images[0], window=8, stride=4)
    assert arcs.sum() > 20
    assert maps.sky[arcs].mean() > 0
    assert maps.sky[arcs].mean() > 3 * np.abs(maps.sky[~arcs]).mean()


def test_another_shape_has_no_maps_and_no_dream(poster, images):
    for method in (poster.explain, poster.dream):
        with pytest.raises(ValueError, match="this model takes"):
            method(images[0, :, 1:])
    with pytest.raises(ValueError, match=r"window is 90 pixels, the image 80: choose a window in \[1, 80\]"):
        poster.explain(images[0], window=90)


@pytest.mark.parametrize("k", [0, 5])
def test_dreams_move_the_logit_their_way_and_can_be_repeated(poster, images, k):
    image, climb = images[k], Climb(steps=4, octaves=1)
    to_lens, before, after = poster.dream(image, climb=climb, seed=3)
    assert after > before
    to_none, same_before, lower = poster.dream(image, "non-lens", climb=climb, seed=3)
    assert lower < same_before == before
    again, *_ = poster.dream(image, "lens", climb=climb, seed=3)
    np.testing.assert_array_equal(again, to_lens)
    assert not np.array_equal(poster.dream(image, climb=climb, seed=4)[0], to_lens)
    assert to_lens.shape == to_none.shape == image.shape
    with torch.no_grad():
        logit = poster.deciding_network(image)(torch.from_numpy(to_lens)[None]).item()
    assert logit == pytest.approx(after, abs=1e-3)


def test_a_dream_towards_neither_is_refused(poster, images):
    with pytest.raises(ValueError, match="towards = 'foo': say 'lens' or 'non-lens'"):
        poster.dream(images[0], towards="foo")


def test_settings_are_part_of_the_digest(small):
    operating_points.write(small, operating_points.OperatingPoints({"fpr_1e-3": 1.0}))
    before = Finder.load(small)
    settings = json.loads((small / SETTINGS).read_text())
    settings["config"]["middle_pixels"] = 24
    (small / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="is of another model than that in .*: run the evaluate stage again"):
        Finder.load(small)
    (small / POINTS).unlink()
    after = Finder.load(small)
    assert after.digest != before.digest
    assert after.model == f"{small}@{after.digest[:12]}"
    assert (before.crop_pixels, after.crop_pixels) == (32, 24)


def test_points_of_the_first_edition_are_read_and_hold_for_their_weights_alone(tmp_path):
    folder = tmp_path / "poster"
    shutil.copytree(MODELS / "poster", folder, ignore=shutil.ignore_patterns("peers", "deep"))
    written = json.loads((folder / SURVEY_POINTS).read_text())
    points = Finder.load(folder).points
    assert points.thresholds["fpr_1e-3"] == written["threshold_fpr_1e-3"]
    assert points.shares == written["shares"]
    first_edition = operating_points.OperatingPoints({"fpr_1e-3": 1.0})
    operating_points.write(folder, first_edition)
    now = json.loads((folder / POINTS).read_text())
    assert "weights_sha256" not in now
    shutil.copy(MODELS / "quick" / POINTS, folder / SURVEY_POINTS)
    with pytest.raises(ModelError, match="is of another model than that in .*: run the survey-test stage again"):
        Finder.load(folder)


def test_a_folder_that_holds_no_weights_that_fit_is_refused(small):
    settings = json.loads((small / SETTINGS).read_text())
    settings["config"]["width"] = 6
    (small / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="the model in .* cannot be used .*: train it again"):
        Finder.load(small)
