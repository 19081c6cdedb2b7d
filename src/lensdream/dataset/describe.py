"""Describing a data set: what its tables and files hold becomes a `Description`.

The same data set gives the same description to the last digit. Digests of columns are of values, not of bytes in a Parquet
file, which change with the library that writes them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lensdream.dataset.description import COUNT, IMAGES, SCENES, Description
from lensdream.dataset.store import AGAIN, ImageStore, StoreError
from lensdream.families import FAMILIES_COMPOUND, FAMILIES_NON_LENS, LENS, UNDETECTABLE
from lensdream.instrument import AB_ZERO_POINT_MICROJANSKY
from lensdream.runtime.files import sha256_of
from lensdream.scene import COMPONENT_COLUMNS, FLUX_COLUMNS, PLAIN, SCENE_COLUMNS, Role, Scenes, Shape

GROUPS = {
    "lenses": (LENS,),
    "undetectable_lenses": (UNDETECTABLE,),
    "non_lenses": FAMILIES_NON_LENS,
    "compound_and_controls": FAMILIES_COMPOUND,
}
"""families whose quantiles are taken together"""
KEYS = ["split", "family", "label"]
"""columns that scenes are counted by"""
PERCENT = (5, 16, 50, 84, 95)
DIGITS = 6
"""significant digits of a quantile"""
MAGNITUDE = "magnitude_"
"""what stands in place of `flux_` in the name of a quantity, which is then in AB mag"""
NAMES_AND_CODES = {
    "index", "seed", "partner", "label", "psf", "dither", "edge_side", "missing_bands", "scene", "role", "plane",
}  # fmt: skip
"""columns of whole numbers that measure nothing; every other column of numbers has quantiles"""
ABSENT = {"mass_2_q": 1.0, "mass_b_q": 1.0, **PLAIN._asdict()}
"""values that stand for nothing; in all other columns 0 does"""
DETECTION = ("magnification_1", "magnification_2", "arc_snr")
"""columns of a scene that come from a rendering, by the detection rule"""
NOT_OF_THE_IMAGES = ("workers", "chunk")
"""settings of the rendering that no pixel depends on"""
NOT_OF_THE_STORE = ("sha256",)
"""keys of a store's manifest that are no properties: digests of files stand by themselves, the recipe is one of code"""

Quantiles = dict[str, dict[str, dict[str, float]]]
"""by group and quantity"""


def describe_scenes(
    folder: Path, settings: object = None, code: str | Mapping[str, object] | None = None
) -> Description:
    """Describe the tables of scenes in a folder.

    Parameters
    ----------
    folder : Path
        Folder that `Scenes.save` wrote.
    settings : dataclass, optional
        Settings that the scenes were drawn with.
    code : str or mapping, optional
        Digests of the code that drew them.

    Returns
    -------
    Description
        Counts, quantiles and digests of both tables.
    """
    scenes = Scenes.load(folder)
    tables = {"scenes": scenes.scenes[list(SCENE_COLUMNS)], "components": scenes.components[list(COMPONENT_COLUMNS)]}
    return Description(
        of=SCENES,
        counts=counted(scenes.scenes),
        quantiles=quantiles_of_scenes(scenes),
        digests={name: digests_of(table) for name, table in tables.items()},
        files={f"{name}.parquet": sha256_of(folder / f"{name}.parquet") for name in tables},
        settings=_by_name(settings),
        code=code,
    )


def describe_images(
    folder: Path,
    settings: object = None,
    components: pd.DataFrame | None = None,
    code: str | Mapping[str, object] | None = None,
) -> Description:
    """Describe an image store.

    Parameters
    ----------
    folder : Path
        Folder of a finished store; its files are taken to be as the manifest says.
    settings : dataclass, optional
        Settings of the rendering.
    components : DataFrame, optional
        Components of the scenes, which the store itself does not hold.
    code : str or mapping, optional
        Digests of the code that rendered them.

    Returns
    -------
    Description
        Counts, quantiles of what was measured in images, digests of the truth table and of all files.

    Raises
    ------
    StoreError
        For a store that is missing, not finished or broken.
    """
    store = ImageStore.open(folder)
    missing = [name for name in KEYS if name not in store.truth]
    if missing:
        raise StoreError(f"truth.parquet in {folder} lacks {', '.join(missing)}: {AGAIN.format(folder=folder)}")
    tables = {"truth": store.truth}
    if components is not None:
        tables["components"] = components[list(COMPONENT_COLUMNS)]
    measured = [name for name in store.truth if name in DETECTION or name not in SCENE_COLUMNS]
    return Description(
        of=IMAGES,
        counts=counted(store.truth),
        quantiles=_by_group(store.truth["family"], quantities(store.truth[measured])),
        digests={name: digests_of(table) for name, table in tables.items()},
        files=store.manifest["sha256"],
        settings=_by_name(settings, NOT_OF_THE_IMAGES),
        store={name: value for name, value in store.manifest.items() if name not in NOT_OF_THE_STORE},
        code=code,
    )


def counted(table: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Number of rows by split, family and label; labels are text, as keys of JSON are."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (split, family, label), n in table.groupby(KEYS).size().items():
        counts.setdefault(split, {}).setdefault(family, {})[str(label)] = int(n)
    return counts


def quantiles_of_scenes(scenes: Scenes) -> Quantiles:
    """Quantiles of the scenes' columns and, named by role, of their light.

    `target.magnitude_VIS` is that of all components of the role, `target.r_e` and the like are those of the brightest one,
    which leaves clumps aside, and `target.arm_number` and other shapes those of all components that have them.
    """
    found = _by_group(scenes.scenes["family"], quantities(scenes.scenes))
    family_of = scenes.scenes.set_index("index")["family"]
    fluxes, shapes = list(FLUX_COLUMNS), list(Shape._fields)
    for role in Role:
        parts = scenes.components[scenes.components["role"] == role].reset_index(drop=True)
        brightest = parts.loc[parts.groupby("scene")[fluxes[0]].idxmax()]
        light = parts.groupby("scene")[fluxes].sum().reset_index()
        for table in (light, brightest.drop(columns=[*fluxes, *shapes]), parts[["scene", *shapes]]):
            of_role = {f"{role.name.lower()}.{name}": values for name, values in quantities(table).items()}
            for group, of_group in _by_group(table["scene"].map(family_of), of_role).items():
                found.setdefault(group, {}).update(of_group)
    return found


def quantities(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Columns of numbers that measure something, NaN where there is nothing; fluxes become magnitudes."""
    found = {}
    for name in table.columns:
        if name in NAMES_AND_CODES or table[name].dtype.kind not in "iuf":
            continue
        values = table[name].to_numpy(float)
        present = np.isfinite(values) & (values != ABSENT.get(name, 0.0))
        if not name.startswith("flux_"):
            found[name] = np.where(present, values, np.nan)
            continue
        lit = np.where(present & (values > 0), values, np.nan)
        found[MAGNITUDE + name.removeprefix("flux_")] = AB_ZERO_POINT_MICROJANSKY - 2.5 * np.log10(lit)
    return found


def _by_group(family: pd.Series, columns: Mapping[str, np.ndarray]) -> Quantiles:
    found = {}
    for group, names in GROUPS.items():
        rows = family.isin(names).to_numpy()
        of_group = {name: quantiles(values[rows]) for name, values in columns.items()}
        if any(of_group.values()):
            found[group] = {name: of_quantity for name, of_quantity in of_group.items() if of_quantity}
    return found


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Number of the finite values and their quantiles, to `DIGITS` significant digits; empty without any."""
    values = values[np.isfinite(values)]
    if not values.size:
        return {}
    at = np.percentile(values, PERCENT)
    # + 0.0 makes a zero of a negative zero
    rounded = {f"{p}%": float(f"{value:.{DIGITS}g}") + 0.0 for p, value in zip(PERCENT, at, strict=True)}
    return {COUNT: values.size} | rounded


def digests_of(table: pd.DataFrame) -> dict[str, str]:
    """Digest of every column: of its type and values, where all NaN are the same and text has no type but text."""
    return {name: _digest(table[name].to_numpy()) for name in table.columns}


def _digest(values: np.ndarray) -> str:
    if values.dtype.kind in "biuf":
        type_ = values.dtype.newbyteorder("<")
        values = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
        content = type_.str.encode() + np.ascontiguousarray(values, type_).tobytes()
    else:
        content = b"text" + json.dumps([str(value) for value in values]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _by_name(settings: object, without: Collection[str] = ()) -> dict[str, object] | None:
    if settings is None:
        return None
    return {name: value for name, value in dataclasses.asdict(settings).items() if name not in without}
