"""Non-lens classes: the fit of their likelihoods, and lens logits for another mix of them than that of training."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import write_images
from lensdream import families
from lensdream.commands import train_prior
from lensdream.commands.paths import Paths
from lensdream.config import ClassPriorConfig
from lensdream.dataset import on_the_fly, target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.stream import ChunkScorer
from lensdream.evaluate.survey_baselines import OURS, BaselinesScorer
from lensdream.families import NEAR_MISS, NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, load_cascade
from lensdream.finder.locate import ModelError
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import Band
from lensdream.networks.cascade import orientations
from lensdream.networks.class_prior import ClassPrior, load_class_prior, save_class_prior
from lensdream.networks.layout import SURVEY_POINTS, digest_of
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig, pooled
from lensdream.networks.model_file import save_model
from lensdream.tracking.store import model_files
from lensdream.train import class_prior_fit
from lensdream.train.second_stage_data import OnTheFlyMix, classes_per_lens
from test_fresh import POPULATION, SIMULATE
from test_second_network import FRESH, MIX, SETTINGS, SURVEY, Brightness

N = len(NON_LENS_CLASSES)
IN_SURVEY = target_mix.survey_shares(SURVEY)
EVENLY = dict.fromkeys(NON_LENS_CLASSES, 1.0)


def random_prior(features, trained_on=EVENLY):
    """A class prior with random weights."""
    torch.manual_seed(7)
    return ClassPrior(torch.randn(N, features), torch.randn(N), trained_on)


def save_finder(folder, stamp):
    """Save a finder with second stage and class prior, all of random weights: its first logits are near 0."""
    torch.manual_seed(6)
    save_model(folder, LensNet(LensNetConfig(4)).eval(), stamp)
    save_model(folder / "second", DeepLensNet(LensNetConfig(6)).eval(), stamp)
    save_class_prior(folder, random_prior(48))


def test_a_survey_s_early_types_are_of_two_kinds():
    assert sum(IN_SURVEY.values()) == pytest.approx(1)
    shares = SURVEY.non_lens_shares
    assert IN_SURVEY[NEAR_MISS] == pytest.approx(shares["elliptical"] * SURVEY.near_miss)
    assert IN_SURVEY[NEAR_MISS] + IN_SURVEY[families.PAIRED] == pytest.approx(shares["elliptical"])
    assert IN_SURVEY["ring"] == shares["ring"]
    assert tuple(IN_SURVEY) == NON_LENS_CLASSES


def test_the_odds_are_those_of_bayes():
    """Against the sums written out, of one image and three kinds."""
    likelihoods = np.array([0.5, 0.02, 3.0])
    trained, shares = {"a": 1.2, "b": 0.6, "c": 0.2}, {"c": 9.0, "a": 1.0, "b": 0.0}  # two non-lenses for every lens
    model = ClassPrior(torch.zeros(3, 1), torch.from_numpy(np.log(likelihoods)).float(), trained)
    found = model.correction(model(torch.ones(1, 1)), model.shares(shares)).item()
    there, here = likelihoods @ [1.2, 0.6, 0.2], likelihoods @ [0.1, 0.0, 0.9]
    assert found == pytest.approx(np.log(there / here), rel=1e-5)
    assert model.correction(model(torch.ones(1, 1)), model.shares(trained)).item() == pytest.approx(np.log(2), rel=1e-5)
    with pytest.raises(ValueError, match="shares of a, b, the classes of non-lenses are a, b, c"):
        model.shares({"a": 1, "b": 1})


def test_fitted_likelihoods_are_those_that_images_were_drawn_of():
    """Normal distributions of equal width: the logarithms of their ratios are linear, and known."""
    rng = np.random.default_rng(5)
    centre = {2: np.array([0.0, 0.0]), 5: np.array([2.0, 0.0]), 9: np.array([0.0, 300.0])}  # scales differ
    scale = np.array([1.0, 150.0])
    classes = np.repeat(list(centre), 4000)
    features = (rng.normal(size=(len(classes), 2)) * scale + np.stack([centre[k] for k in classes])).astype(np.float32)
    trained_on = {name: float(k + 1) for k, name in enumerate(NON_LENS_CLASSES)}
    found = class_prior_fit.fit_class_prior(features, classes, trained_on, 1e-6)
    assert found.trained_on.tolist() == [float(k + 1) for k in range(N)]
    at = np.array([[0.0, 0.0], [1.0, 100.0], [2.5, -100.0]], np.float32)
    log_likelihoods = found(torch.from_numpy(at)).numpy()[:, list(centre)]
    truth = np.stack([-0.5 * (((at - c) / scale) ** 2).sum(1) for c in centre.values()], 1)
    np.testing.assert_allclose(log_likelihoods - log_likelihoods[:, :1], truth - truth[:, :1], atol=0.15)
    never = [k for k in range(N) if k not in centre]
    assert (found(torch.from_numpy(at)).softmax(1)[:, never] < 1e-6).all()
    result = class_prior_fit.measure_class_prior(found, features, classes)
    assert set(result["told"]) == {NON_LENS_CLASSES[k] for k in centre}
    assert result["accuracy"] == pytest.approx(0.77, abs=0.05)
    with pytest.raises(
        ValueError, match=r"2 non-lens classes pass the gate, 3 are needed: raise class_prior\.fresh_of_each"
    ):
        class_prior_fit.fit_class_prior(features[:8000], classes[:8000], trained_on, 1e-6)


def test_a_finder_for_a_survey_s_shares(tmp_path):
    torch.manual_seed(5)
    save_model(tmp_path, LensNet(LensNetConfig(4)).eval(), 80)
    second = DeepLensNet(LensNetConfig(6)).eval()
    save_model(tmp_path / "second", second, 80)
    assert load_cascade(tmp_path, IN_SURVEY).second.prior is None
    digest = digest_of(tmp_path)
    trained_on = {name: (k + 1) / 91 for k, name in enumerate(NON_LENS_CLASSES)}
    save_class_prior(tmp_path, random_prior(48, trained_on))
    assert digest_of(tmp_path) != digest
    assert (tmp_path / "kinds" / "kinds.safetensors") in model_files(tmp_path)
    assert load_class_prior(tmp_path).names == NON_LENS_CLASSES
    plain, finder = load_cascade(tmp_path), load_cascade(tmp_path, IN_SURVEY)
    same = load_cascade(tmp_path, trained_on)
    assert plain.second.prior is None
    images = torch.randn(5, len(Band), 80, 80) * 0.01
    with torch.no_grad():
        first = plain.first(images)
        plain.gate = finder.gate = same.gate = float(first.median())
        again = first > first.median()
        seen = [pooled(second.features(image)) for image in orientations(images)]
        loaded = load_class_prior(tmp_path)
        shift = torch.stack([loaded.correction(loaded(part), loaded.shares(IN_SURVEY)) for part in seen]).mean(0)
        assert torch.allclose(finder(images)[again], (plain(images) + shift)[again], atol=1e-5)
        assert torch.equal(finder(images)[~again], first[~again])
        assert torch.allclose(same(images), plain(images), atol=1e-5)
        assert shift.abs().max() > 0.1
    save_model(tmp_path / "second", DeepLensNet(LensNetConfig(6)).eval(), 80)
    with pytest.raises(ValueError, match="belongs to another second stage: run the train-kinds stage again"):
        load_cascade(tmp_path, IN_SURVEY)
    assert load_cascade(tmp_path).second is not None


def test_a_class_prior_of_other_classes_names_the_stage_to_run(tmp_path):
    save_finder(tmp_path, 80)
    older = ("blob", *NON_LENS_CLASSES[1:])
    save_class_prior(tmp_path, random_prior(48, dict.fromkeys(older, 1.0)))
    operating_points.write(tmp_path, OperatingPoints({}, 1.0, IN_SURVEY), SURVEY_POINTS)
    with pytest.raises(ModelError, match=r"non-lens classes blob, .*: run the train-kinds stage again$"):
        Finder.load(tmp_path)


def test_the_classes_per_lens_add_up(tmp_path):
    truth = pd.DataFrame({"family": ["lens", "ring", "elliptical", "field"], "label": [1, 0, 0, 0], "split": "train"})
    write_images(tmp_path / "images", truth, np.zeros((4, len(Band), 40, 40)))
    found = classes_per_lens(ImageStore.open(tmp_path / "images"), FRESH)
    in_shares = 3 + 30  # of the store, and fresh ones; they weigh what the lenses do, those of a survey come on top
    assert sum(found.values()) == pytest.approx((in_shares + 50) / in_shares)
    controls = sum(chunk.controls for chunk in FRESH.chunks)
    early = target_mix.counts(50, SURVEY.non_lens_shares)["elliptical"]
    ring = (
        sum(chunk.n for chunk in FRESH.chunks if chunk.family == "ring")
        + target_mix.counts(50, SURVEY.non_lens_shares)["ring"]
    )
    numbers = {
        NEAR_MISS: 1 + controls + early * SURVEY.near_miss,
        "elliptical": early * (1 - SURVEY.near_miss), "ring": 1 + ring,
    }  # fmt: skip
    assert {name: found[name] * in_shares for name in numbers} == pytest.approx(numbers)
    more = OnTheFlyMix.of(POPULATION, SIMULATE, SURVEY, dataclasses.replace(MIX, hard_families=7))
    assert classes_per_lens(ImageStore.open(tmp_path / "images"), more) == found  # they weigh what their share is


def test_as_many_of_each_class_are_drawn_and_early_types_differ(few_catalogs):
    found = list(class_prior_fit.draw_non_lenses(FRESH, 12))
    drawn = {number: sum(len(images) for k, images in found if k == number) for number in range(N)}
    assert drawn == dict.fromkeys(range(N), 12)
    by_name = {NON_LENS_CLASSES[number]: images for number, images in found}
    drawer = ImageDrawer.start(FRESH.population, FRESH.simulate, few_catalogs)
    for name, epoch, share in (
        (families.PAIRED, class_prior_fit.WITHOUT_SOURCE_EPOCH, 0.0),
        (NEAR_MISS, class_prior_fit.CLASS_PRIOR_EPOCH, 1.0),
    ):
        (chunk,) = target_mix.chunks({families.PAIRED: 12}, on_the_fly.SPLIT, epoch)
        same, other = (target_mix.draw_images(drawer, chunk, near_miss)[0] for near_miss in (share, 1 - share))
        assert np.array_equal(by_name[name], same)
        assert not np.array_equal(by_name[name], other)


def test_features_are_of_the_images_that_pass_the_gate():
    images = np.zeros((5, len(Band), 40, 40), np.float16)
    images[:, 0, 0, 0] = [-9, 4, -3.5, -1, -9]
    network = DeepLensNet(LensNetConfig(6)).eval()
    features, classes = class_prior_fit.gated_features(
        iter([(3, images), (7, images[:1]), (8, images[1:2])]), Brightness(), network, 0
    )
    assert classes.tolist() == [3, 3, 8]
    assert features.shape == (3, 48)
    with pytest.raises(
        ValueError, match=r"no fresh non-lens passes the gate of the first stage: raise class_prior\.fresh_of_each"
    ):
        class_prior_fit.gated_features(iter([(3, images[:1])]), Brightness(), network, 0)


def test_everybody_who_looks_at_a_survey_has_its_shares(few_catalogs, tmp_path):
    """Workers of the survey test and of its peers, and what scores real cutouts; the test of each stage has the others."""
    paths = Paths("tiny", tmp_path)
    save_finder(paths.model, 40)
    of_survey, of_peers = (
        scorer.start(POPULATION, SIMULATE, few_catalogs, paths.model, SURVEY)
        for scorer in (ChunkScorer, BaselinesScorer)
    )
    operating_points.write(paths.model, OperatingPoints({"fpr_1e-2": 0.0}))
    operating_points.write(paths.model, OperatingPoints({"fpr_1e-3": 2.0}, 1.0, IN_SURVEY), SURVEY_POINTS)
    finder = Finder.load(paths.model)
    assert finder.points.thresholds == {"fpr_1e-3": 2.0}
    images = torch.randn(4, len(Band), 40, 40) * 0.01
    with torch.no_grad():
        plain, expected = load_cascade(paths.model)(images), load_cascade(paths.model, IN_SURVEY)(images)
        assert not torch.allclose(plain, expected, atol=0.05)
        for cascade in (of_survey.model, of_peers.models[OURS], finder.cascade):
            assert torch.allclose(cascade(images), expected, atol=1e-5)
    scores = finder.scores(images)
    np.testing.assert_allclose(scores.logit, expected, atol=1e-5)
    np.testing.assert_allclose(scores.training_mix_logit, plain, atol=1e-5)


@pytest.mark.parametrize("shares", ['{"ring": -1.0, "field": 2.0}', '{"ring": NaN}', "{}"])
def test_shares_that_are_none_name_the_stage_to_run(tmp_path, shares):
    save_finder(tmp_path, 40)
    (tmp_path / "survey_points.json").write_text(f'{{"shares": {shares}, "model_sha256": "{digest_of(tmp_path)}"}}')
    with pytest.raises(ModelError, match="run the survey-test stage again"):
        Finder.load(tmp_path)


def test_the_whole_stage(few_catalogs, tmp_path, capsys, monkeypatch):
    paths = Paths("tiny", tmp_path)
    settings = ClassPriorConfig(fresh_of_each=20, penalty=0.01, held_out=0.2, seed=1)
    blocks = {
        "class_prior": settings, "second_stage": SETTINGS, "population": POPULATION, "simulate": SIMULATE, "survey": SURVEY
    }  # fmt: skip
    document = {name: {"shared": dataclasses.asdict(block), "tiny": {}} for name, block in blocks.items()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(FileNotFoundError, match="run `lensdream train-second --scale tiny` first"):
        train_prior.run("tiny", tmp_path)
    torch.manual_seed(2)
    save_model(paths.model, LensNet(LensNetConfig(4)), 40)  # has learned nothing: its logits are near 0
    save_model(paths.second, DeepLensNet(LensNetConfig(6)), 40)
    truth = pd.DataFrame({"family": np.resize(["lens", "field"], 8), "label": np.resize([1, 0], 8), "split": "train"})
    write_images(paths.images, truth, np.zeros((8, len(Band), 40, 40)))
    fit, fitted_to = class_prior_fit.fit_class_prior, []
    monkeypatch.setattr(
        train_prior,
        "fit_class_prior",
        lambda features, *others: fitted_to.append(len(features)) or fit(features, *others),
    )
    train_prior.run("tiny", tmp_path)
    found = json.loads(paths.metrics("train-kinds").read_text())
    assert found["let_through"] == dict.fromkeys(NON_LENS_CLASSES, 1.0)
    assert 20 < found["n_held_out"] < 90
    assert fitted_to == [20 * N - found["n_held_out"]]
    assert sum(found["trained_on"].values()) > 1
    assert load_cascade(paths.model, IN_SURVEY).second.prior is not None
    assert "held out" in capsys.readouterr().out
