"""Families and splits: the one file with their names in quotes, and the properties of families other than their drawing.

Names of families and splits, and the order of `FAMILIES_NON_LENS`, are part of the random seeds: renaming or reordering them
draws other scenes. A new family of non-lenses goes to the end of its table (`CONTRIBUTING.md`).
"""

from __future__ import annotations

from dataclasses import dataclass

LENS = "lens"
UNDETECTABLE = "undetectable"
"""lenses below the detection rule: reported, never in training"""

ELLIPTICAL = "elliptical"
SPIRAL = "spiral"
RING = "ring"
MERGER = "merger"
COMPANION = "companion"
EDGE_ON = "edge_on"
GROUP = "group"
IRREGULAR = "irregular"
FIELD = "field"
STAR = "star"
ARTEFACT = "artefact"
EMPTY = "empty"

COMPOUND_ARC = "compound_arc"
DOUBLE_RING = "double_ring"
MATCHED_SINGLE = "matched_single"
"""a compound scene without its second source"""
FAINT_SECOND = "faint_second"
"""a control: two sources, the second below the detection rule"""


@dataclass(frozen=True)
class Family:
    """Name and properties of a family of scenes."""

    name: str
    note: str
    """small print under the name in pictures, in lines of some 20 letters"""
    twin: str = ""
    """family of the partners of its scenes, the same but for one thing: drawn below them, column by column"""


NON_LENSES = (
    Family(ELLIPTICAL, "the lenses above,\nsource moved out"),
    Family(SPIRAL, "bulge, disc, arms"),
    Family(RING, "Hoag, collisional,\npolar"),
    Family(MERGER, "pairs, double nuclei,\nshells"),
    Family(COMPANION, "close companions"),
    Family(EDGE_ON, "discs from the side"),
    Family(GROUP, "early types together"),
    Family(IRREGULAR, "clumps without order"),
    Family(FIELD, "small and faint"),
    Family(STAR, "a point, spikes\nwhere bright"),
    Family(ARTEFACT, "cosmic rays, ghosts,\nedges, lost bands"),
    Family(EMPTY, "sky, neighbours"),
)
COMPOUNDS_AND_CONTROLS = (
    Family(COMPOUND_ARC, "two sources", twin=MATCHED_SINGLE),
    Family(DOUBLE_RING, "two rings"),
    Family(MATCHED_SINGLE, "the compound arcs,\none source"),
    Family(FAINT_SECOND, "two sources, one\ntoo faint to detect"),
)
"""families of the compound split"""
BY_NAME = {
    family.name: family
    for family in (
        Family(LENS, "arcs are detectable", twin=ELLIPTICAL),
        *NON_LENSES,
        Family(UNDETECTABLE, "lenses below\nthe detection rule"),
        *COMPOUNDS_AND_CONTROLS,
    )
}
FAMILIES = tuple(BY_NAME)
"""in the order of rows in pictures and tables"""
FAMILIES_NON_LENS = tuple(family.name for family in NON_LENSES)
FAMILIES_COMPOUND = tuple(family.name for family in COMPOUNDS_AND_CONTROLS)
COMPOUND = (COMPOUND_ARC, DOUBLE_RING)
"""label 1 of the compound classifier; every other lens is a single one"""
WITH_ARCS = (LENS, UNDETECTABLE, *FAMILIES_COMPOUND)
PAIRED = ELLIPTICAL
"""family of the non-lenses that are paired with lenses: same deflector, neighbours and noise, the source moved out"""

NEAR_MISS = "beside_caustic"
"""class of the early types that have the source of a lens outside the caustic"""
NON_LENS_CLASSES = (NEAR_MISS, *FAMILIES_NON_LENS)
"""classes of the class prior: the families, where early types with a near miss are a class of their own"""

TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""splits; the training split has more rare lenses than nature has"""
COMPOUND_SPLIT = "compound"
COMPOUND_TRAIN = "compound_train"
"""split of compound lenses that the compound classifier is trained on; of the training split's galaxies"""
