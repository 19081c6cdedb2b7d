"""Settings: the shipped file loads, everything else is refused with all problems at once."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from lensdream import config

ROOT = Path(__file__).parents[1]
STAGES = {
    "population": config.PopulationConfig,
    "simulate": config.SimulateConfig,
    "train": config.TrainConfig,
    "ou66": config.RecipeConfig,
    "ou200": config.RecipeConfig,
    "lensnet-wide": config.TrainConfig,
    "deep": config.DeepConfig,
    "second_network": config.SecondNetworkConfig,
    "kinds": config.KindsConfig,
    "compound_head": config.CompoundHeadConfig,
    "evaluate": config.EvaluateConfig,
    "survey": config.SurveyConfig,
    "compound": config.CompoundConfig,
    "explain": config.ExplainConfig,
    "observe": config.ObserveConfig,
    "report": config.ReportConfig,
    "tune": config.TuneConfig,
}


@pytest.fixture
def params(tmp_path):
    """A copy of params.yaml that a test may change: params(lambda document: ...) -> its path."""

    def changed(change):
        document = yaml.safe_load((ROOT / "params.yaml").read_text())
        change(document)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return changed


@pytest.mark.parametrize("scale", ["quick", "poster"])
@pytest.mark.parametrize("stage", STAGES)
def test_shipped_settings_load(stage, scale):
    assert config.load(stage, STAGES[stage], scale, ROOT / "params.yaml")


def test_every_block_of_the_shipped_settings_is_looked_at():
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(shipped) == set(STAGES) == set(config.STAGES_WITH_SETTINGS)


def test_the_poster_scale_is_the_posters_with_more_training_images():
    settings = config.load("population", config.PopulationConfig, "poster", ROOT / "params.yaml")
    assert settings.train >= 45000
    assert (settings.validation, settings.test) == (3000, 12000)
    assert (settings.compound_arc, settings.double_ring) == (10000, 10000)


def test_all_problems_are_told_at_once(params):
    def spoil(document):
        document["population"]["shared"]["theta"] = 1
        document["population"]["quick"]["train"] = -5
        document["population"]["shared"]["seed"] = "one"
        del document["population"]["quick"]["test"]

    with pytest.raises(config.ConfigError) as error:
        config.load("population", config.PopulationConfig, "quick", params(spoil))
    text = str(error.value)
    assert "population.theta: unknown key" in text
    assert "population.train: -5 is not in [0, 1e+08]" in text
    assert "population.seed: 'one' is not of type int" in text
    assert "population.test: missing" in text


def test_a_value_set_twice_is_refused(params):
    path = params(lambda document: document["train"]["quick"].update(seed=3))
    with pytest.raises(config.ConfigError, match="already set under train.shared"):
        config.load("train", config.TrainConfig, "quick", path)


def test_the_wide_network_is_trained_as_the_other_is():
    wide, ours = (
        config.load(block, config.TrainConfig, "poster", ROOT / "params.yaml") for block in ("lensnet-wide", "train")
    )
    names = ("width", "batch_size", "epochs", "hard_negatives", "hard_rounds")
    assert dataclasses.replace(wide, **{name: getattr(ours, name) for name in names}) == ours
    assert wide.width == 2 * ours.width


def test_the_paper_s_recipe_is_the_paper_s():
    found = config.load("ou66", config.RecipeConfig, "poster", ROOT / "params.yaml")
    assert (found.learning_rate, found.final_rate, found.warmup_epochs, found.dropout) == (3e-4, 1, 0, 0.2)
    assert (found.weight_decay, found.averaging, found.shift_pixels, found.band_dropout) == (0, 0, 0, 0)
    assert found.gain_scatter == 0
    assert found.balanced
    assert not found.dihedral


def test_yes_and_no_are_no_numbers(params):
    path = params(lambda document: document["train"]["shared"].update(balanced=1, seed=True))
    with pytest.raises(config.ConfigError) as error:
        config.load("train", config.TrainConfig, "quick", path)
    assert "train.balanced: 1 is not of type bool" in str(error.value)
    assert "train.seed: True is not of type int" in str(error.value)


def test_an_unknown_stage_block_is_refused(params):
    path = params(lambda document: document.update(trian={"shared": {}}))
    with pytest.raises(config.ConfigError, match="trian: no such stage"):
        config.load("train", config.TrainConfig, "quick", path)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (5, "train: 5 is no block: put settings under train.shared"),
        (None, "train: None is no block"),
        ({"quick": [1]}, r"train.quick: \[1\] holds no settings by name"),
        ({"shared": "width"}, "train.shared: 'width' holds no settings by name"),
    ],
)
def test_a_block_without_settings_is_refused(block, words, params):
    for stage in ("train", "kinds"):
        with pytest.raises(config.ConfigError, match=words):
            config.load(stage, STAGES[stage], "quick", params(lambda document: document.update(train=block)))


def test_a_misspelt_scale_is_refused(params):
    def misspelt(document):
        document["train"]["postr"] = document["train"].pop("poster")

    with pytest.raises(config.ConfigError) as error:
        config.load("train", config.TrainConfig, "quick", params(misspelt))
    assert "scale 'postr' is in train and not in compound, compound_head" in str(error.value)
    assert "and not in train: rename it, or add it there, as `poster: {}` where nothing differs" in str(error.value)


def test_a_scale_of_one_s_own_is_in_every_block(params):
    def added(document):
        for block in document.values():
            block["mine"] = block["quick"]

    assert config.load("train", config.TrainConfig, "mine", params(added)).epochs == 16


def test_peers_are_held_against_non_lenses_of_the_survey(params):
    path = params(lambda document: document["survey"]["quick"].update(n_peers=2001))
    with pytest.raises(config.ConfigError, match=r"survey.n_peers: 2001 are not among the 2000 non-lenses .* lower it"):
        config.load("survey", config.SurveyConfig, "quick", path)


def test_an_unknown_scale_is_refused():
    with pytest.raises(config.ConfigError, match="scales are poster, quick"):
        config.load("train", config.TrainConfig, "huge", ROOT / "params.yaml")


def test_shares_that_do_not_add_up_are_refused(params):
    path = params(lambda document: document["population"]["shared"].update(star=0.5))
    with pytest.raises(config.ConfigError, match=r"add up to 1\.47"):
        config.load("population", config.PopulationConfig, "quick", path)


def test_frames_that_cannot_be_are_refused_all_at_once(params):
    path = params(lambda document: document["simulate"]["shared"].update(stamp=33, padding=40, fine_width=54))
    with pytest.raises(config.ConfigError) as error:
        config.load("simulate", config.SimulateConfig, "quick", path)
    text = str(error.value)
    assert "needs mending" in text
    assert (
        "simulate.padding: 40 is wider than the stamp, the point spread may reach over 33 pixels at most: lower" in text
    )
    assert "simulate.fine_width: 54 is wider than the stamp of 33 pixels: lower" in text
    assert "simulate.fine_width: 54 and the stamp of 33 pixels have not the same middle" in text


def test_frames_wider_than_the_field_are_refused(params):
    path = params(lambda document: document["simulate"]["shared"].update(stamp=82))
    with pytest.raises(
        config.ConfigError, match="stamp: 82 and a padding of 16 on each side are 114 pixels, .* in 112 at"
    ):
        config.load("simulate", config.SimulateConfig, "quick", path)
    fits = params(lambda document: document["simulate"]["shared"].update(stamp=96, padding=8))
    assert config.load("simulate", config.SimulateConfig, "quick", fits).stamp == 96


def test_an_unknown_renderer_is_refused(params):
    path = params(lambda document: document["simulate"]["shared"].update(renderer="galsim"))
    with pytest.raises(config.ConfigError, match="simulate.renderer: 'galsim' is none of lensdream, lenstronomy"):
        config.load("simulate", config.SimulateConfig, "quick", path)


def test_a_family_may_have_no_scenes(params):
    def none(document):
        document["population"]["shared"].update(star=0.0, elliptical=0.23)
        document["population"]["quick"].update(undetectable=0, compound_arc=0, faint_second=0)

    assert config.load("population", config.PopulationConfig, "quick", params(none)).non_lens_shares["star"] == 0


def test_values_that_are_no_numbers_are_refused(params):
    path = params(lambda document: document["train"]["shared"].update(averaging=float("nan"), fresh_scenes=1.5))
    with pytest.raises(config.ConfigError) as error:
        config.load("train", config.TrainConfig, "quick", path)
    assert "train.averaging: nan is not in [0, 0.99999]" in str(error.value)
    assert "train.fresh_scenes: 1.5 is not of type int" in str(error.value)


def test_a_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(config.ConfigError, match="run from the repository's root"):
        config.load("train", config.TrainConfig, "quick", tmp_path / "params.yaml")
