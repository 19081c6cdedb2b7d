"""Fields of settings: what each carries, and mixes of families."""

import dataclasses

import pytest

from lensdream.config.fields import ConfigError, checked_mix, choice, mix, part, setting
from lensdream.families import FAMILIES_NON_LENS


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = setting(0.5, 0.0, 1.0, "of something", "pixel")


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str = choice("a", "a", "b", text="which")
    inner: Inner = part(Inner, "the inner ones", rate=0.25)
    shares: dict = mix("shares", {"star": (0.75, "points"), "empty": (0.25, "sky")})


def test_a_field_carries_default_range_unit_and_text():
    (rate,) = dataclasses.fields(Inner)
    assert rate.default == 0.5
    assert rate.metadata == {"low": 0.0, "high": 1.0, "text": "of something", "unit": "pixel"}
    assert dataclasses.fields(Outer)[0].metadata["names"] == ("a", "b")


def test_settings_within_settings_have_defaults_of_their_own():
    assert Inner().rate == 0.5
    assert Outer().inner.rate == 0.25


def test_a_mix_has_a_share_for_every_family_in_their_order():
    shares = Outer().shares
    assert list(shares) == list(FAMILIES_NON_LENS)
    assert {name: share for name, share in shares.items() if share} == {"star": 0.75, "empty": 0.25}
    shares["star"] = 1.0
    assert Outer().shares["star"] == 0.75


def test_a_mix_is_brought_into_the_order_of_the_families():
    backwards = dict(reversed(Outer().shares.items()))
    assert list(checked_mix("here", backwards).items()) == list(Outer().shares.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comet": 0.0}, r"here\.comet: no such family; families are elliptical, "),
        ({"star": 0.5}, r"here: the shares add up to 0\.75, they must add up to 1: change one of them"),
        ({"star": float("nan")}, r"here: the shares add up to nan"),
    ],
)
def test_a_mix_of_other_families_or_another_sum_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        checked_mix("here", Outer().shares | change)


def test_every_missing_family_is_named():
    with pytest.raises(ConfigError) as caught:
        checked_mix("here", {"star": 1.0})
    for name in FAMILIES_NON_LENS:
        assert (f"here.{name}: missing; every family has a share, 0 for none" in str(caught.value)) == (name != "star")
