"""Tables of the report."""

import math

import pytest

from lensdream.report.table import Table, counted_share, decimal, duration, interval


def test_numbers_are_written_with_the_digits_that_they_have():
    assert decimal(-0.0004, 2) == "0.00"
    assert decimal(None) == decimal(math.nan) == interval(dict.fromkeys(("value", "low", "high"))) == "–"  # noqa: RUF001
    assert counted_share(0.0, 60) == "0.0 [0.0, 6.0] % (0)"
    assert counted_share(None, 0) == "–"  # noqa: RUF001
    assert [duration(s) for s in (5.4, 119.6, 3599, 7384)] == ["5 s", "2 min 0 s", "59 min 59 s", "2 h 3 min"]


def test_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="2 columns"):
        Table(("a", "b"), (("1", "2", "3"),))
