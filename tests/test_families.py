"""Names of families."""

from conftest import ROOT
from lensdream import config
from lensdream.families import FAMILIES_NON_LENS
from lensdream.population import nonlenses

SETTINGS = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")


def test_the_families_of_the_settings_are_those_that_can_be_drawn():
    assert set(SETTINGS.non_lens_shares) == {"elliptical", *nonlenses.FAMILIES} == set(FAMILIES_NON_LENS)
