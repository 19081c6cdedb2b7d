"""Networks side by side on fresh non-lenses in a survey's proportions: made-up scores, and the whole stage on a small one."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from conftest import SURVEY
from lensdream.evaluate import survey_baselines


def test_each_network_has_its_own_threshold():
    rng = np.random.default_rng(1)
    noise, signal = rng.normal(size=2000), rng.normal(size=500)
    non_lenses = pd.DataFrame({"family": "field", "logit_lensnet": noise, "logit_ou66": 10 * noise})
    lenses = pd.DataFrame({"logit_lensnet": signal + 4, "logit_ou66": 10 * (signal + 3)})
    found = survey_baselines.compared(non_lenses, lenses, dataclasses.replace(SURVEY, bootstrap=50))
    at = np.sort(noise)[-2]  # of 2000 two may lie at or above it
    ours, theirs = ((signal + shift > at).mean() for shift in (4, 3))
    assert found["lensnet"]["tpr_at_fpr_1e-3"]["value"] == pytest.approx(ours, abs=0.05)
    assert found["ou66"]["tpr_at_fpr_1e-3"]["value"] == pytest.approx(theirs, abs=0.05)
    ratio = found["ou66"]["missed_at_fpr_1e-3_ratio"]
    missed = [1 - found[name]["tpr_at_fpr_1e-3"]["value"] for name in ("ou66", "lensnet")]
    assert ratio["value"] == pytest.approx(missed[0] / missed[1])
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert "missed_at_fpr_1e-3_ratio" not in found["lensnet"]
