"""`lensdream explain FILE.fits`: write a picture and a FITS file of maps for each of a user's cutouts."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from astropy.io import fits

from lensdream.commands.explain_fits import SkyError, maps_file, sky_of_stamp
from lensdream.commands.inputs import USAGE_ERROR, Skipped, UsageError, named_files, report_unmatched
from lensdream.cutouts.fits_planes import NAMED_FITS, CutoutError
from lensdream.cutouts.reader import read_cutout, text_of
from lensdream.explain.cutout_page import cutout_page
from lensdream.explain.occlusion import window_corners
from lensdream.finder.finder import Finder
from lensdream.finder.locate import ModelError
from lensdream.plots.encoded import png
from lensdream.runtime.files import write_whole

WINDOW, STRIDE = 4, 2
"""side of the occluding square and its step [pixel]"""
PICTURE, MAPS = "-why.png", "-maps.fits"
"""endings of the two files of a cutout"""


def explain_files(
    paths: Sequence[str],
    out: Path,
    model: str | None = None,
    *,
    window: int = WINDOW,
    stride: int = STRIDE,
    root: Path = Path(),
) -> int:
    """Explain the FITS files that `paths` name (folders, globs, files); two files for each into the folder `out`.

    `model`: as `Finder.load` takes it. Returns the exit code: 0 all explained, 3 some skipped (each on
    stderr with the reason), 2 usage error (printed on stderr, nothing written).
    """
    try:
        files, unmatched = named_files(paths, "explain")
        finder = Finder.load(model, root=root)
        _check_square(finder.stamp, window, stride)
        _make_folder(out)
    except (UsageError, ModelError) as error:
        print(f"lensdream explain: {error}", file=sys.stderr)
        return USAGE_ERROR
    skipped = Skipped()
    report_unmatched(unmatched, skipped)
    for path, stem in zip(files, _stems(files), strict=True):
        try:
            logit = _explain(path, out / stem, finder, window, stride)
        except CutoutError as error:
            skipped.add(path, str(error))
        except Exception as error:  # whatever one file brings about, the others are explained
            skipped.add(path, f"{type(error).__name__}: {error}")
        else:
            print(text_of(f"{path}: logit {logit:+.2f} -> {out / stem}{PICTURE}, {out / stem}{MAPS}"), flush=True)
    return skipped.exit_code


def _explain(path: Path, stem: Path, finder: Finder, window: int, stride: int) -> float:
    """Write both files of a cutout; returns its logit. Raises `CutoutError` where there is no finite one."""
    cutout = read_cutout(path, finder.stamp, middle=finder.crop_pixels)
    try:
        sky = sky_of_stamp(path, finder.stamp)
    except SkyError as error:
        print(f"{path}: maps without world coordinates: {error}", file=sys.stderr)
        sky, cutout = fits.Header(), replace(cutout, flags=(*cutout.flags, f"no_sky:{error}"))
    logit = float(finder.scores(torch.from_numpy(cutout.image[None])).logit[0])
    if not math.isfinite(logit):
        raise CutoutError(f"the network's logit is {logit}: fluxes far out of range, or a damaged model")
    maps = finder.explain(cutout.image, window=window, stride=stride)
    decision = finder.decision(cutout.image, logit)
    remark = "; ".join(part for part in (", ".join(cutout.flags), cutout.origin.value) if part)
    page = cutout_page(cutout.object, cutout.image, maps, decision, remark)
    write_whole(stem.with_name(stem.name + MAPS), maps_file(cutout, maps, sky, finder.model, decision))
    write_whole(stem.with_name(stem.name + PICTURE), png(page))
    return logit


def _check_square(stamp: int, window: int, stride: int) -> None:
    try:
        window_corners(stamp, window, stride)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be made a folder ({error.strerror}): name another place") from None


def _stems(files: Iterable[Path]) -> list[str]:
    """Unique names of files, without suffix: files of one name in several folders get a number from the second on."""
    stems: dict[str, None] = {}
    for file in files:
        stem = NAMED_FITS.sub("", file.name)
        free, number = stem, 2
        while free in stems:
            free, number = f"{stem}-{number}", number + 1
        stems[free] = None
    return list(stems)
