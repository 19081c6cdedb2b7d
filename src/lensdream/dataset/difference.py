"""What differs between two versions of a data set, by their descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lensdream.dataset.description import COUNT, IMAGES, SCENES, Description

TOLERANCE = 0.02
"""smallest change of a quantile that is reported: relative, for magnitudes [mag]"""
MAGNITUDE = "magnitude_"


def verdict(one: Description, other: Description) -> str:
    """First line: whether two versions are equal, and what changed at the least."""
    if one.of != other.of:
        return f"one describes {one.of}, the other {other.of}: compare two of the same"
    values, files = one.digests == other.digests, one.files == other.files
    n_files = sum(one.files.get(name) != other.files.get(name) for name in one.files.keys() | other.files.keys())
    all_files = len(one.files.keys() | other.files.keys())
    if values and files:
        same = one.settings == other.settings and one.code == other.code
        return "equal" if same else "the same data, described with other settings or code"
    if one.of == IMAGES and values:
        return f"the same scenes and measurements, other pixels: {n_files} of {all_files} files differ"
    if values:
        return f"the same values in files of another form: {n_files} of {all_files} files differ"
    changed = sum(
        one.digests.get(table, {}).get(column) != other.digests.get(table, {}).get(column)
        for table in one.digests.keys() | other.digests.keys()
        for column in one.digests.get(table, {}).keys() | other.digests.get(table, {}).keys()
    )
    return (
        f"other {SCENES if one.of == SCENES else IMAGES}: {changed} columns and {n_files} of {all_files} files differ"
    )


def differences(one: Description, other: Description, tolerance: float = TOLERANCE) -> list[str]:
    """Lines of what differs: counts, settings, quantiles beyond a tolerance, properties of the store, code; none if equal."""
    return [
        *_of_counts(one.counts, other.counts),
        *_changed("settings", _flat(one.settings), _flat(other.settings)),
        *_of_quantiles(one.quantiles, other.quantiles, tolerance),
        *_changed("store", _flat(one.store), _flat(other.store)),
        *_changed("code", _flat(one.code), _flat(other.code)),
    ]


def _of_counts(one: Mapping, other: Mapping) -> Iterator[str]:
    a, b = _flat(one, "/"), _flat(other, "/")
    for key in sorted(a.keys() | b.keys()):
        if a.get(key, 0) != b.get(key, 0):
            yield f"count {key}: {a.get(key, 0)} -> {b.get(key, 0)}"


def _of_quantiles(one: Mapping, other: Mapping, tolerance: float) -> Iterator[str]:
    for group in sorted(one.keys() | other.keys()):
        a, b = one.get(group, {}), other.get(group, {})
        for quantity in sorted(a.keys() | b.keys()):
            before, after = a.get(quantity, {}), b.get(quantity, {})
            if not before or not after:
                yield f"quantile {group} {quantity}: {'only now' if after else 'no longer there'}"
                continue
            moved = [
                f"{name} {before[name]:g} -> {after[name]:g}"
                for name in before.keys() & after.keys() - {COUNT}
                if _moved(before[name], after[name], tolerance, quantity.startswith(MAGNITUDE))
            ]
            if moved:
                yield f"quantile {group} {quantity}: {', '.join(sorted(moved))}"


def _moved(before: float, after: float, tolerance: float, is_magnitude: bool) -> bool:
    size = 1.0 if is_magnitude else max(abs(before), abs(after))
    return abs(after - before) > tolerance * size


def _changed(what: str, one: Mapping[str, object], other: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            before, after = (repr(side[key]) if key in side else "-" for side in (one, other))
            yield f"{what} {key}: {before} -> {after}"


def _flat(value: object, between: str = ".", prefix: str = "") -> dict[str, object]:
    """Nested mappings as one, by joined names."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {
        key: entry
        for name, inside in value.items()
        for key, entry in _flat(inside, between, f"{prefix}{between}{name}" if prefix else str(name)).items()
    }
