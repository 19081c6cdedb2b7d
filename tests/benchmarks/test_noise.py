"""The simulated sky beside real cutouts, where the user has some; benchmarks/noise.py prints the whole comparison."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT

CUTOUTS = os.environ.get("LENSDREAM_CUTOUTS", "")


@pytest.mark.skipif(not CUTOUTS, reason="LENSDREAM_CUTOUTS names no folder of Euclid cutouts")
def test_the_sky_scatters_and_correlates_as_the_real_one():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "noise.py", CUTOUTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["cutouts"] > 0
    assert found["within_bound"], done.stdout
