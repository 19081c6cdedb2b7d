"""`lensdream score`: write the scores of a user's FITS cutouts into a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lensdream.commands.inputs import USAGE_ERROR, Skipped, UsageError, named_files, report_unmatched
from lensdream.cutouts.reader import text_of
from lensdream.cutouts.scoring import Score, score_targets
from lensdream.cutouts.sources import Target, tabled
from lensdream.finder.finder import Finder
from lensdream.finder.locate import ModelError
from lensdream.networks.layout import POINTS
from lensdream.runtime.files import replaced_whole

COLUMNS = (
    "path", "object", "probability", "logit", "above_fpr_1e-3", "compound_probability", "looks_like", "flags", "model",
)  # fmt: skip
"""columns of the table"""

NO_THRESHOLD = (
    f"no threshold for a false-positive rate of 1e-3 in {POINTS}, so above_fpr_1e-3 stays empty; run the evaluate stage"
)

TableWriter = Callable[[pd.DataFrame, Path], None]


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


WRITERS: Mapping[str, TableWriter] = {".csv": _write_csv, ".parquet": _write_parquet}


def row_of(score: Score) -> dict[str, object]:
    """Row of the table of scores, without the model."""
    return {
        "path": text_of(score.target.path),
        "object": score.target.name or score.cutout.object,
        "probability": score.probability,
        "logit": score.logit,
        "above_fpr_1e-3": score.above("fpr_1e-3"),
        "compound_probability": score.compound_probability,
        "looks_like": score.looks_like,
        "flags": ";".join(score.cutout.flags),
    }


def table_of(rows: Sequence[Mapping[str, object]], model: str, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Table of rows of `row_of` and the model; column types do not depend on the values, so an empty table keeps them."""
    table = pd.DataFrame(rows, columns=columns).assign(model=model)
    booleans = [column for column in table if column.startswith("above_")]
    strings = [column for column in ("path", "object", "looks_like", "flags", "model") if column in table]
    floats = [column for column in ("probability", "logit", "compound_probability") if column in table]
    return table.astype(
        dict.fromkeys(booleans, "boolean") | dict.fromkeys(strings, "str") | dict.fromkeys(floats, float)
    )


def run(paths: Sequence[str], positions: str | None, out: str, model: str | None) -> int:
    """Score files and positions into the table `out`; returns the exit code."""
    return score_files(paths, Path(out), model, positions=positions and Path(positions))


def score_files(
    paths: Sequence[str],
    out: Path,
    model: str | None = None,
    *,
    positions: Path | None = None,
    batch_size: int = 64,
    root: Path = Path(),
) -> int:
    """Score the FITS files that `paths` name (folders, globs, files) into the table `out` (.csv or .parquet).

    `positions`: a table of objects in files, scored in addition, or alone without `paths`; see `sources.tabled`. `model`: as
    `Finder.load` takes it. Returns the exit code: 0 all scored, 3 some skipped (each on stderr with the
    reason), 2 usage error (printed on stderr, nothing written). A `KeyboardInterrupt` leaves finished rows in
    `<out>.partial.csv`; its message says so.
    """
    try:
        write = _writer(out)
        if batch_size < 1:
            raise UsageError(f"a batch of {batch_size}: score at least 1 image at once")
        named, reasons = _targets_of(positions)
        files, unmatched = named_files(paths, "score") if paths or positions is None else ([], [])
        finder = Finder.load(model, root=root)
    except (UsageError, ModelError) as error:
        print(f"lensdream score: {error}", file=sys.stderr)
        return USAGE_ERROR
    if "fpr_1e-3" not in finder.points.thresholds:
        print(f"warning: {finder.folder}: {NO_THRESHOLD}", file=sys.stderr)
    skipped = Skipped()
    report_unmatched(unmatched, skipped)
    for reason in reasons:
        skipped.add(positions, reason)
    targets, rows = [*map(Target, files), *named], []
    scores = score_targets(targets, finder, batch_size=batch_size, on_skip=skipped.add)
    partial = out.with_name(f"{out.name}.partial.csv")
    try:
        # A bar on terminals only.
        for score in tqdm(scores, total=len(targets), unit=" cutouts", leave=False, disable=None):
            rows.append(row_of(score))  # noqa: PERF401, an interrupt leaves those that are done
    except KeyboardInterrupt:
        save_table(table_of(rows, finder.model), partial)
        words = f"{partial} has the rows of {len(rows)} of {len(targets)} targets, {out} is not written"
        raise KeyboardInterrupt(words) from None
    save_table(table_of(rows, finder.model), out, write)
    partial.unlink(missing_ok=True)
    print(f"{len(rows)} scored, {len(skipped)} skipped -> {out}")
    return skipped.exit_code


def _targets_of(positions: Path | None) -> tuple[list[Target], list[str]]:
    try:
        return ([], []) if positions is None else tabled(positions)
    except (ValueError, OSError) as error:
        raise UsageError(f"--positions {positions}: {error}") from None


def _writer(out: Path) -> TableWriter:
    if out.suffix not in WRITERS:
        raise UsageError(f"--out {out}: the suffix is {out.suffix or 'missing'}, it must be {' or '.join(WRITERS)}")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = _part_of(out)
        part.touch()
        part.unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror}): name another place") from None
    return WRITERS[out.suffix]


def save_table(table: pd.DataFrame, out: Path, write: TableWriter = _write_csv) -> None:
    """Write a table; the file appears whole or not at all."""
    with replaced_whole(out) as part:
        write(table, part)


def _part_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")
