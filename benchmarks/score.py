"""Time the scoring of cutouts from disk; prints one JSON object last.

Files in Euclid's layout are made by our own export in a temporary folder, of fresh non-lenses in a survey's shares, so that as
many of them as there are looked at again (`looked_at_again`); around the middle that is scored, a file goes on as in a mirror.
`cached`: read once before, as files that were just fetched; `cold`: dropped from the page cache before. The peer reads the
same numbers with plain astropy. `a_core` is measured on one core of the machine, `machine` on all; `per_second` is by the
clock, `per_cpu_second` by the processor's time, which holds on a machine that others use too.
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

from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig, load
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.reader import BAD_RMS, read_cutout
from lensdream.cutouts.scoring import score_targets
from lensdream.cutouts.sources import Target
from lensdream.dataset import target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.evaluate.stream import EPOCH, SPLIT
from lensdream.finder.finder import Finder
from lensdream.instrument import EUCLID, N_BANDS, microjansky
from lensdream.networks.predict import predict
from lensdream.population.drawing import draw_all_catalogs

SCALE = "quick"
"""scale of the settings that the cutouts are drawn with"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/poster"), help="its folder (default models/poster)")
    parser.add_argument("--files", type=int, default=1000, help="cutouts made (default 1000)")
    parser.add_argument(
        "--side", type=int, default=150, help="side of each [pixel], at least that of the scale's images (default 150)"
    )
    parser.add_argument("--batch", type=int, default=64, help="images scored at once (default 64)")
    arguments = parser.parse_args()
    stamp = load("simulate", SimulateConfig, SCALE).stamp
    if arguments.side < stamp:
        parser.error(f"--side is {arguments.side}, images have {stamp} pixels: ask for {stamp} at least")
    with tempfile.TemporaryDirectory() as folder:
        measured = _measure(Path(folder), arguments.model, arguments.files, arguments.side, arguments.batch)
        print(json.dumps(measured, indent=2))


def _measure(folder: Path, model: Path, n: int, side: int, batch: int) -> dict[str, float | int]:
    files = list(_make(folder, n, side))
    started = time.perf_counter()
    finder = Finder.load(model)
    loading = time.perf_counter() - started
    stamp = finder.stamp
    images = np.stack([read_cutout(path, stamp).image for path in files])
    again = predict(finder.cascade.first, torch.from_numpy(images)) > finder.cascade.gate
    difference = np.abs(images - np.stack([_read_with_astropy(path, stamp) for path in files])).max()
    cores = sorted(os.sched_getaffinity(0))
    targets = [Target(path) for path in files]

    def score() -> int:
        return sum(1 for _ in score_targets(targets, finder, batch_size=batch))

    with _cores(cores[:1]):
        rates = {
            "read_cached_a_core": _rates(n, lambda: [read_cutout(path, stamp) for path in files]),
            "astropy_read_cached_a_core": _rates(n, lambda: [_read_with_astropy(path, stamp) for path in files]),
            "network_a_core": _rates(n, lambda: finder.scores(torch.from_numpy(images))),
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
        "looked_at_again": float(again.float().mean()),
        **{f"{name}_per_second": round(wall, 1) for name, (wall, _) in rates.items()},
        **{f"{name}_per_cpu_second": round(cpu, 1) for name, (_, cpu) in rates.items()},
        "largest_difference_from_astropy_microjansky": float(difference),
    }


def _make(folder: Path, n: int, side: int) -> Iterator[Path]:
    survey, population = load("survey", SurveyConfig, SCALE), load("population", PopulationConfig, SCALE)
    simulate = load("simulate", SimulateConfig, SCALE)
    drawer = ImageDrawer.start(population, simulate, draw_all_catalogs(population))
    low = (side - simulate.stamp) // 2
    around = (0, 0), (low, side - simulate.stamp - low), (low, side - simulate.stamp - low)
    index = 0
    for chunk in target_mix.chunks(target_mix.counts(n, survey.non_lens_shares), SPLIT, EPOCH):
        for image in target_mix.draw_images(drawer, chunk, survey.near_miss)[0]:
            path = folder / f"{index:06d}.fits"
            # Headers of real cutouts differ, too.
            whole = np.pad(image.astype(np.float64), around, mode="symmetric")
            write_cutout(path, whole, f"non-lens {index}", centre=(0.01 * index, 0.0))
            index += 1
            yield path


def _read_with_astropy(path: Path, stamp: int) -> np.ndarray:
    """Read the same file as `read_cutout` in the fewest astropy calls: (band, stamp, stamp) [microjansky a pixel]."""
    image = np.zeros((N_BANDS, stamp, stamp), np.float32)
    with fits.open(path) as units:
        for plane, band in zip(image, EUCLID.bands, strict=True):
            flux = units[f"{band.fits_name}_FLUX"]
            low = (flux.shape[0] - stamp + 1) // 2
            cut = np.s_[low : low + stamp, low : low + stamp]
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
    """Rates [cutouts a second] by the clock and by processor time, the best of three passes."""
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
