"""The names of families and splits: the one file that has them in quotes.

Names of families and splits, and the order of `FAMILIES_NON_LENS`, are part of the random seeds: renaming or reordering them
draws other scenes.
"""

from __future__ import annotations

LENS = "lens"
UNDETECTABLE = "undetectable"
"""lenses below the detection rule: reported, never trained on"""

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

FAMILIES_NON_LENS = (
    ELLIPTICAL, SPIRAL, RING, MERGER, COMPANION, EDGE_ON, GROUP, IRREGULAR, FIELD, STAR, ARTEFACT, EMPTY,
)  # fmt: skip
COMPOUND = (COMPOUND_ARC, DOUBLE_RING)
"""label 1 of the compound classifier; every other lens is a single one"""
FAMILIES_COMPOUND = (*COMPOUND, MATCHED_SINGLE, FAINT_SECOND)
"""of the compound split: the compound lenses and their controls"""
FAMILIES = (LENS, *FAMILIES_NON_LENS, UNDETECTABLE, *FAMILIES_COMPOUND)
"""in the order of rows in pictures and tables"""
WITH_ARCS = (LENS, UNDETECTABLE, *FAMILIES_COMPOUND)
PAIRED = ELLIPTICAL
"""the non-lenses that are paired with lenses: same deflector, neighbours and noise, the source moved out"""

NEAR_MISS = "beside_caustic"
"""class of the early types that have the source of a lens outside the caustic"""
NON_LENS_CLASSES = (NEAR_MISS, *FAMILIES_NON_LENS)
"""classes of the class prior: the families, but for early types with a near miss, which are a class of their own"""

TRAIN, VALIDATION, TEST = "train", "validation", "test"
"""splits; the training split has more rare lenses than nature has"""
COMPOUND_SPLIT = "compound"
COMPOUND_TRAIN = "compound_train"
"""split of compound lenses that the compound classifier is trained on; of the training split's galaxies"""
