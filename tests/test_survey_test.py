"""Fresh non-lenses in a survey's proportions, and the checks for shortcuts, on cases whose answers are known."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from matplotlib.image import imread

from conftest import join, random_scene
from lensdream import config, metrics
from lensdream.commands import survey_test as _survey_test_
from lensdream.commands.paths import Paths
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.on_the_fly import FreshScenes
from lensdream.dataset.write import write_store
from lensdream.evaluate import atlas, figures, shortcuts, stream
from lensdream.evaluate import survey as survey_test
from lensdream.evaluate.stream import Highest
from lensdream.families import FAMILIES_NON_LENS, LENS
from lensdream.finder import operating_points
from lensdream.instrument import EUCLID, Band
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.population import drawing
from lensdream.render.batch import renderer_of
from lensdream.scene import SOURCES, Role

PARAMS = Path(__file__).parents[1] / "params.yaml"
NUMBERS = {"train": 8, "validation": 0, "test": 40, "undetectable": 0, "compound_arc": 0, "double_ring": 0}
NONE = dict.fromkeys(("faint_second", "compound_arc_train", "double_ring_train"), 0)
POPULATION = dataclasses.replace(config.load("population", PopulationConfig, "quick", PARAMS), **NUMBERS, **NONE)
SIMULATE = SimulateConfig(
    stamp=40, padding=8, supersampling=1, fine_width=20, shard_size=50, chunk=4, workers=1, renderer="lensdream"
)
SURVEY = config.load("survey", SurveyConfig, "quick", PARAMS)
WANTED = {"elliptical": 4, "spiral": 5, "field": 7, "star": 3}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a network that learned nothing."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, LensNet(LensNetConfig(4)), SIMULATE.stamp)
    return folder


def scored(model, keep, workers=0, wanted=WANTED, near_miss=1.0):
    settings = dataclasses.replace(SURVEY, batch_size=8, atlas=keep, near_miss=near_miss)
    with stream.scoring(POPULATION, SIMULATE, model, settings, workers) as score_all:
        return stream.joined(score_all(target_mix.chunks(wanted, stream.SPLIT, stream.EPOCH)), keep)


@pytest.mark.parametrize("n", [100, 1999, 2000, 100_000])
def test_proportions_are_kept_exactly(n):
    numbers = target_mix.counts(n, SURVEY.non_lens_shares)
    assert sum(numbers.values()) == n
    assert all(abs(numbers[name] - n * share) < 1 for name, share in SURVEY.non_lens_shares.items())
    tasks = target_mix.chunks(numbers, stream.SPLIT, stream.EPOCH)
    assert sum(chunk.n + chunk.controls for chunk in tasks) == n
    assert all(chunk.n + chunk.controls <= drawing.CHUNK_SIZE for chunk in tasks)
    assert sum(chunk.controls for chunk in tasks) == numbers["elliptical"]
    assert not any(chunk.n for chunk in tasks if chunk.family == LENS)
    assert len({(chunk.family, chunk.number) for chunk in tasks}) == len(tasks)


def test_round_shares_of_round_numbers_are_exact():
    assert target_mix.counts(100_000, SURVEY.non_lens_shares) == {
        name: round(100_000 * share) for name, share in SURVEY.non_lens_shares.items()
    }
    assert target_mix.counts(10, {"a": 0.25, "b": 0.25, "c": 0.5}) == {"a": 3, "b": 2, "c": 5}


def test_what_was_asked_for_is_scored_and_none_of_it_is_stored(few_catalogs, model):
    found = scored(model, 5)
    assert found.table["family"].value_counts().to_dict() == WANTED
    assert found.table["seed"].is_unique
    stored = drawing.draw_scenes(POPULATION, 1).scenes
    assert {"train", "test"} == set(stored["split"])
    assert not set(found.table["seed"]) & set(stored["seed"])
    trained_on = FreshScenes(POPULATION, SIMULATE, 30, 10**4, map).chunks(10**4 - 1)
    assert all(chunk.epoch < stream.EPOCH and chunk.split != stream.SPLIT for chunk in trained_on)


def test_the_images_kept_are_those_of_the_highest_logits(few_catalogs, model):
    few, everything = scored(model, 5), scored(model, 1000)
    n = sum(WANTED.values())
    assert few.highest.images.shape == (5, len(Band), 40, 40)
    assert few.highest.images.dtype == np.float16
    assert len(everything.highest.images) == n
    assert few.highest.rows["logit"].tolist() == sorted(everything.table["logit"], reverse=True)[:5]
    assert few.highest.rows["seed"].tolist() == everything.highest.rows["seed"].tolist()[:5]
    assert np.array_equal(few.highest.images, everything.highest.images[:5])
    assert {"arc_snr_1", "flux_target_VIS", "chunk", "label", "theta_E_1"} <= set(few.highest.rows)
    assert not few.highest.rows["label"].any()


def test_few_early_types_have_a_source_beside_the_caustic(few_catalogs, model):
    arcs = {}
    for share in (1.0, 0.5, 0.0):
        found = scored(model, 1000, wanted={"elliptical": 4, "field": 2}, near_miss=share)
        rows = found.highest.rows.set_index("seed").loc[found.table["seed"]]
        arcs[share] = (rows["flux_source_1_VIS"] > 0)[rows["family"] == "elliptical"]
        assert not (rows["flux_source_1_VIS"] > 0)[rows["family"] == "field"].any()
    assert arcs[1.0].tolist() == [True] * 4
    assert arcs[0.5].tolist() == [False, True, False, True]
    assert not arcs[0.0].any()
    assert arcs[0.0].index.equals(arcs[1.0].index)  # the same galaxies


def test_equal_logits_stay_in_their_order():
    first = Highest(pd.DataFrame({"seed": [1, 2], "logit": [2.0, 1.0]}), np.array([1, 2]))
    second = Highest(pd.DataFrame({"seed": [3, 4], "logit": [2.0, 1.5]}), np.array([3, 4]))
    both = first.merged_with(second, 3)
    assert both.rows["seed"].tolist() == both.images.tolist() == [1, 3, 4]


@pytest.mark.slow
def test_scores_do_not_depend_on_the_processes(few_catalogs, model, monkeypatch):
    monkeypatch.setattr(drawing, "CHUNK_SIZE", 3)
    here, two = scored(model, 4), scored(model, 4, workers=2)
    pd.testing.assert_frame_equal(here.table, two.table, check_exact=True)
    pd.testing.assert_frame_equal(here.highest.rows, two.highest.rows, check_exact=True)
    assert np.array_equal(here.highest.images, two.highest.images)


def test_thresholds_are_quantiles_and_their_interval_covers():
    logits = RNG.normal(size=10_001)
    for rate in (0.1, 0.01, 0.001):
        found = metrics.threshold_interval(logits, rate)
        assert found["value"] == np.quantile(logits, 1 - rate, method="inverted_cdf")
        assert found["low"] < found["value"] < found["high"]
    covered = [
        found["low"] <= 0.99 <= found["high"]
        for found in (metrics.threshold_interval(RNG.random(1000), 0.01) for _ in range(400))
    ]
    assert 0.92 < np.mean(covered) <= 1


def test_a_rate_that_no_non_lens_stands_for_has_no_upper_bound():
    found = metrics.threshold_interval(np.arange(100.0), 1e-4)
    assert found["value"] == 99
    assert np.isnan(found["high"])
    assert np.isnan(metrics.threshold_interval(np.array([]), 0.1)["value"])


def test_no_hit_leaves_room_for_a_rate():
    z = 1.959964
    found = metrics.rare_share(np.zeros(2000, bool))
    assert (found["value"], found["low"]) == (0, 0)
    assert found["high"] == pytest.approx(z**2 / (2000 + z**2), rel=1e-4)
    assert np.isnan(metrics.rare_share(np.array([]))["value"])


def measured():
    """2,000 non-lenses with logits -1999 ... 0 and lenses at known places among them."""
    survey = pd.DataFrame(
        {"family": np.repeat(["field", "elliptical"], [1990, 10]), "logit": np.arange(-1999.0, 1.0) - 0.5}
    )
    lenses = np.array([-30.0, -10.0, -1.0, 5.0])
    return survey_test.measure(survey, lenses, dataclasses.replace(SURVEY, n=2000, bootstrap=50))


def test_the_survey_is_measured_at_its_own_thresholds():
    found = measured()
    assert found["threshold_fpr_1e-2"]["value"] == -20.5  # 20 of 2,000 lie above
    assert found["threshold_fpr_1e-3"]["value"] == -2.5
    assert found["threshold_fpr_1e-4"]["value"] == -0.5
    assert [found[f"tpr_at_fpr_{rate}"]["value"] for rate in ("1e-2", "1e-3")] == [0.75, 0.5]
    assert np.isnan(found["tpr_at_fpr_1e-4"]["value"])  # a fifth of a non-lens stands for it
    assert found["tpr_at_fpr_1e-2"]["low"] <= 0.75 <= found["tpr_at_fpr_1e-2"]["high"]
    assert found["fpr_at_0.5"]["value"] == 0
    assert set(found["families"]) == set(FAMILIES_NON_LENS)
    assert found["families"]["elliptical"] == {
        "n": 10, "fpr_at_0.5": 0.0, "fpr_at_threshold_1e-3": 0.2, "fpr_at_threshold_1e-4": None
    }  # fmt: skip
    assert found["families"]["ring"]["fpr_at_0.5"] is None


def test_the_calibration_is_for_a_survey_s_mix():
    """Logits that are right for equal numbers stay right when non-lenses are ten times as many; stretched ones are mended."""
    rng = np.random.default_rng(3)
    lenses, others, non = (
        rng.normal(mean, 2, n) for mean, n in ((2, 4000), (2, 4000), (-2, 40_000))
    )  # log odds: themselves
    settings = dataclasses.replace(SURVEY, bootstrap=20)
    found = survey_test.calibration(1.5 * non, 1.5 * others, 1.5 * lenses, settings)
    assert found["temperature"] == pytest.approx(1.5, rel=0.05)
    assert found["ece"]["low"] <= found["ece"]["value"] <= found["ece"]["high"] < 0.02


def test_purity_is_that_of_the_rate_above_each_threshold():
    rows = measured()["purity"]
    assert [row["fpr"] for row in rows] == [0, 0.03, 0.01, 0.003, 0.001]  # 3e-4 of 2,000 is less than one
    last = rows[-1]
    assert last["completeness"] == 0.5
    assert last["purity"]["value"] == pytest.approx(0.001 * 0.5 / (0.001 * 0.5 + 0.999 * 0.001))
    assert last["purity"]["low"] < last["purity"]["value"] < last["purity"]["high"]
    assert rows[0]["purity"]["value"] == 1  # one lens and no non-lens


def test_brightness_is_found_at_fixed_signal_to_noise_only():
    n = 600
    snr = np.repeat([22.0, 35.0, 150.0], n // 3)
    magnitude = RNG.uniform(18, 23, n) - np.log(snr)  # bright deflectors have clear arcs
    by_arcs = shortcuts.magnitude_dependence(snr, magnitude, np.log(snr) + 0.1 * RNG.normal(size=n))
    assert by_arcs["spearman"]["low"] < 0 < by_arcs["spearman"]["high"]
    by_brightness = shortcuts.magnitude_dependence(snr, magnitude, 5 * np.log(snr) - 2 * magnitude)
    assert by_brightness["spearman"]["value"] == pytest.approx(-1, abs=1e-4)
    assert [row["slope"] for row in by_brightness["bins"]] == pytest.approx([-2, -2, -2])
    assert [(row["low"], row["high"], row["n"]) for row in by_brightness["bins"]] == [
        (20, 25, 200), (30, 40, 200), (100, 200, 200)
    ]  # fmt: skip


def test_bins_of_a_few_lenses_are_left_out():
    found = shortcuts.magnitude_dependence(np.full(5, 30.0), np.arange(5.0), np.arange(5.0))
    assert found["bins"] == []
    assert np.isnan(found["spearman"]["value"])


def test_removed_arcs_are_counted():
    found = shortcuts.arcs_removed(
        np.array([3.0, 2.0, 1.0, 0.5]), np.array([-1.0, 1.5, 1.5, -2.5]), {"0.5": 0.0, "survey_1e-3": 1.75}
    )
    assert (found["n"], found["falls"]["value"], found["median_fall"]) == (4, 0.75, 1.75)
    assert (found["above_0.5_with_arcs"]["value"], found["above_0.5_without"]["value"]) == (1, 0.5)
    assert (found["above_survey_1e-3_with_arcs"]["value"], found["above_survey_1e-3_without"]["value"]) == (0.5, 0)


def test_lenses_keep_their_noise_without_their_arcs():
    scenes = join([random_scene(RNG, k % 2, index=k) for k in range(8)])
    scenes.scenes.loc[1, "label"] = -1
    chosen = shortcuts.lenses_of(scenes, 2)
    assert chosen.scenes["index"].tolist() == [3, 7]
    bare = chosen.without(SOURCES)
    assert not bare.components["role"].isin([Role.SOURCE_1, Role.SOURCE_2]).any()
    renderer = renderer_of(SIMULATE)
    whole, without = renderer.render(chosen), renderer.render(bare)
    noise, bare_noise = (one.images - one.noiseless for one in (whole, without))
    assert without.noiseless.sum() < whole.noiseless.sum()
    dark = (whole.noiseless - without.noiseless) < 1e-5
    assert dark.any()
    assert torch.allclose(noise[dark], bare_noise[dark], atol=1e-5)


def images_of(colours, n=200):
    """Labels, and images (2 n, band, 4, 4) of lenses with these sky scatters a band, and of non-lenses with one in each."""
    labels = np.repeat([1, 0], n)
    sky = torch.tensor(EUCLID.sky_sigma)[:, None, None]
    images = torch.ones(2 * n, len(Band), 4, 4)
    images[:n] *= torch.tensor(colours)[:, None, None]
    return (images + 0.3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))) * sky, labels


def scores_of(weights):
    """A network that adds up bands with these weights, in units of their sky."""
    factors = torch.tensor(weights) / torch.tensor(EUCLID.sky_sigma)
    return lambda images: (images.float() * factors[:, None, None]).sum((1, 2, 3)).numpy()


def test_a_network_of_one_band_needs_that_band():
    found = shortcuts.changed_bands(scores_of([1.0, 0, 0, 0]), *images_of([3.0, 1, 1, 1]), 20, 0)
    assert found["as_they_are"]["auroc"]["value"] == found["without_H"]["auroc"]["value"] == 1
    assert found["without_near_infrared"]["tpr_at_fpr_1e-2"]["value"] == 1
    assert found["near_infrared_shuffled"]["auroc"]["value"] == 1
    assert found["without_VIS"]["auroc"]["value"] == 0.5
    assert found["bands_shuffled"]["auroc"]["value"] < 0.8


def test_a_network_that_sees_colour_loses_by_shuffled_bands_and_one_that_adds_them_up_does_not():
    images, labels = images_of([1.0, 1, 1, 2])
    colour = shortcuts.changed_bands(scores_of([0, -1.0, -1, 2]), images, labels, 20, 0)
    assert colour["as_they_are"]["auroc"]["value"] > 0.99
    assert colour["near_infrared_shuffled"]["auroc"]["high"] < 0.8
    flux = shortcuts.changed_bands(scores_of([1.0, 1, 1, 1]), images, labels, 20, 0)
    for name in ("near_infrared_shuffled", "bands_shuffled"):
        assert flux[name]["auroc"]["value"] == pytest.approx(flux["as_they_are"]["auroc"]["value"], abs=1e-4)


def test_shuffled_bands_all_stay_and_never_where_they_were():
    images, _ = images_of([1.0, 2, 3, 4], 20)
    changed = shortcuts.shuffled(*Band)(images, torch.Generator().manual_seed(0))
    sky = torch.tensor(EUCLID.sky_sigma)[:, None, None]
    assert torch.allclose((changed / sky).sort(1).values, (images / sky).sort(1).values, atol=1e-5)
    assert not (changed == images).all((1, 2, 3)).any()
    infrared = shortcuts.shuffled(Band.Y, Band.J, Band.H)(images, torch.Generator().manual_seed(0))
    assert torch.equal(infrared[:, Band.VIS], images[:, Band.VIS])


def test_dropped_bands_are_zeros_and_the_images_stay_as_they_were():
    images, _ = images_of([1.0, 2, 3, 4], 2)
    before = images.clone()
    changed = shortcuts.without(Band.Y, Band.H)(images, torch.Generator())
    assert torch.equal(images, before)
    assert not changed[:, [Band.Y, Band.H]].any()
    assert torch.equal(changed[:, [Band.VIS, Band.J]], images[:, [Band.VIS, Band.J]])


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "field",
            0.5,
            r"survey.non_lens_shares: the shares add up to 1\.12, they must add up to 1: change one of them",
        ),
        ("star", -0.1, r"survey.non_lens_shares.star: -0.1 is not in \[0, 1\]"),
        ("atlas", 0, r"survey.atlas: 0 is not in \[1, 1000\]"),
        ("tail", 1, "survey.tail: unknown key; known are n, n_peers, atlas"),
    ],
)
def test_bad_settings_are_refused(key, value, told, tmp_path):
    document = yaml.safe_load(PARAMS.read_text())
    shared = document["survey"]["shared"]
    (shared["non_lens_shares"] if key in SURVEY.non_lens_shares else shared)[key] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(config.ConfigError, match=told):
        config.load("survey", SurveyConfig, "quick", tmp_path / "params.yaml")


@pytest.mark.parametrize("n", [1, 13])
def test_the_atlas_names_family_and_logit(n):
    rows = pd.DataFrame({"family": np.resize(["edge_on", "empty"], n), "logit": np.linspace(9, 2, n)})
    figure = atlas.draw(Highest(rows, RNG.normal(size=(n, len(Band), 8, 8)).astype(np.float16)))
    assert len(figure.axes) == n
    assert figure.axes[0].get_title() == "edge on 9.0"
    assert f"edge on ({(n + 1) // 2})" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_whole_stage(few_catalogs, model, tmp_path, capsys):
    paths = Paths("tiny", tmp_path)
    scenes = drawing.draw_scenes(POPULATION, 1)
    scenes.save(paths.scenes)
    write_store(scenes, SIMULATE, paths.images)
    paths.model.mkdir(parents=True)
    for file in model.iterdir():
        (paths.model / file.name).write_bytes(file.read_bytes())
    blocks = {
        "population": POPULATION,
        "simulate": SIMULATE,
        "survey": dataclasses.replace(SURVEY, n=100, n_peers=100, pairs=5),
    }
    settings = {name: {"shared": dataclasses.asdict(block), "tiny": {}} for name, block in blocks.items()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(FileNotFoundError, match=r"no .*test\.parquet: run the evaluate stage first"):
        _survey_test_.run("tiny", tmp_path)
    test = scenes.scenes.query("split == 'test'")
    paths.scores.mkdir()
    scored = test[["index", "split", "family", "label"]].assign(logit=-9.0, survey_logit=test["label"] - 0.5)
    pd.concat([scored, scored.assign(split="validation")]).to_parquet(paths.scores / "test.parquet")
    _survey_test_.run("tiny", tmp_path)
    found = json.loads(paths.metrics("survey-test").read_text())
    assert (found["n"], found["n_lens"], found["shortcuts"]["arcs_removed"]["n"]) == (100, 20, 5)
    assert {name: row["n"] for name, row in found["families"].items()} == target_mix.counts(100, SURVEY.non_lens_shares)
    points = operating_points.read(paths.model, SURVEY_POINTS)
    assert points.thresholds == {"fpr_1e-2": found["threshold_fpr_1e-2"]["value"]}  # of a hundred, no other can be told
    assert points.temperature == found["temperature"]
    assert points.shares is None
    assert found["purity"][0]["completeness"] == 1  # at 0.5, of the survey's logits
    assert sum(found["atlas"].values()) == 100
    assert set(found["shortcuts"]["bands"]) == set(shortcuts.CHANGES)
    scores = pd.read_parquet(paths.survey / "scores.parquet")
    kept = pd.read_parquet(paths.survey / "atlas.parquet")
    assert kept["logit"].tolist() == sorted(scores["logit"], reverse=True)
    assert np.load(paths.survey / "atlas.npy").shape == (100, len(Band), 40, 40)
    assert imread(paths.figures / "survey-test" / "atlas.png").shape[0] > 1000
    assert all(
        (paths.figures / "survey-test" / f"{name}.png").is_file() for name in ("scores", "selection", "selection-map")
    )
    assert sum(row["n"] for row in found["selection_map"]) == 20
    bin_of_lenses = found["selection_function"]["arc_snr"][0]
    assert set(bin_of_lenses) == {"low", "high", "n", "completeness_at_0.5", "completeness_at_fpr_1e-2"}
    told = capsys.readouterr().out
    for words in (
        "100 non-lenses in survey proportions",
        "threshold_fpr_1e-3",
        "arcs removed from 5 lenses",
        "bands shuffled",
    ):
        assert words in told


def test_families_of_one_scene_can_be_drawn():
    table = pd.DataFrame({"family": ["lens", "empty", "field", "field"], "logit": [3.0, -2.0, -1.0, 2.0]})
    figure = figures.tails_by_family(table, {"0.5": 0.0, "fpr_1e-2": 1.0, "fpr_1e-3": 2.0})
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["empty (1)", "field (2)", "lens (1)"]
