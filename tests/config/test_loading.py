"""Settings: the shipped file loads, everything else is refused with all problems at once."""

import dataclasses
import subprocess
import sys
from typing import get_origin

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from conftest import ROOT
from lensdream import config
from lensdream.commands.params import blocks
from lensdream.config import Training
from lensdream.families import FAMILIES_NON_LENS
from lensdream.networks.lensnet import LensNetConfig
from lensdream.networks.ou import OUConfig
from lensdream.train import recipes

STAGES = {name: block.settings for name, block in blocks().items()}


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
    assert set(shipped) - {"scales"} == set(STAGES) == set(recipes.blocks())


def test_the_poster_scale_is_the_posters_with_more_training_images():
    settings = config.load("population", config.PopulationConfig, "poster", ROOT / "params.yaml")
    assert settings.train >= 45000
    assert (settings.validation, settings.test) == (3000, 12000)
    assert (settings.compound_arc, settings.double_ring) == (10000, 10000)


def test_all_problems_are_told_at_once(params):
    def spoil(document):
        document["population"]["theta"] = 1
        document["scales"]["quick"]["population"]["train"] = -5
        document["population"]["seed"] = "one"
        document["scales"]["quick"]["lensnet"]["fit"]["epochs"] = 0

    with pytest.raises(config.ConfigError) as error:
        config.load("population", config.PopulationConfig, "quick", params(spoil))
    text = str(error.value)
    assert "population.theta: unknown key" in text
    assert "population.train: -5 is not in [0, 1e+08]" in text
    assert "population.seed: 'one' is not of type int" in text
    assert "lensnet" not in text


def test_a_scale_overrides_what_holds_for_all(params):
    path = params(lambda document: document["scales"]["quick"]["lensnet"]["fit"].update(seed=3))
    assert config.load("lensnet", Training, "quick", path).fit.seed == 3
    assert config.load("lensnet", Training, "poster", path).fit.seed == 1


def test_the_paper_s_recipe_is_the_paper_s():
    settings = config.load("ou66", Training[OUConfig], "poster", ROOT / "params.yaml")
    found = settings.fit
    assert (found.learning_rate, found.final_rate, found.warmup_epochs) == (3e-4, 1, 0)
    assert settings.network == OUConfig(dropout=0.2)
    assert (found.weight_decay, found.averaging, found.shift_pixels, found.band_dropout) == (0, 0, 0, 0)
    assert found.gain_scatter == 0
    assert found.balanced
    assert not found.dihedral


def test_yes_and_no_are_no_numbers(params):
    path = params(lambda document: document["lensnet"]["fit"].update(balanced=1, seed=True))
    with pytest.raises(config.ConfigError) as error:
        config.load("lensnet", Training, "quick", path)
    assert "lensnet.fit.balanced: 1 is not of type bool" in str(error.value)
    assert "lensnet.fit.seed: True is not of type int" in str(error.value)


def test_an_unknown_stage_block_is_refused(params):
    path = params(lambda document: document.update(trian=document["lensnet"]))
    with pytest.raises(config.ConfigError, match="trian: no such block; blocks are population"):
        config.require_scale("quick", path, recipes.blocks())


@pytest.mark.parametrize("block", [5, None, ["fit"]])
def test_a_block_without_settings_is_refused(block, params):
    for name in ("lensnet", "class_prior"):
        with pytest.raises(config.ConfigError, match="lensnet: .* holds no settings by name: write each as"):
            config.load(name, STAGES[name], "quick", params(lambda document: document.update(lensnet=block)))


@pytest.mark.parametrize(
    ("scales", "words"),
    [
        ({}, "scales: no scale; write one as"),
        ({"quick": 5}, "scales.quick: 5 is no scale: write what differs there, block by block"),
        ({"quick": {"lensnt": {}}}, "scales.quick.lensnt: no such block; blocks are class_prior, compound_classifier"),
        ({"quick": {"lensnet": 5}}, "scales.quick.lensnet: 5 holds no settings by name"),
        ({"quick": {"networks": "lensnet"}}, "scales.quick.networks: 'lensnet' names no networks"),
        ({"quick": {"networks": {"lensnet": "got"}}}, "scales.quick.networks: .* write each as `lensnet: trained`"),
    ],
)
def test_a_scale_that_is_none_is_refused(scales, words, params):
    path = params(lambda document: document.update(scales=scales))
    with pytest.raises(config.ConfigError, match=words):
        config.load("lensnet", Training, "quick", path)


def test_a_misspelt_scale_is_refused(params):
    def misspelt(document):
        document["scales"]["postr"] = document["scales"].pop("poster")

    with pytest.raises(config.ConfigError, match="scale 'poster' is not in .*; scales are postr, quick"):
        config.load("lensnet", Training, "poster", params(misspelt))


def test_a_scale_of_one_s_own_is_one_block(params):
    path = params(lambda document: document["scales"].update(mine={"lensnet": {"fit": {"epochs": 2}}}))
    assert config.load("lensnet", Training, "mine", path).fit == dataclasses.replace(config.Fit(), epochs=2)
    assert config.load("explain", config.ExplainConfig, "mine", path) == config.ExplainConfig()


def test_the_networks_of_a_scale_are_named_in_its_block(params):
    path = params(
        lambda document: document["scales"].update(mine={"networks": {"lensnet": "trained", "ou66": "given"}})
    )
    assert config.models("mine", path) == config.Models(("lensnet",), ("ou66",))


def test_peers_are_held_against_non_lenses_of_the_survey(params):
    path = params(lambda document: document["scales"]["quick"]["survey"].update(n_peers=2001))
    with pytest.raises(config.ConfigError, match=r"survey.n_peers: 2001 are not among the 2000 non-lenses .* lower it"):
        config.load("survey", config.SurveyConfig, "quick", path)


def test_an_unknown_scale_is_refused():
    with pytest.raises(config.ConfigError, match="scales are poster, quick"):
        config.load("lensnet", Training, "huge", ROOT / "params.yaml")


def test_shares_that_do_not_add_up_are_refused(params):
    path = params(lambda document: document["population"]["non_lens_shares"].update(star=0.5))
    with pytest.raises(
        config.ConfigError, match=r"population.non_lens_shares: the shares add up to 1\.47, they must add up to 1"
    ):
        config.load("population", config.PopulationConfig, "quick", path)


def test_frames_that_cannot_be_are_refused_all_at_once(params):
    path = params(lambda document: document["simulate"].update(stamp=33, padding=40, fine_width=54))
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
    path = params(lambda document: document["simulate"].update(stamp=82))
    with pytest.raises(
        config.ConfigError, match="stamp: 82 and a padding of 16 on each side are 114 pixels, .* in 112 at"
    ):
        config.load("simulate", config.SimulateConfig, "quick", path)
    fits = params(lambda document: document["simulate"].update(stamp=96, padding=8))
    assert config.load("simulate", config.SimulateConfig, "quick", fits).stamp == 96


def test_an_unknown_renderer_is_refused(params):
    path = params(lambda document: document["simulate"].update(renderer="galsim"))
    with pytest.raises(config.ConfigError, match="simulate.renderer: 'galsim' is none of lensdream, lenstronomy"):
        config.load("simulate", config.SimulateConfig, "quick", path)


def test_a_family_may_have_no_scenes(params):
    def none(document):
        document["population"]["non_lens_shares"].update(star=0.0, elliptical=0.23)
        document["scales"]["quick"]["population"].update(undetectable=0, compound_arc=0, faint_second=0)

    assert config.load("population", config.PopulationConfig, "quick", params(none)).non_lens_shares["star"] == 0


def test_values_that_are_no_numbers_are_refused(params):
    path = params(
        lambda document: (
            document["lensnet"].update(fresh_scenes=1.5),
            document["lensnet"]["fit"].update(averaging=float("nan")),
        )
    )
    with pytest.raises(config.ConfigError) as error:
        config.load("lensnet", Training, "quick", path)
    assert "lensnet.fit.averaging: nan is not in [0, 0.99999]" in str(error.value)
    assert "lensnet.fresh_scenes: 1.5 is not of type int" in str(error.value)


def test_a_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(config.ConfigError, match="run from the repository's root"):
        config.load("lensnet", Training, "quick", tmp_path / "params.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_settings_have_defaults_which_are_those_of_the_quick_scale(stage, params):
    """Those of `Training` are LensNet's, whatever the network."""
    stage = "lensnet" if stage == "ou66" else stage
    plain = get_origin(STAGES[stage]) or STAGES[stage]
    assert config.load(stage, STAGES[stage], "quick", ROOT / "params.yaml") == plain()
    bare = params(lambda document: document.update({stage: {}, "scales": {"quick": {}}}))
    assert config.load(stage, STAGES[stage], "quick", bare) == plain()


def test_a_scale_changes_a_nested_value_and_keeps_the_others(params):
    path = params(lambda document: document["scales"]["quick"]["lensnet"].update(network={}, fit={"epochs": 3}))
    found = config.load("lensnet", Training, "quick", path)
    assert found.fit == dataclasses.replace(config.Fit(), epochs=3)
    other = params(lambda document: document["scales"]["quick"]["deep"]["fresh"].update(targets=7))
    with_other = config.load("deep", config.SecondStageTraining, "quick", other)
    assert with_other.fresh == dataclasses.replace(config.FreshMix(), targets=7)


def test_an_unknown_nested_key_and_a_value_in_place_of_a_block_are_refused(params):
    def spoil(document):
        document["lensnet"]["fit"]["learn_rate"] = 1
        document["lensnet"]["network"] = 5

    with pytest.raises(config.ConfigError) as error:
        config.load("lensnet", Training, "quick", params(spoil))
    assert "lensnet.fit.learn_rate: unknown key; known are seed, learning_rate" in str(error.value)
    assert "lensnet.network: 5 holds no settings by name" in str(error.value)


def test_a_block_that_is_missing_is_refused(params):
    path = params(lambda document: document.pop("class_prior"))
    with pytest.raises(config.ConfigError, match="class_prior: no such block; blocks are "):
        config.load("class_prior", config.ClassPriorConfig, "quick", path)


def test_the_shape_is_that_of_the_network():
    for block, shape in (("lensnet", LensNetConfig), ("ou66", OUConfig)):
        assert type(config.load(block, STAGES[block], "quick", ROOT / "params.yaml").network) is shape


def test_a_mix_names_every_family_and_no_other(params):
    def spoil(document):
        document["survey"]["non_lens_shares"]["stars"] = document["survey"]["non_lens_shares"].pop("star")

    with pytest.raises(config.ConfigError) as error:
        config.load("survey", config.SurveyConfig, "quick", params(spoil))
    assert "survey.non_lens_shares.stars: no such family; families are elliptical, spiral" in str(error.value)
    assert "survey.non_lens_shares.star: missing; every family has a share, 0 for none" in str(error.value)


def test_a_mix_is_in_the_order_of_random_streams_however_it_is_written():
    shares = config.PopulationConfig().non_lens_shares
    turned = config.PopulationConfig(non_lens_shares=dict(reversed(shares.items())))
    assert tuple(turned.non_lens_shares) == FAMILIES_NON_LENS == tuple(shares)


def test_a_share_that_is_no_number_is_refused(params):
    path = params(lambda document: document["survey"]["non_lens_shares"].update(star="few", field=-1.0))
    with pytest.raises(config.ConfigError) as error:
        config.load("survey", config.SurveyConfig, "quick", path)
    assert "survey.non_lens_shares.star: 'few' is not of type float" in str(error.value)
    assert "survey.non_lens_shares.field: -1.0 is not in [0, 1]" in str(error.value)


def test_dvc_changes_a_value_and_no_other_line(tmp_path):
    path = tmp_path / "params.yaml"
    before = (ROOT / "params.yaml").read_text()
    path.write_text(before)
    apply_overrides(path, ["population.sky_area=0.2", "scales.quick.lensnet.fit.epochs=3"])
    changed = [new for old, new in zip(before.splitlines(), path.read_text().splitlines(), strict=True) if old != new]
    assert [line.partition("#")[0].strip() for line in changed] == ["sky_area: 0.2", "epochs: 3"]
    assert all("#" in line for line in changed)


def test_the_shipped_settings_repeat_nothing_by_reference():
    lines = (line.partition("#")[0] for line in (ROOT / "params.yaml").read_text().splitlines())
    assert not any(mark in line for line in lines for mark in "&*<")


def test_settings_are_read_without_heavy_imports():
    script = (
        "import sys, lensdream.config, lensdream.train.recipes; "
        "print(sorted({'torch', 'pandas', 'scipy', 'mlflow', 'astropy', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
