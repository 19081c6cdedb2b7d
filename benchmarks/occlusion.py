"""Time occlusion maps and captum's, in one run and of the same maps; prints a table and one JSON object last.

A square of 4 pixels moves over the stamp in steps of 2. `ours_plain` scores every covered image whole, as captum does;
`ours` computes again only what the square reaches. captum's own maps are the mean of the squares that cover a pixel, so
ours are brought to that, and the largest difference is printed. `seconds` are by the clock on all cores, `cpu_seconds` the
processor's time, which holds on a machine that others use too; both are of one image, in passes of as many as `--images`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import captum.attr
import numpy as np
import torch
from torch import Tensor

from lensdream.dataset.store import ImageStore
from lensdream.explain.chain import chain_of, plain
from lensdream.explain.occlusion import Occlusion, occlude
from lensdream.instrument import N_BANDS, Band
from lensdream.networks.model_file import load_model
from lensdream.runtime.allocator import keep_freed_memory

WINDOW, STRIDE = 4, 2
CHUNK = 64
"""covered images scored together, by captum too"""
GOAL_SECONDS = 1.0
"""for one image on 2 cores"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/quick"), help="folder (default models/quick)")
    parser.add_argument(
        "--store", type=Path, default=Path("artifacts/quick/images"), help="images (default artifacts/quick/images)"
    )
    parser.add_argument("--images", type=int, default=4, help="images explained in a pass (default 4)")
    parser.add_argument("--passes", type=int, default=3, help="of which the fastest counts (default 3)")
    arguments = parser.parse_args()
    keep_freed_memory()
    network = load_model(arguments.model).to(memory_format=torch.channels_last)
    store = ImageStore.open(arguments.store)
    chosen = np.linspace(0, len(store) - 1, arguments.images).astype(int)
    images = torch.from_numpy(store.images(chosen).astype(np.float32))
    theirs = captum.attr.Occlusion(network)

    def ours(chain: Callable, bands: tuple[Band, ...] = tuple(Band)) -> Occlusion:
        return occlude(chain, images, window=WINDOW, stride=STRIDE, bands=bands, chunk=CHUNK)

    def captums(bands: int) -> Tensor:
        with torch.no_grad():
            return theirs.attribute(
                images, (bands, WINDOW, WINDOW), (bands, STRIDE, STRIDE), 0.0, perturbations_per_eval=CHUNK
            )

    timed = {
        "ours": lambda: ours(chain_of(network)),
        "ours_plain": lambda: ours(plain(network)),
        "captum": lambda: captums(N_BANDS),
        "ours_band_by_band": lambda: [ours(chain_of(network), (band,)) for band in Band],
        "captum_band_by_band": lambda: captums(1),
    }
    figures: dict[str, float] = {"images": len(images), "cores": torch.get_num_threads()}
    results = {}
    print(f"{'':24}{'seconds':>10}{'cpu_seconds':>14}")
    for name, work in timed.items():
        results[name], wall, cpu = _best(work, arguments.passes, len(images))
        figures |= {f"{name}_seconds": wall, f"{name}_cpu_seconds": cpu}
        goal = f"   (goal: at most {GOAL_SECONDS:g} on 2 cores)" if name == "ours" else ""
        print(f"{name:24}{wall:10.2f}{cpu:14.2f}{goal}", flush=True)
    one, whole, by_band = results["ours"], results["ours_plain"], results["ours_band_by_band"]
    figures |= {
        "times_as_fast_as_captum": figures["captum_seconds"] / figures["ours_seconds"],
        "largest_difference_from_plain_logit": _largest(one.occluded, whole.occluded),
        "largest_difference_from_captum_logit": _largest(one.to_pixels(one.logit_change), results["captum"][:, 0]),
        "largest_difference_from_captum_band_by_band_logit": _largest(
            torch.stack([o.to_pixels(o.logit_change) for o in by_band], 1), results["captum_band_by_band"]
        ),
        "largest_change_logit": float(one.logit_change.abs().max()),
    }
    for name in list(figures)[-5:]:
        print(f"{name:52}{figures[name]:10.3g}")
    print(json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}, indent=2))


def _best(work: Callable[[], object], passes: int, n: int) -> tuple[object, float, float]:
    """Result of a function, and the least time an image took by the clock and of the processor."""
    walls, cpus = [], []
    for _ in range(passes):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        walls.append((time.perf_counter() - wall) / n)
        cpus.append((time.process_time() - cpu) / n)
    return result, min(walls), min(cpus)


def _largest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


if __name__ == "__main__":
    main()
