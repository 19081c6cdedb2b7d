"""Check of a store against its manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lensdream.dataset.store import (
    AGAIN,
    MANIFEST,
    ImageStore,
    MissingStoreError,
    StoreError,
    read_manifest,
    read_truth,
    shard_name,
)
from lensdream.runtime.files import sha256_of

CONTENTS = ("images", "masks")
NOT_LISTED = {MANIFEST}
"""files of a store that its manifest does not list"""
CHUNK = 64


def problems(folder: Path) -> list[str]:
    """Problems of a store that differs from its manifest, each with what to do; empty for a sound store.

    Every byte is read. Raises `MissingStoreError` where the folder has no finished store.
    """
    try:
        manifest = read_manifest(folder)
    except MissingStoreError:
        raise
    except StoreError as error:
        return [str(error)]
    again = AGAIN.format(folder=folder)
    present = {path.name for path in folder.iterdir()}
    listed: dict[str, str] = manifest["sha256"]
    found = [f"{folder / name} is missing: {again}" for name in listed if name not in present]
    found += [
        f"{folder / name} differs from its digest in the manifest: {again}"
        for name, digest in listed.items()
        if name in present and sha256_of(folder / name) != digest
    ]
    found += [
        f"{folder / name} is no part of this store: remove it" for name in sorted(present - listed.keys() - NOT_LISTED)
    ]
    try:
        truth = read_truth(folder, manifest["n"])
    except StoreError as error:
        return [*found, str(error)]
    store = ImageStore(folder, manifest, truth)
    for number in range(store.n_shards):
        for content in CONTENTS:
            name = shard_name(content, number)
            if name not in listed:
                found.append(f"{folder / name} is not in the manifest, which speaks of {len(store)} images: {again}")
            elif name in present:
                found += _shard_problems(store, content, number)
    return found


def _shard_problems(store: ImageStore, content: str, number: int) -> list[str]:
    try:
        array = store.shard(content, number)
    except StoreError as error:
        return [str(error)]
    broken = sum(int((~np.isfinite(array[k : k + CHUNK])).sum()) for k in range(0, len(array), CHUNK))
    if not broken:
        return []
    path, again = store.folder / shard_name(content, number), AGAIN.format(folder=store.folder)
    return [f"{path} has {broken} values that are NaN or infinite: {again}"]
