"""Scenes that cannot be drawn are refused."""

import dataclasses

import numpy as np
import pytest

from conftest import SMALL_IMAGES
from lensdream.dataset import write
from lensdream.instrument import DITHERS, EUCLID
from lensdream.render.validate import refuse_impossible


def with_values(scenes, table, place, **values):
    """A copy with one row changed, of `scenes` or `components`."""
    changed = getattr(scenes, table).copy().astype({"psf": int, "dither": int} if table == "scenes" else {})
    for column, value in values.items():
        if isinstance(value, float):
            changed[column] = changed[column].astype(float)
        changed.loc[changed.index[place], column] = value
    return dataclasses.replace(scenes, **{table: changed})


@pytest.mark.parametrize(
    ("table", "place", "values", "words"),
    [
        ("scenes", 5, {"z_lens": 0.9, "z_source_1": 0.5}, r"z_source_1 = 0.5 is not beyond z_lens = 0.9 \(scene 5\)"),
        ("scenes", 5, {"z_source_1": 2.0, "z_source_2": 2.0}, "z_source_2 = 2 is not beyond z_source_1 = 2"),
        ("scenes", 4, {"mass_q": 0.0}, r"mass_q = 0.0 is not in \(0, 1\] where theta_E_1 > 0 \(scene 4\)"),
        ("scenes", 4, {"z_lens": np.nan}, r"z_lens = nan is not in \(0, inf\) where theta_E_1 > 0 \(scene 4\)"),
        ("scenes", 5, {"z_source_2": np.nan}, r"z_source_2 = nan is not in \(0, inf\) where theta_E_2 > 0"),
        ("scenes", 4, {"theta_E_1": 0.0}, r"theta_E_1 = 0.0 is not in \(0, inf\) with light at plane 1 \(scene 4\)"),
        ("scenes", 5, {"theta_E_2": 0.0}, r"theta_E_2 = 0.0 is not in \(0, inf\) with light at plane 2 \(scene 5\)"),
        ("scenes", 0, {"background_VIS": np.nan}, r"background_VIS = nan is not in \(-inf, inf\) \(scene 0\)"),
        ("scenes", 0, {"background_H": np.inf}, r"background_H = inf is not in \(-inf, inf\)"),
        ("scenes", 0, {"psf": 0.5}, rf"psf = 0.5 is not in \[0, {len(EUCLID.point_spreads) - 1}\] in whole numbers"),
        ("scenes", 0, {"missing_bands": 1.5}, r"missing_bands = 1.5 is not in \[0, 15\] in whole numbers"),
        (
            "scenes",
            0,
            {"psf": len(EUCLID.point_spreads)},
            rf"psf = {len(EUCLID.point_spreads)} is not in \[0, {len(EUCLID.point_spreads) - 1}\]",
        ),
        ("scenes", 0, {"dither": -1}, rf"dither = -1 is not in \[0, {len(DITHERS) - 1}\]"),
        ("scenes", 0, {"sky_scale_J": 0.0}, r"sky_scale_J = 0.0 is not in \(0, inf\)"),
        ("scenes", 0, {"family": "quasar"}, "family = 'quasar' is none of artefact, companion"),
        ("scenes", 3, {"index": 2}, r"index is not unique \(scene 2\)"),
        ("components", 3, {"q": 1.2}, r"q = 1.2 is not in \(0, 1\]"),
        ("components", 3, {"r_e": 0.0}, r"r_e = 0.0 is not in \(0, inf\)"),
        ("components", 3, {"sersic_index": 0.1}, r"sersic_index = 0.1 is not in \[0.3, 10\]"),
        ("components", 3, {"arm_contrast": 0.5, "arm_pitch": 0.0}, "arm_pitch = 0 winds arms without end"),
        (
            "components",
            3,
            {"arm_contrast": 0.5, "arm_pitch": np.nan},
            r"arm_pitch = nan is not in .* where arm_contrast > 0",
        ),
        ("components", 3, {"arm_contrast": 0.5, "arm_number": 1.5}, r"arm_number = 1.5 is not in \[0, inf\) in whole"),
        ("components", 3, {"flux_H": np.nan}, r"flux_H = nan is not in \[0, inf\)"),
        ("components", 3, {"flux_VIS": -1.0}, r"flux_VIS = -1.0 is not in"),
        ("components", 3, {"role": 9}, r"role = 9 is not in \[1, 4\]"),
        ("components", 3, {"plane": 3}, r"plane = 3 is not in \[0, 2\]"),
        ("components", -1, {"scene": 77}, r"components belong to no scene of the table \(scene 77\)"),
        ("components", 0, {"scene": 5}, "not sorted by scene"),
    ],
)
def test_impossible_scenes_are_refused(scenes, table, place, values, words, tmp_path):
    with pytest.raises(ValueError, match=rf"(?s){words}.*draw it again with `lensdream population`"):
        write.write_store(with_values(scenes, table, place, **values), SMALL_IMAGES, tmp_path / "images")
    assert not (tmp_path / "images").exists()


def test_all_that_is_wrong_with_scenes_is_told_at_once(scenes):
    wrong = with_values(with_values(scenes, "components", 1, q=2.0), "scenes", 2, dither=99, family="none")
    wrong = with_values(wrong, "components", 20, q=3.0)
    with pytest.raises(ValueError, match="cannot be drawn") as error:
        refuse_impossible(wrong)
    text = str(error.value)
    assert "q = 2.0 is not in (0, 1] (scene 0 and 1 others)" in text
    assert "dither = 99" in text
    assert "family = 'none'" in text
