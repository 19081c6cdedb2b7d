"""What git keeps is light: weights once, and the figures that documents refer to."""

import re
import subprocess

import pytest

from conftest import ROOT

LARGEST_REPOSITORY, LARGEST_FIGURE = 40e6, 5e5
"""[byte]"""
NOT_DRAWN_AGAIN = r"figures/poster/(train.*/losses|tune/\w+)\.png"
"""by frozen trainings, and by a search that is no stage"""


@pytest.fixture(scope="module")
def kept():
    """Paths that git keeps."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git repository")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def referred_to():
    """Figures of a scale that the documents name, relative to the root."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {name for page in pages for name in re.findall(r"figures/(?:quick|poster)/[\w/-]+\.\w+", page.read_text())}


def test_git_keeps_the_figures_that_documents_refer_to_and_no_others(kept):
    figures = {name for name in kept if name.startswith("figures/")}
    assert referred_to() <= figures, (
        "a document names a figure that git does not keep: add it to .gitignore's exceptions"
    )
    assert {name for name in figures - referred_to() if not re.fullmatch(NOT_DRAWN_AGAIN, name)} == set()


def test_no_figure_is_large(kept):
    figures = [name for name in kept if name.startswith("figures/")]
    assert [name for name in figures if (ROOT / name).stat().st_size > LARGEST_FIGURE] == []


def test_all_that_git_keeps_is_small_enough_to_be_cloned_in_no_time(kept):
    assert sum((ROOT / name).stat().st_size for name in kept) < LARGEST_REPOSITORY
