"""Time the scoring of cutouts from disk; prints one JSON object last.

Files in Euclid's layout are made by our own export in a temporary folder. `cached`: read once before, as files that
were just fetched; `cold`: dropped from the page cache before. The peer reads the same numbers with plain astropy. The
network has random weights: they cost the same time. `a_core` is measured on one core of the machine, `machine` on all;
`per_second` is by the clock, `per_cpu_second` by the processor's time, which holds on a machine that others use too.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

from lensdream.networks import LensNet, LensNetConfig, save_model
from lensdream.observe.cutouts import BAD_RMS, read_cutout
from lensdream.observe.scorer import OPERATING_POINTS, Scorer
from lensdream.observe.stream import LARGEST_CPU_BATCH, score_targets
from lensdream.observe.targets import Target
from lensdream.observe.writing import write_cutout
from lensdream.survey import EUCLID, N_BANDS, microjansky

STAMP = 80


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=300, help="cutouts made (default 300)")
    parser.add_argument("--side", type=int, default=150, help="side of each [pixel] (default 150)")
    parser.add_argument("--batch", type=int, default=64, help="images scored at once (default 64)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_measure(Path(folder), arguments.files, arguments.side, arguments.batch), indent=2))


def _measure(folder: Path, n: int, side: int, batch: int) -> dict[str, float | int]:
    torch.manual_seed(0)
    model = folder / "model"
    save_model(model, LensNet(LensNetConfig()).eval(), STAMP)
    (model / OPERATING_POINTS).write_text('{"threshold_fpr_1e-3": 0.0}')
    files = list(_make(folder / "cutouts", n, side))
    started = time.perf_counter()
    scorer = Scorer.load(model)
    loading = time.perf_counter() - started
    images = np.stack([read_cutout(path, STAMP).image for path in files[:LARGEST_CPU_BATCH]])
    difference = np.abs(images - np.stack([_read_with_astropy(path) for path in files[: len(images)]])).max()
    cores = sorted(os.sched_getaffinity(0))
    passes = -(-n // len(images))
    targets = [Target(path) for path in files]

    def score() -> int:
        return sum(1 for _ in score_targets(targets, scorer, batch_size=batch))

    with _cores(cores[:1]):
        rates = {
            "read_cached_a_core": _rates(n, lambda: [read_cutout(path, STAMP) for path in files]),
            "astropy_read_cached_a_core": _rates(n, lambda: [_read_with_astropy(path) for path in files]),
            "network_a_core": _rates(passes * len(images), lambda: [scorer.logits(images) for _ in range(passes)]),
            "scored_cached_a_core": _rates(n, score),
            "scored_cold_a_core": _rates(n, score, files),
        }
    with _cores(cores):
        rates["scored_cached_machine"] = _rates(n, score)
        rates["scored_cold_machine"] = _rates(n, score, files)
    return {
        "n": n,
        "side_pixels": side,
        "bytes_a_file": files[0].stat().st_size,
        "cores": len(cores),
        "seconds_to_load_the_model": round(loading, 2),
        **{f"{name}_per_second": round(wall, 1) for name, (wall, _) in rates.items()},
        **{f"{name}_per_cpu_second": round(cpu, 1) for name, (_, cpu) in rates.items()},
        "largest_difference_from_astropy_microjansky": float(difference),
    }


def _make(folder: Path, n: int, side: int) -> Iterator[Path]:
    sky = np.asarray(EUCLID.sky_sigma)[:, None, None]
    for index in range(n):
        path = folder / f"{index:06d}.fits"
        noise = np.random.default_rng([0, index]).normal(size=(N_BANDS, side, side))
        # Headers of real cutouts differ, too.
        write_cutout(path, sky * noise, f"noise {index}", centre=(0.01 * index, 0.0))
        yield path


def _read_with_astropy(path: Path) -> np.ndarray:
    """Read what `read_cutout` reads, in the fewest astropy calls: (band, STAMP, STAMP) [microjansky a pixel]."""
    image = np.zeros((N_BANDS, STAMP, STAMP), np.float32)
    with fits.open(path) as units:
        for plane, band in zip(image, EUCLID.bands, strict=True):
            flux = units[f"{band.fits_name}_FLUX"]
            low = (flux.shape[0] - STAMP + 1) // 2
            cut = np.s_[low : low + STAMP, low : low + STAMP]
            good = np.isfinite(flux.data[cut]) & (units[f"{band.fits_name}_RMS"].data[cut] < BAD_RMS)
            plane[:] = np.where(good, flux.data[cut], 0) * microjansky(flux.header["MAGZERO"])
    return image


@contextmanager
def _cores(cores: Sequence[int]) -> Iterator[None]:
    before, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        torch.set_num_threads(threads)


def _rates(n: int, work: Callable[[], object], forgotten: Sequence[Path] = ()) -> tuple[float, float]:
    """Cutouts a second, by the clock and by the processor's time: the best of three passes."""
    wall, cpu = zip(*(_seconds(work, forgotten) for _ in range(3)), strict=True)
    return n / min(wall), n / min(cpu)


def _seconds(work: Callable[[], object], forgotten: Sequence[Path]) -> tuple[float, float]:
    for path in forgotten:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
