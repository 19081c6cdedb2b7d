"""Time and check the simulator against lenstronomy and caustics; prints a table and one JSON object last.

Speed: milliseconds of one core's time for an image of four bands, by family; lenstronomy draws the same lenses on the same
stamp as its users do, an `ImageModel` for each band. caustics, where it is installed, has its simulators built outside the
clock and convolves on the fine grid. Times are the processor's, which hold on a machine that others use.
Accuracy: against the same scenes in float64, sampled 9 times an axis all over the frame, with the deflector made VIS 19.5;
the error is that of a scene's worst pixel, in scatters of the sky; lenses as nature has them, and those of the training
split, which are rarer and brighter. Where lenstronomy is never as accurate as ours, the speed at equal accuracy is null.
Agreement: with lenstronomy where both sample alike.
Throughput: scenes drawn, rendered and written by as many processes as the settings say, with the memory that all of them
held, where pages that they share count once.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import torch
from scipy.ndimage import uniform_filter

from lensdream import config
from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.dataset.write import write_store
from lensdream.instrument import DITHERS, EUCLID, Band, microjansky
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.optics.detector import resample, sampled
from lensdream.optics.sampling import Frame
from lensdream.population.drawing import draw_scenes
from lensdream.render.batch import frame_of
from lensdream.render.reference import draw, lenstronomy_image, point_spread
from lensdream.render.renderer import Renderer
from lensdream.runtime.allocator import keep_freed_memory
from lensdream.scene import FLUX_COLUMNS, Role, Scenes

TIMED, PEER_TIMED, AGREED, ACCURATE = 16, 6, 2, 40
"""scenes timed of a family, those of them drawn by lenstronomy, scenes compared with it, lenses whose error is measured"""
PARTS = ("throughput", "speed", "agreement", "accuracy")
REPEATS = 5
DEFLECTOR_MAGNITUDE = 19.5
FEW, POSTER = 1_000, 80_000
"""numbers of images written: so few that starting shows, and as many as the goal is set for"""
WATCHED_EVERY = 1.0
"""interval [s]: reading a process's memory stops it for some milliseconds"""
CHECKED = (Band.VIS, Band.J)
CORE = 32
"""side of the stamp in which lenstronomy's error is measured [pixel]"""
SUPERSAMPLINGS = (3, 5, 9)
"""of lenstronomy, with the point spread convolved on the fine grid"""
CAUSTICS = {"fine_1": (1, None), "fine_3": (3, None), "fine_3_quadrature": (3, 3)}
"""samples an axis in a pixel and points of Gauss's formula in a sample, its own way to be more accurate"""
TRUTH_SUPERSAMPLING = 9

Figures = dict[str, float | int | str | None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=400, help="scenes drawn for speed and accuracy (default 400)")
    parser.add_argument(
        "--throughput", type=int, default=4000, help="images drawn, rendered and written (default 4000; 80000 is all)"
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="settings (default ./params.yaml)")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="what to measure (default all)")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")  # lenstronomy's on numpy's future, one a convolution
    keep_freed_memory()
    torch.set_num_threads(1)
    population = config.load("population", PopulationConfig, "quick", arguments.params)
    settings = config.load("simulate", SimulateConfig, "quick", arguments.params)
    frame = frame_of(settings)
    training = _mix(population, arguments.scenes, compound=2 * TIMED)
    scenes = draw_scenes(training, settings.workers)
    natural = draw_scenes(dataclasses.replace(training, rare_lenses=0.0), settings.workers)
    figures: Figures = {}
    parts = {
        # first, while this process is small
        "throughput": lambda: _throughput(population, settings, arguments.throughput),
        "speed": lambda: _speed(scenes, frame, settings.chunk),
        "agreement": lambda: _agreement(scenes, frame),
        "accuracy": lambda: _accuracy(natural, frame, settings.chunk) | _rare_accuracy(scenes, frame),
    }
    for part in PARTS:
        if part not in arguments.parts:
            continue
        found = parts[part]()
        for name, value in found.items():
            print(f"{name:58} {_goal(name, value)}")
        print(flush=True)
        figures |= found
    print(json.dumps({name: _rounded(value) for name, value in figures.items()}, indent=2))


def _goal(name: str, value: float | str | None) -> str:
    """Figure, with its goal if it has one."""
    goals = {
        "times_as_fast_at_equal_accuracy": "at least 20",
        "agreement_float64_worst_of_peak": "at most 1e-8",
        "agreement_float32_worst_of_peak": "at most 5e-6",
        "seconds_for_80000": "at most 360",
        "peak_memory_gb": "at most 4",
    } | {
        f"error_ours_{band.name}_{which}_sky_sigmas": f"at most {bound}"
        for band in CHECKED
        for which, bound in (("median", 1), ("worst", 2))
    }
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return shown + (f"   (goal: {goals[name]})" if name in goals else "")


def _rounded(value: float | str | None) -> float | str | None:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _mix(population: PopulationConfig, n: int, compound: int = 0) -> PopulationConfig:
    """Training mix of n scenes, with a number of each compound family."""
    others = "validation", "test", "undetectable", "faint_second", "compound_arc_train", "double_ring_train"
    none = dict.fromkeys(others, 0)
    return dataclasses.replace(population, train=n, compound_arc=compound, double_ring=compound, **none)


def _families(scenes: Scenes, most: int) -> dict[str, Scenes]:
    """The first scenes of each family."""
    family = scenes.scenes["family"].to_numpy()
    return {name: scenes.take(np.flatnonzero(family == name)[:most]) for name in dict.fromkeys(family)}


def _each(scenes: Scenes) -> list[Scenes]:
    return [scenes.take([k]) for k in range(len(scenes))]


def _milliseconds(work: Callable[[], object], n: int, repeats: int = REPEATS) -> float:
    """Median processor time of n equal parts of the work."""
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return float(np.median(spent)) / n * 1e3


def _speed(scenes: Scenes, frame: Frame, chunk: int) -> Figures:
    """Milliseconds an image: ours with noise, in every family; lenstronomy's without, of lenses."""
    renderer = Renderer(frame)
    found: Figures = {}

    def render(some: Scenes) -> None:
        for start in range(0, len(some), chunk):
            renderer.render(some.take(slice(start, start + chunk)))

    render(scenes.take(slice(0, 64)))  # spectra of the point spreads are kept
    families = _families(scenes, TIMED)
    for name, some in families.items():
        found[f"ms_ours_{name}"] = _milliseconds(lambda some=some: render(some), len(some))
    mixed = scenes.take(np.flatnonzero(scenes.scenes["split"] == "train")[:: max(1, len(scenes) // 128)])
    found["ms_ours_training_mix"] = _milliseconds(lambda: render(mixed), len(mixed))
    for name, planes in (("lens", "one_plane"), ("compound_arc", "two_planes")):
        each = _each(families[name])[:PEER_TIMED]
        for supersampling in (3, 1):
            bare = _bare(frame, supersampling)
            # made outside the clock, as users load theirs
            spreads = [[_native_spread(scene, frame, band) for band in Band] for scene in each]

            def native(each: list[Scenes] = each, bare: Frame = bare, spreads: list = spreads) -> None:
                for scene, of_bands in zip(each, spreads, strict=True):
                    for band, spread in zip(Band, of_bands, strict=True):
                        draw(scene, bare, COSMOLOGY, band, spread, {"supersampling_factor": bare.supersampling})

            key = f"ms_lenstronomy_supersampling_{supersampling}_{planes}"
            found[key] = _milliseconds(native, len(each), 3)
            found[f"times_as_fast_as_supersampling_{supersampling}_{planes}"] = found[key] / found[f"ms_ours_{name}"]
    return found | _caustics_speed(families, frame, found)


def _bare(frame: Frame, supersampling: int) -> Frame:
    """Frame without a margin, as lenstronomy's users draw it."""
    return dataclasses.replace(frame, padding=0, supersampling=supersampling)


def _native_spread(scene: Scenes, frame: Frame, band: Band) -> object:
    """Point spread at the mosaic's pixels."""
    return point_spread(scene.scenes.iloc[0], dataclasses.replace(frame, supersampling=1), band)


def _agreement(scenes: Scenes, frame: Frame) -> Figures:
    """Largest difference from lenstronomy, in units of the image's peak, where both sample every pixel alike."""
    uniform = dataclasses.replace(frame, fine_width=frame.width, integrate=False)
    found: Figures = {}
    worst = {}
    for dtype, label in ((torch.float64, "float64"), (torch.float32, "float32")):
        worst[label] = {}
        renderer = Renderer(uniform, dtype=dtype)
        for name, some in _families(scenes, AGREED).items():
            lit = [scene for scene in _each(some) if len(scene.components)]
            errors = [0.0]
            for scene in lit:
                ours = renderer.light(scene)[0][0].numpy()
                for band in CHECKED:
                    truth = lenstronomy_image(scene, uniform, COSMOLOGY, band)
                    errors.append(float(np.abs(ours[band] - truth).max() / truth.max()))
            worst[label][name] = max(errors)
    for label, by_family in worst.items():
        family = max(by_family, key=by_family.get)
        found[f"agreement_{label}_worst_of_peak"] = by_family[family]
        found[f"agreement_{label}_worst_family"] = family
    return found | _caustics_agreement(_families(scenes, AGREED), uniform)


def _accuracy(scenes: Scenes, frame: Frame, chunk: int) -> Figures:
    """Errors of ours and of lenstronomy against the truth, and the ratio of their times."""
    lenses = _lenses(scenes)
    each = _each(lenses)
    sky = np.array(EUCLID.sky_sigma)
    truth = _truth(each, frame)
    found: Figures = {"accuracy_scenes": len(lenses)}
    renderer = Renderer(frame)

    def light() -> np.ndarray:
        parts = (lenses.take(slice(k, k + chunk)) for k in range(0, len(lenses), chunk))
        return np.concatenate([renderer.light(part)[0].numpy() for part in parts])

    errors = _worst_pixels(light(), truth)
    found |= _error_figures("ours", errors)
    found["ms_noiseless_ours"] = _milliseconds(light, len(lenses), 3)
    core = dataclasses.replace(frame, stamp=CORE, fine_width=min(frame.fine_width, CORE))
    edge = (frame.stamp - CORE) // 2
    inside = {band: truth[band][:, edge : edge + CORE, edge : edge + CORE] for band in CHECKED}
    found |= {"supersampling_of_equal_accuracy": None, "times_as_fast_at_equal_accuracy": None}
    for label, supersampling, fine in (("native_3", 3, False), *((f"fine_{s}", s, True) for s in SUPERSAMPLINGS)):
        theirs = {
            band: np.array(
                [
                    np.abs(_lenstronomy(scene, core, band, supersampling, fine) - wanted).max() / sky[band]
                    for scene, wanted in zip(each, inside[band], strict=True)
                ]
            )
            for band in CHECKED
        }
        found |= _error_figures(f"lenstronomy_{label}", theirs)

        def stamps(supersampling: int = supersampling, fine: bool = fine) -> None:
            for scene in each[: PEER_TIMED // 2]:
                for band in Band:
                    _lenstronomy(scene, frame, band, supersampling, fine, margin=False)

        key = f"ms_noiseless_lenstronomy_{label}"
        found[key] = _milliseconds(stamps, PEER_TIMED // 2, 3)
        ratio = found[key] / found["ms_noiseless_ours"]
        found[f"times_as_fast_as_noiseless_{label}"] = ratio
        if found["supersampling_of_equal_accuracy"] is None and _as_accurate(theirs, errors):
            found |= {"supersampling_of_equal_accuracy": supersampling, "times_as_fast_at_equal_accuracy": ratio}
    return found | _caustics_errors(each, core, inside)


def _as_accurate(theirs: dict[Band, np.ndarray], ours: dict[Band, np.ndarray]) -> bool:
    """Test whether neither their median error nor their worst is larger than ours in any band that is checked."""
    return all(
        np.median(theirs[band]) <= np.median(ours[band]) and theirs[band].max() <= ours[band].max() for band in CHECKED
    )


def _rare_accuracy(scenes: Scenes, frame: Frame) -> Figures:
    """Errors of ours for lenses of the training split."""
    each = _each(_lenses(scenes))
    renderer = Renderer(frame)
    ours = np.concatenate([renderer.light(scene)[0].numpy() for scene in each])
    return _error_figures("ours_training_split", _worst_pixels(ours, _truth(each, frame)))


def _lenses(scenes: Scenes) -> Scenes:
    """The first lenses, brightened."""
    return _brightened(scenes.take(np.flatnonzero(scenes.scenes["family"] == "lens")[:ACCURATE]))


def _truth(each: list[Scenes], frame: Frame) -> dict[Band, np.ndarray]:
    """Finely sampled stamps (scene, y, x) of each band that is checked."""
    exact = dataclasses.replace(frame, supersampling=TRUTH_SUPERSAMPLING, fine_width=frame.width)
    finest = Renderer(exact, dtype=torch.float64)
    images = np.concatenate([finest.light(scene)[0].numpy() for scene in each])
    return {band: images[:, band] for band in CHECKED}


def _worst_pixels(ours: np.ndarray, truth: dict[Band, np.ndarray]) -> dict[Band, np.ndarray]:
    """Largest error (scene,) of images (scene, band, y, x) in each band that is checked, in scatters of the sky."""
    return {band: np.abs(ours[:, band] - truth[band]).max((1, 2)) / EUCLID.sky_sigma[band] for band in CHECKED}


def _brightened(scenes: Scenes) -> Scenes:
    """Lenses with the deflector's light scaled to `DEFLECTOR_MAGNITUDE` in VIS."""
    parts = scenes.components.copy()
    target = parts["role"] == Role.TARGET
    total = parts[target].groupby("scene")["flux_VIS"].sum()
    factor = parts["scene"].map(microjansky(DEFLECTOR_MAGNITUDE) / total).where(target, 1.0)
    parts[list(FLUX_COLUMNS)] = parts[list(FLUX_COLUMNS)].mul(factor, axis=0)
    return Scenes(scenes.scenes, parts)


def _lenstronomy(
    scene: Scenes, frame: Frame, band: Band, supersampling: int, fine: bool, margin: bool = True
) -> np.ndarray:
    """Stamp of a scene drawn by lenstronomy, convolved on the fine grid or at the pixel."""
    denser = dataclasses.replace(frame, supersampling=supersampling)
    if fine and margin:
        uniform = dataclasses.replace(denser, fine_width=denser.width, integrate=False)
        return lenstronomy_image(scene, uniform, COSMOLOGY, band)
    spread = point_spread(scene.scenes.iloc[0], denser, band) if fine else _native_spread(scene, frame, band)
    numerics = {
        "supersampling_factor": supersampling, "supersampling_convolution": fine, "supersampling_kernel_size": None,
    }  # fmt: skip
    image = draw(scene, denser if margin else _bare(frame, supersampling), COSMOLOGY, band, spread, numerics)
    return _exposed(image, scene, frame, band) if margin else image


def _exposed(image: np.ndarray, scene: Scenes, frame: Frame, band: Band) -> np.ndarray:
    """Stamp (stamp, stamp), sampled by the detector's pixels and exposures from the whole frame (width, width)."""
    pixels = EUCLID.bands[band].detector_pixels
    if pixels > 1:
        share = sampled(len(image), DITHERS[scene.scenes["dither"].iloc[0]], pixels)
        image = resample(torch.as_tensor(uniform_filter(image, pixels)), share, pixels).numpy()
    inside = slice(frame.padding, frame.padding + frame.stamp)
    return image[inside, inside]


def _error_figures(label: str, errors: dict[Band, np.ndarray]) -> Figures:
    return {
        f"error_{label}_{band.name}_{which}_sky_sigmas": float(statistic(values))
        for band, values in errors.items()
        for which, statistic in (("median", np.median), ("worst", np.max))
    }


def _peer() -> ModuleType | None:
    """Module that draws with caustics, if installed; imported late, for the memory of `_throughput` is measured."""
    return importlib.import_module("caustics_peer") if find_spec("caustics") else None


def _caustics_speed(families: dict[str, Scenes], frame: Frame, ours: Figures) -> Figures:
    """Milliseconds an image of caustics, without noise, of lenses; ours: milliseconds of our renderer."""
    baseline = _peer()
    if baseline is None:
        return {"caustics": 'not installed, see the extra "peers"'}
    cannot = [name for name, some in families.items() if not baseline.drawable(some)]
    found: Figures = {"caustics_cannot_draw": f"rings, arms, dust lanes; so not all of {', '.join(cannot) or 'them'}"}
    for name, planes in (("lens", "one_plane"), ("compound_arc", "two_planes")):
        each = [scene for scene in _each(families[name]) if baseline.drawable(scene)][:PEER_TIMED]
        for label, (supersampling, quadrature) in CAUSTICS.items():
            denser = dataclasses.replace(frame, supersampling=supersampling)
            drawing, building = _caustics_milliseconds(baseline, each, denser, quadrature)
            found |= {f"ms_caustics_{label}_{planes}": drawing, f"ms_caustics_to_build_{planes}": building}
            found[f"times_as_fast_as_caustics_{label}_{planes}"] = drawing / ours[f"ms_ours_{name}"]
    return found


def _caustics_milliseconds(
    baseline: ModuleType, each: list[Scenes], frame: Frame, quadrature: int | None
) -> tuple[float, float]:
    """Milliseconds that a scene's four bands take to draw, and its simulators to build."""
    bare = _bare(frame, frame.supersampling)
    spreads = [baseline.point_spreads(scene, frame) for scene in each]

    def build() -> list[Callable[[], torch.Tensor]]:
        pairs = zip(each, spreads, strict=True)
        return [baseline.prepared(scene, bare, of_bands, quadrature=quadrature) for scene, of_bands in pairs]

    draws = build()
    return _milliseconds(lambda: [one() for one in draws], len(each), 3), _milliseconds(build, len(each), 3)


def _caustics_agreement(families: dict[str, Scenes], uniform: Frame) -> Figures:
    """Largest difference of caustics from lenstronomy, in units of the image's peak."""
    worst: dict[str, float] = {}
    for name, some in families.items() if _peer() else ():
        for scene in _each(some):
            if not len(scene.components) or not _peer().drawable(scene):
                continue
            for band, image in _caustics_images(scene, uniform).items():
                truth = lenstronomy_image(scene, uniform, COSMOLOGY, band)
                worst[name] = max(worst.get(name, 0.0), float(np.abs(image - truth).max() / truth.max()))
    if not worst:
        return {}
    family = max(worst, key=worst.get)
    return {"agreement_caustics_worst_of_peak": worst[family], "agreement_caustics_worst_family": family}


def _caustics_errors(each: list[Scenes], core: Frame, truth: dict[Band, np.ndarray]) -> Figures:
    """Errors of caustics against the truth (scene, y, x) of each band."""
    found: Figures = {}
    for label, (supersampling, quadrature) in CAUSTICS.items() if _peer() else ():
        denser = dataclasses.replace(core, supersampling=supersampling)
        images = [_caustics_images(scene, denser, quadrature) for scene in each]
        drawn = {band: np.array([image[band] for image in images]) for band in CHECKED}
        errors = {band: np.abs(drawn[band] - truth[band]).max((1, 2)) / EUCLID.sky_sigma[band] for band in CHECKED}
        found |= _error_figures(f"caustics_{label}", errors)
    return found


def _caustics_images(scene: Scenes, frame: Frame, quadrature: int | None = None) -> dict[Band, np.ndarray]:
    """Stamp of a scene in each of the bands that are checked, drawn by caustics."""
    baseline = _peer()
    draw_all = baseline.prepared(
        scene, frame, baseline.point_spreads(scene, frame, CHECKED), CHECKED, quadrature=quadrature
    )
    images = draw_all().double().numpy()
    return {band: _exposed(image, scene, frame, band) for band, image in zip(CHECKED, images, strict=True)}


def _throughput(population: PopulationConfig, settings: SimulateConfig, n: int) -> Figures:
    """Seconds and memory to draw, render and write nothing, then few images, then n: so the start is measured on its own."""
    found: Figures = {"throughput_images": n, "workers": settings.workers}
    clock, processor = {}, {}
    for images in (0, min(FEW, n // 2), n):
        with tempfile.TemporaryDirectory() as folder, _watched() as use:
            started = time.perf_counter()
            scenes = draw_scenes(_mix(population, images), settings.workers)
            drawn = time.perf_counter()
            size = write_store(scenes, settings, Path(folder))
            clock[images] = time.perf_counter() - started
        processor[images] = use.processor_seconds
        if images:
            found[f"seconds_to_draw_{images}"] = drawn - started
            found[f"seconds_to_render_and_write_{images}"] = clock[images] - (drawn - started)
            found[f"ms_an_image_of_{images}"] = (clock[images] - clock[0]) / images * 1e3
            found[f"processor_ms_an_image_of_{images}"] = (processor[images] - processor[0]) / images * 1e3
    found["seconds_to_start"] = clock[0]
    found["bytes_an_image"] = size // n
    found["peak_memory_gb"] = use.peak_memory / 1e9
    found["seconds_for_80000"] = clock[0] + found[f"ms_an_image_of_{n}"] * POSTER / 1e3
    found["processor_seconds_for_80000_a_worker"] = (
        processor[0] + found[f"processor_ms_an_image_of_{n}"] * POSTER / 1e3
    ) / settings.workers
    found["seconds_for_80000_are"] = "measured" if n == POSTER else f"extrapolated from {n} images"
    return found


@dataclasses.dataclass
class _Use:
    """Resources used by this process and its descendants."""

    peak_memory: int = 0
    """[byte]; a page that several processes share counts once in all"""
    processor_seconds: float = 0.0


@contextmanager
def _watched() -> Iterator[_Use]:
    """Measure this process and its descendants; complete when the context is left."""
    use, spent, done = _Use(), {}, threading.Event()
    me = psutil.Process()
    before = sum(me.cpu_times()[:2])

    def look() -> None:
        memory = 0
        for process in (me, *me.children(recursive=True)):
            try:
                spent[process.pid] = sum(process.cpu_times()[:2])
                held = process.memory_full_info()
                memory += getattr(held, "pss", held.rss)  # only Linux knows shares
            except psutil.NoSuchProcess:
                continue
        use.peak_memory = max(use.peak_memory, memory)

    def watch() -> None:
        while not done.wait(WATCHED_EVERY):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield use
    finally:
        done.set()
        thread.join()
        look()
        use.processor_seconds = sum(spent.values()) - before


if __name__ == "__main__":
    main()
