"""Settings put into params.yaml by line."""

import pytest
import yaml

from lensdream.config import ConfigError
from lensdream.tuning.params_file import write_settings

PARAMS = """\
# A comment on top.
other:
  fit:
    learning_rate: 1.0
lensnet:
  fit:
    learning_rate: 0.002    # peak [1e-6, 1]
    batch_size: 64
  network:
    dropout: 0.2            # before the last layer
scales:
  quick:
    lensnet:
      fit:
        epochs: 3
"""


@pytest.fixture
def params(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)
    return path


def test_values_are_replaced_in_their_lines_and_comments_keep_their_columns(params):
    write_settings(params, {"fit.learning_rate": 0.0005, "fit.batch_size": 128, "network.dropout": 0.25})
    changed = [
        (old, new)
        for old, new in zip(PARAMS.splitlines(), params.read_text().splitlines(), strict=True)
        if old != new
    ]  # fmt: skip
    assert [new for _, new in changed] == [
        "    learning_rate: 0.0005   # peak [1e-6, 1]",
        "    batch_size: 128",
        "    dropout: 0.25           # before the last layer",
    ]
    for old, new in changed:
        assert old.find("#") == new.find("#")
    assert not list(params.parent.glob("*.part"))


def test_small_numbers_are_read_back_as_numbers(params):
    write_settings(params, {"fit.learning_rate": 1e-5})
    assert yaml.safe_load(params.read_text())["lensnet"]["fit"]["learning_rate"] == 1e-5


def test_a_setting_of_the_scales_is_refused_and_the_file_stays(params):
    with pytest.raises(ConfigError, match=r"has no lensnet\.fit\.epochs: move it there from the scales"):
        write_settings(params, {"fit.learning_rate": 0.1, "fit.epochs": 5})
    assert params.read_text() == PARAMS


def test_a_layout_that_cannot_be_edited_by_line_is_refused_and_the_file_stays(params):
    text = PARAMS.replace("learning_rate: 0.002    #", "learning_rate:\n      0.002    #")
    params.write_text(text)
    with pytest.raises(ConfigError, match=r"laid out in a way that cannot be edited by line: set .* by hand"):
        write_settings(params, {"fit.learning_rate": 0.1})
    assert params.read_text() == text
