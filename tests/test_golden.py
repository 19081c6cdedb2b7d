"""Every layer gives its golden values on a tiny population; `golden` says which, and how they are written anew."""

import functools

import pytest

from golden import LAYERS, Golden, given_by, tiny_population


@pytest.fixture(scope="module")
def golden():
    return Golden.read()


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A function from a layer's name to what the layer gives, computed once."""
    tiny = tiny_population(tmp_path_factory.mktemp("golden"))
    return functools.cache(lambda layer: given_by(layer, tiny))


def test_golden_values_are_of_these_layers(golden):
    assert list(golden.layers) == list(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_gives_its_golden_values(layer, given, golden):
    assert golden.differences(layer, given(layer)) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_gives_the_same_bits_on_the_processor_of_the_digests(layer, given, golden):
    if not golden.of_this_processor:
        pytest.skip("the digests are of another processor")
    assert golden.other_bits(layer, given(layer)) == []
