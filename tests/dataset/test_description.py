"""Descriptions as files of JSON: what was written is read again, and what is no description is refused in words."""

import dataclasses
import json

import pytest

from lensdream.dataset.description import IMAGES, SCENES, Description, DescriptionError, laid_out, parsed

DESCRIPTION = Description(
    of=SCENES,
    counts={"train": {"lens": {"1": 4}, "star": {"0": 2}}},
    quantiles={"lenses": {"theta_E_1": {"n": 4, "50%": 0.7}}},
    digests={"scenes": {"seed": "0123456789abcdef"}},
    files={"scenes.parquet": "ab" * 32},
    settings={"seed": 1, "shares": {"ring": 0.1}},
    code={"scene.py": "cd"},
)


def content(**changes):
    values = {"schema_version": 1} | dataclasses.asdict(DESCRIPTION) | changes
    return json.dumps(values).encode()


@pytest.mark.parametrize("description", [DESCRIPTION, Description(IMAGES, {}, {}, {}, {}, store={"bands": ["VIS"]})])
def test_a_description_is_read_as_it_was_written(tmp_path, description):
    description.write(tmp_path / "new" / "scenes.json")
    assert parsed((tmp_path / "new" / "scenes.json").read_bytes(), "scenes.json") == description


def test_the_same_description_is_the_same_bytes_with_a_quantity_a_line(tmp_path):
    long = {f"quantity_{k}": {"n": 4, "5%": 0.1, "50%": 0.2, "95%": 0.3} for k in range(3)}
    for name in ("a", "b"):
        dataclasses.replace(DESCRIPTION, quantiles={"lenses": long}).write(tmp_path / name)
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    assert '      "quantity_1": {"n": 4, "5%": 0.1, "50%": 0.2, "95%": 0.3},\n' in text


def test_json_is_broken_up_only_where_it_does_not_fit_on_a_line():
    assert laid_out({"a": {"b": 1}}) == '{"a": {"b": 1}}'
    wide = {"a": {"b": "x" * 100, "c": "y" * 60}}
    assert laid_out(wide).splitlines()[:3] == ["{", '  "a": {', f'    "b": "{"x" * 100}",']
    assert json.loads(laid_out(wide)) == wide


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "m.json is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'{"of": ', "is not JSON"),
        (b'{"of": NaN}', "NaN is no number"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"[1, 2]", "holds a list, not an object"),
        (b"{}", "describes no data set, its `of` is missing: name a JSON file that `lensdream population`"),
        (b'{"of": ["scenes"]}', "its `of` is"),
        (content(of="models"), "its `of` is 'models'"),
        (content(schema_version=2), "of version 2, this version of lensdream reads 1: use the lensdream that wrote it"),
        (content(schema_version=True), "of version True"),
        (content(counts=None), "counts is missing and no object of keys: run the stage that wrote it again"),
        (content(counts={"train": 3}), "counts.train is 3"),
        (content(counts={"train": {"lens": {"1": True}}}), "counts.train.lens.1 is True"),
        (content(counts={"train": {"lens": {"1": 0.5}}}), "counts.train.lens.1 is 0.5"),
        (content(quantiles={"lenses": {"theta_E_1": {"50%": "0.7"}}}), "quantiles.lenses.theta_E_1.50% is '0.7'"),
        (content(quantiles={"a": {"b": {"50%": 10**400}}}), "quantiles.a.b.50% is 1000"),
        (content().replace(b'"50%": 0.7', b'"50%": 1e999'), "quantiles.lenses.theta_E_1.50% is inf"),
        (content(digests={"scenes": ["ab"]}), "digests.scenes is ['ab']"),
        (content(files={"a.npy": None}), "files.a.npy is missing"),
        (content(settings=[1]), "settings is [1] and no object"),
        (content(code=7), "code is 7"),
        (content(settings={"x": 0.5}).replace(b'"x": 0.5', b'"x": -1e999'), "settings has a number that is too large"),
        (content(settings=json.loads('{"a":' * 50 + "1" + "}" * 50)), "settings is nested more than 8 deep"),
    ],
)
def test_what_is_no_description_is_refused_with_its_value(text, words):
    with pytest.raises(DescriptionError) as refused:
        parsed(text, "m.json")
    assert "m.json" in str(refused.value)
    assert words in str(refused.value)


def test_escape_sequences_in_a_file_do_not_reach_the_terminal():
    with pytest.raises(DescriptionError) as refused:
        parsed(content(counts={"\x1b[2Jtrain": "\x1b[31m"}), "m.json")
    assert str(refused.value).isprintable()
