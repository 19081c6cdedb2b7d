"""What differs between two descriptions."""

import dataclasses

import pytest

from lensdream.dataset.description import IMAGES, SCENES, Description
from lensdream.dataset.difference import differences, verdict

ONE = Description(
    SCENES,
    counts={"train": {"lens": {"1": 10}, "ring": {"0": 4}}},
    quantiles={"lenses": {"theta_E_1": {"n": 10, "50%": 0.66}, "magnitude_VIS": {"n": 10, "50%": 20.0}}},
    digests={"scenes": {"theta_E_1": "aa", "seed": "bb"}},
    files={"scenes.parquet": "11", "components.parquet": "22"},
    settings={"seed": 1, "shares": {"star": 0.5}},
    code={"optics.sie": "cc"},
)
change = dataclasses.replace


def test_a_description_is_equal_to_itself():
    assert verdict(ONE, ONE) == "equal"
    assert differences(ONE, ONE) == []


@pytest.mark.parametrize(
    ("other", "told", "line"),
    [
        (
            change(ONE, settings={"seed": 2, "shares": {"star": 0.5}}),
            "the same data, described with",
            "settings seed: 1 -> 2",
        ),
        (change(ONE, code={"optics.sie": "dd"}), "the same data, described with", "code optics.sie: 'cc' -> 'dd'"),
        (
            change(ONE, digests={"scenes": {"theta_E_1": "zz", "seed": "bb"}}, counts={"train": {"lens": {"1": 9}}}),
            "other scenes: 1 columns and 0 of 2 files differ",
            "count train/lens/1: 10 -> 9",
        ),
        (
            change(ONE, files=ONE.files | {"scenes.parquet": "33"}),
            "the same values in files of another form: 1 of 2 files differ",
            None,
        ),
        (change(ONE, of=IMAGES), "one describes scenes, the other images", None),
    ],
)
def test_what_differs_is_told(other, told, line):
    assert told in verdict(ONE, other)
    assert line is None or line in differences(ONE, other)


def test_other_pixels_of_the_same_scenes_are_told_as_such():
    images = change(ONE, of=IMAGES)
    other = change(images, files=images.files | {"scenes.parquet": "33"})
    assert verdict(images, other) == "the same scenes and measurements, other pixels: 1 of 2 files differ"


@pytest.mark.parametrize(
    ("theta_E", "magnitude", "n"), [(0.661, 20.01, 0), (0.70, 20.0, 1), (0.66, 20.03, 1), (0.7, 20.5, 2)]
)
def test_quantiles_count_beyond_the_tolerance(theta_E, magnitude, n):
    moved = {"theta_E_1": {"n": 9, "50%": theta_E}, "magnitude_VIS": {"n": 9, "50%": magnitude}}
    found = differences(ONE, change(ONE, quantiles={"lenses": moved}), 0.02)
    assert len([line for line in found if line.startswith("quantile lenses")]) == n
