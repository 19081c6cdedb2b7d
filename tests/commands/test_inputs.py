"""Files that the user names, and the exit code that tells of skipped ones."""

import pytest

from lensdream.commands.inputs import ALL_DONE, SOME_SKIPPED, Skipped, UsageError, named_files, report_unmatched


def test_the_exit_code_tells_whether_a_file_was_skipped(capsys):
    skipped = Skipped()
    assert (skipped.exit_code, len(skipped)) == (ALL_DONE, 0)
    skipped.add("a.fits", "no VIS")
    assert (skipped.exit_code, len(skipped)) == (SOME_SKIPPED, 1)
    assert capsys.readouterr().err == "skipped a.fits: no VIS\n"


def test_a_folder_gives_its_fits_files_and_what_matches_nothing_is_told(tmp_path, capsys):
    for name in ("b.fits", "a.fits", "notes.txt"):
        (tmp_path / name).touch()
    files, unmatched = named_files([str(tmp_path), str(tmp_path / "no-*.fits")], "score")
    assert [path.name for path in files] == ["a.fits", "b.fits"]
    assert unmatched == [str(tmp_path / "no-*.fits")]
    skipped = Skipped()
    report_unmatched(unmatched, skipped)
    assert skipped.what == unmatched
    assert "as a folder or glob it matches nothing" in capsys.readouterr().err


def test_without_any_file_the_patterns_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"nothing to explain: no file .* matches .*/a\.fits .*/b\.fits"):
        named_files([str(tmp_path / "a.fits"), str(tmp_path / "b.fits")], "explain")
