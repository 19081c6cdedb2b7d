"""Description of scenes and of image stores: counts, quantiles and digests of what is there."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from conftest import join, random_scene, write_images
from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.dataset.describe import describe_images, describe_scenes, digests_of, quantiles, quantities
from lensdream.dataset.store import MissingStoreError, StoreError
from lensdream.families import COMPOUND_ARC, FIELD, LENS, UNDETECTABLE
from lensdream.instrument import microjansky
from lensdream.scene import Role, Scenes


@pytest.fixture
def folder(tmp_path, scenes):
    scenes.save(tmp_path / "scenes")
    return tmp_path / "scenes"


def saved(folder, scenes):
    scenes.save(folder)
    return folder


def with_component(scenes, **columns):
    """The same scenes with other values in columns of all components."""
    return Scenes(scenes.scenes, scenes.components.assign(**columns))


def test_scenes_are_counted_by_split_family_and_label(folder):
    assert describe_scenes(folder).counts == {"test": {"elliptical": {"0": 4}, "lens": {"1": 6}}}


def test_quantiles_are_those_of_each_group_of_families(tmp_path):
    parts = [random_scene(np.random.default_rng(k), 1, k) for k in range(12)]
    families = [LENS, UNDETECTABLE, FIELD, COMPOUND_ARC]
    for k, part in enumerate(parts):
        part.scenes["family"] = families[k % 4]
    scenes = join(parts)
    found = describe_scenes(saved(tmp_path, scenes)).quantiles
    assert list(found) == ["lenses", "undetectable_lenses", "non_lenses", "compound_and_controls"]
    for name, of_group in zip(families, found.values(), strict=True):
        values = scenes.scenes.loc[scenes.scenes["family"] == name, "theta_E_1"]
        assert of_group["theta_E_1"]["n"] == 3
        assert of_group["theta_E_1"]["50%"] == pytest.approx(values.median(), rel=1e-5)
        assert of_group["theta_E_1"]["5%"] == pytest.approx(np.quantile(values, 0.05), rel=1e-5)


def test_light_of_a_role_is_summed_and_sizes_are_those_of_its_brightest_component(tmp_path):
    scene = random_scene(np.random.default_rng(1), 1)
    clump = scene.components[scene.components["role"] == Role.SOURCE_1].assign(r_e=0.02, sersic_index=0.5)
    body = clump.assign(r_e=0.3, sersic_index=1.5)
    rest = scene.components[scene.components["role"] != Role.SOURCE_1]
    clump["flux_VIS"], body["flux_VIS"] = microjansky(25.0), 3 * microjansky(25.0)
    parts = pd.concat([rest, clump, body], ignore_index=True)
    found = describe_scenes(saved(tmp_path, Scenes(scene.scenes, parts))).quantiles["lenses"]
    assert found["source_1.r_e"]["50%"] == 0.3
    assert found["source_1.sersic_index"]["50%"] == 1.5
    assert found["source_1.magnitude_VIS"]["50%"] == pytest.approx(25.0 - 2.5 * np.log10(4), abs=1e-4)


def test_what_stands_for_nothing_is_no_value():
    table = pd.DataFrame(
        {
            "theta_E_b": [0.0, 0.5, 0.7, np.nan],
            "mass_b_q": [1.0, 0.4, 0.8, np.inf],
            "arm_pitch": [1.0, 0.3, 1.0, 1.0],
            "q": [1.0, 0.5, 0.5, 0.5],
            "flux_VIS": [microjansky(20.0), 0.0, -3.0, np.nan],
            "psf": [1, 2, 3, 4],
            "family": ["a"] * 4,
        }
    )
    counts = {name: quantiles(values).get("n", 0) for name, values in quantities(table).items()}
    assert counts == {"theta_E_b": 2, "mass_b_q": 2, "arm_pitch": 1, "q": 4, "magnitude_VIS": 1}
    assert quantities(table)["magnitude_VIS"][0] == pytest.approx(20.0)


def test_quantiles_have_six_significant_digits_and_none_without_a_value():
    found = quantiles(np.array([1 / 3, np.nan]) * 1e-5)
    assert found == {
        "n": 1,
        "5%": 3.33333e-06,
        "16%": 3.33333e-06,
        "50%": 3.33333e-06,
        "84%": 3.33333e-06,
        "95%": 3.33333e-06,
    }
    assert json.dumps(quantiles(np.array([-0.0]))["50%"]) == "0.0"
    assert quantiles(np.array([np.nan, np.inf])) == {}


def test_the_same_scenes_have_the_same_description_whatever_the_bytes_of_their_files(folder, tmp_path):
    first = describe_scenes(folder)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("scenes", "components"):
        pd.read_parquet(folder / f"{name}.parquet").to_parquet(other / f"{name}.parquet", compression="gzip")
    second = describe_scenes(other)
    assert all(first.files[name] != second.files[name] for name in ("scenes.parquet", "components.parquet"))
    assert dataclasses.replace(second, files=first.files) == first


def test_a_changed_value_changes_the_digest_of_its_column_alone(folder, tmp_path, scenes):
    first = describe_scenes(folder).digests
    x = scenes.components["x"].to_numpy().copy()
    x[3] = np.nextafter(x[3], 1.0)
    second = describe_scenes(saved(tmp_path / "other", with_component(scenes, x=x))).digests
    assert second["scenes"] == first["scenes"]
    assert {name for name in first["components"] if first["components"][name] != second["components"][name]} == {"x"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1, 2], np.int16), np.array([1, 2], np.int64)),
        (np.array([1, 2], np.int16), np.array([2, 1], np.int16)),
        (np.array([0.0, 1.0]), np.array([np.nan, 1.0])),
        (np.array(["xy", ""], object), np.array(["x", "y"], object)),
        (np.array(["1", "2"], object), np.array([1, 2])),
    ],
)
def test_digests_tell_types_order_and_text_apart(one, other):
    first, second = digests_of(pd.DataFrame({"one": one, "other": other})).values()
    assert first != second


def test_digests_tell_neither_one_nan_from_another_nor_types_of_text():
    other_nan = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    table = pd.DataFrame({"number": [np.nan, 1.0], "text": ["x", "y"]})
    assert digests_of(table.assign(number=[other_nan, 1.0])) == digests_of(table)
    assert digests_of(table.astype({"text": object})) == digests_of(table)


def test_settings_and_code_stand_as_given_and_are_none_where_they_are_not(folder):
    bare = describe_scenes(folder)
    assert bare.settings is None
    assert bare.code is None
    given = describe_scenes(folder, PopulationConfig(train=7), {"lensdream.scene": "ab12"})
    assert given.settings["train"] == 7
    assert given.settings["non_lens_shares"]["ring"] == PopulationConfig().non_lens_shares["ring"]
    assert given.code == {"lensdream.scene": "ab12"}


def test_no_scenes_have_a_description_without_quantiles(tmp_path, scenes):
    none = scenes.take(slice(0, 0))
    found = describe_scenes(saved(tmp_path, none))
    assert found.counts == {}
    assert found.quantiles == {}
    assert set(found.digests) == {"scenes", "components"}


@pytest.fixture
def store(tmp_path):
    truth = pd.DataFrame(
        {
            "index": [0, 1, 2], "family": ["lens", "lens", "star"], "label": [1, 1, 0], "split": "test",
            "theta_E_1": [0.7, 0.9, 0.0], "magnification_1": [4.0, 6.0, np.nan], "arc_snr_1": [30.0, 50.0, 0.0],
        }
    )  # fmt: skip
    write_images(tmp_path / "images", truth, np.ones((3, 4, 8, 8)), np.zeros((3, 8, 8), np.uint8))
    return tmp_path / "images"


def test_images_have_the_digests_of_their_files_and_the_quantiles_of_what_was_measured(store):
    found = describe_images(store)
    manifest = json.loads((store / "manifest.json").read_text())
    assert found.files == manifest["sha256"]
    assert found.store["bands"] == manifest["bands"]
    assert found.store["stamp"] == 8
    assert "sha256" not in found.store
    assert found.counts == {"test": {"lens": {"1": 2}, "star": {"0": 1}}}
    assert set(found.quantiles["lenses"]) == {"magnification_1", "arc_snr_1"}
    assert found.quantiles["lenses"]["arc_snr_1"]["50%"] == 40.0
    assert "non_lenses" not in found.quantiles


def test_settings_that_no_pixel_depends_on_are_left_out(store):
    few, many = (describe_images(store, SimulateConfig(workers=n, chunk=n)) for n in (1, 4))
    assert few == many
    assert few.settings["supersampling"] == SimulateConfig().supersampling
    assert describe_images(store, SimulateConfig(supersampling=5)) != few


def test_components_are_told_by_who_knows_them(store, scenes):
    assert set(describe_images(store).digests) == {"truth"}
    assert set(describe_images(store, components=scenes.components).digests["components"]) == set(scenes.components)


def test_a_store_without_families_or_without_a_manifest_is_refused(tmp_path):
    write_images(tmp_path / "images", pd.DataFrame({"label": [1], "split": "test"}), np.ones((1, 4, 8, 8)))
    with pytest.raises(StoreError, match=r"lacks family: remove .* and run the simulate stage again"):
        describe_images(tmp_path / "images")
    with pytest.raises(MissingStoreError, match="run it"):
        describe_images(tmp_path / "elsewhere")
