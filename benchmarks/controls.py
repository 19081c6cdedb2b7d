"""Counts of lenses' controls and of a survey's targets, from which `survey.near_miss` follows; prints both.

A control has the source of a lens 1.4 to 3 Einstein radii from the axis. The scenes of a scale tell the area in which a source
makes a lens; its survey test, how many of the highest-scoring early types have a source at all.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from lensdream.commands.paths import Paths
from lensdream.config import SurveyConfig, load
from lensdream.families import PAIRED
from lensdream.scene import Scenes

RING = 1.4, 3.0
"""bounds of the controls' offsets [Einstein radii]"""


def main() -> None:
    """Count both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="poster")
    paths = Paths(parser.parse_args().scale)
    survey = load("survey", SurveyConfig, paths.scale)
    scenes = Scenes.load(paths.scenes).scenes
    lenses = scenes[(scenes["split"] == "test") & (scenes["family"] == "lens")]
    offset = (
        np.hypot(lenses["mass_2_x"] - lenses["mass_x"], lenses["mass_2_y"] - lenses["mass_y"]) / lenses["theta_E_1"]
    )
    # of a disc evenly filled, the mean squared radius is half of the edge's
    times = (RING[1] ** 2 - RING[0] ** 2) / (2 * (offset**2).mean())
    share = times * survey.prevalence / survey.non_lens_shares[PAIRED]
    print(
        f"controls: {times:.1f} times as many as lenses, {share:.3f} of the early types, prevalence {survey.prevalence:g}"
    )
    highest = pd.read_parquet(paths.survey / "atlas.parquet").query("family == 'elliptical'")
    bare = int((highest["flux_source_1_VIS"] == 0).sum())
    print(f"early types among the highest-scoring non-lenses: {len(highest)}, of which {bare} have no source")


if __name__ == "__main__":
    main()
