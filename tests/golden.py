"""Golden values: what every layer gives on a tiny population, and the command that writes them.

python tests/golden.py            compares what the code gives with golden.json and golden.npz
python tests/golden.py --write    writes both anew: for a change that is meant to change values, never for another one

Nothing is read but the code, `params.yaml` and `models/`. A layer gives three kinds of values: what is the same on every
machine (strings and whole numbers of tables, names, flags), numbers that may lie a little off (images by one step of float16,
logits by 1e-3), and digests of all bits, floats of tables among them, which hold on the processor that golden.json names. On
another one exp and log end in other bits: an image differs by steps of float16, and what is made of it by more than rounding,
so some numbers may lie further off there. All is computed on one thread. Small numbers stand in golden.json, where a
difference is read; pixels, weights and maps stand in golden.npz.

The imports below and the functions of the layers are all that is to be edited where modules and their calls change.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from astropy.io import fits

from lensdream import config
from lensdream.commands.evaluate import run as run_evaluate
from lensdream.commands.paths import Paths
from lensdream.commands.score import score_files
from lensdream.config import ExplainConfig, PopulationConfig, SimulateConfig, SurveyConfig, Training
from lensdream.cutouts.export import export_fits
from lensdream.cutouts.reader import read_cutout
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import ImageStore
from lensdream.dataset.target_mix import survey_shares
from lensdream.dataset.write import write_store
from lensdream.evaluate.explanations.explained_set import all_maps
from lensdream.families import FAMILIES_NON_LENS
from lensdream.finder.finder import Finder
from lensdream.networks.lensnet import LensNet
from lensdream.networks.model_file import load_model
from lensdream.networks.predict import predict
from lensdream.population.catalogs import Catalogs, draw_catalogs
from lensdream.population.drawing import draw_scenes
from lensdream.render.batch import ARC_1, ARC_2, LENS_LIGHT
from lensdream.scene import Scenes
from lensdream.train.loop import fit

ROOT = Path(__file__).parents[1]
JSON_FILE = Path(__file__).with_suffix(".json")
ARRAYS_FILE = Path(__file__).with_suffix(".npz")
SCALE = "quick"
"""whose settings are taken, but for the numbers of scenes"""
MOST_IN_JSON = 400
"""numbers; longer arrays go to golden.npz"""
BLOCK = 20
"""side of the squares in which the pixels of all images are summed"""
STORED = ("lens", "double_ring", "spiral")
"""families of which one image is stored, pixel by pixel"""
SAMPLED = 12
"""rows of a table whose floats are compared on every machine; their digests are of all rows"""
LOGIT = 1e-3
"""how far logits, and what is measured of them, may lie off"""
ELSEWHERE = 5
"""how many times further logits and weights may lie off on another processor; 2.3 was seen with all held to AVX2"""
WEIGHT = 1e-3
"""the same as `LOGIT` of a weight"""
OF_MAP = 1e-3
"""the same of a pixel of a map, in units of the map's largest value"""
MEASURED = 1e-4
"""the same of what tables hold of a scene, in units of the value"""
MASK_PIXELS = 2
"""by how many pixels a mask may differ: those that lie at the threshold"""

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Close:
    """Numbers that may lie off the golden ones, by 1 at most in the units of `distance`."""

    values: np.ndarray
    distance: Distance
    elsewhere: float = 1.0
    """how far they may lie off on another processor"""


@dataclass(frozen=True)
class Given:
    """What a layer gives."""

    exact: Mapping[str, object] = field(default_factory=dict)
    """the same on every machine; JSON"""
    close: Mapping[str, Close] = field(default_factory=dict)
    bits: Mapping[str, np.ndarray | bytes] = field(default_factory=dict)
    """the same on one machine"""


@dataclass(frozen=True)
class Tiny:
    """A tiny population, and its images in a store."""

    folder: Path
    """for whatever a layer writes"""
    catalogs: Catalogs
    scenes: Scenes

    @functools.cached_property
    def store(self) -> ImageStore:
        """The images, rendered when they are first asked for."""
        folder = Paths(SCALE, self.folder).images
        write_store(
            self.scenes, dataclasses.replace(settings("simulate", SimulateConfig), workers=1, shard_size=64), folder
        )
        return ImageStore.open(folder)

    @functools.cached_property
    def images(self) -> np.ndarray:
        """All images (N, band, y, x) float16 [microjansky a pixel]."""
        return self.store.images(np.arange(len(self.store)))

    @functools.cached_property
    def files(self) -> dict[Path, int]:
        """At most two images of each family as FITS files, and a damaged one, each with its row in the store."""
        family = self.store.truth["family"].to_numpy()
        found = {}
        for name in dict.fromkeys(family):
            rows = np.flatnonzero(family == name)[:2].tolist()
            found |= zip(export_fits(self.store, self.folder / "exported", name, len(rows)), rows, strict=True)
        first, row = next(iter(found.items()))
        return found | {damaged(first, self.folder / "damaged.fits"): row}


def damaged(path: Path, copy: Path) -> Path:
    """A copy of a cutout without J, and with a few pixels of VIS that hold nothing."""
    with fits.open(path) as file:
        planes = fits.HDUList([plane for plane in file if not plane.name.startswith("NIR_J")])
        planes["VIS_FLUX"].data[5:11, 8:14] = np.nan
        planes.writeto(copy)
    return copy


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums of floats depend on how many threads share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def tiny_population(folder: Path) -> Tiny:
    """Draw it, on this process alone."""
    shares = dict.fromkeys(FAMILIES_NON_LENS, 1 / len(FAMILIES_NON_LENS))
    few = dict(
        non_lens_shares=shares, artefact_rate=0.2, train=60, validation=30, test=30, undetectable=4, compound_arc=3,
        double_ring=2, faint_second=2, compound_arc_train=2, double_ring_train=2,
    )  # fmt: skip
    catalogs = draw_catalogs(3, 0.02, 27.0, 20_000)
    return Tiny(
        folder, catalogs, draw_scenes(dataclasses.replace(settings("population", PopulationConfig), **few), 1, catalogs)
    )


def settings(stage: str, kind: type) -> object:
    """Settings of a stage."""
    return config.load(stage, kind, SCALE, ROOT / "params.yaml")


def of_catalogs(tiny: Tiny) -> Given:
    """The galaxies and deflectors that scenes are drawn from."""
    return of_tables(galaxies=tiny.catalogs.galaxies, deflectors=tiny.catalogs.deflectors)


def of_scenes(tiny: Tiny) -> Given:
    """Both tables of scenes."""
    return of_tables(scenes=tiny.scenes.scenes, components=tiny.scenes.components)


def of_images(tiny: Tiny) -> Given:
    """The shards: images and truth masks."""
    store, images = tiny.store, tiny.images
    family = store.truth["family"].to_numpy()
    stored = {name: Close(images[family == name][0], float16_steps) for name in STORED}
    masks = store.masks(np.arange(len(store)))
    bits = {"arc_1": ARC_1, "arc_2": ARC_2, "lens_light": LENS_LIGHT}
    pixels = {f"mask_{name}": Close(((masks & bit) > 0).sum((1, 2)), within(MASK_PIXELS)) for name, bit in bits.items()}
    shards = {
        f"{kind}-{number}": store.shard(kind, number)
        for kind in ("images", "masks")
        for number in range(store.n_shards)
    }
    return Given({"n": len(store), "stamp": store.stamp}, stored | {"blocks": blocks(images)} | pixels, shards)


def of_truth(tiny: Tiny) -> Given:
    """The truth table: the scenes' columns, and what rendering measured."""
    return of_tables(truth=tiny.store.truth)


def of_finder(tiny: Tiny) -> Given:
    """The poster's finder: logits for the shares of training, and for a survey's."""
    shares = survey_shares(settings("survey", SurveyConfig))
    scores = Finder.unmeasured(ROOT / "models" / "poster", shares).scores(torch.from_numpy(tiny.images))
    return of_logits(training_shares=scores.training_mix_logit, survey_shares=scores.logit)


def of_quick_finder(tiny: Tiny) -> Given:
    """The quick scale's finder, which has no second network."""
    scores = Finder.unmeasured(ROOT / "models" / "quick").scores(torch.from_numpy(tiny.images))
    return of_logits(logits=scores.logit)


def of_compound(tiny: Tiny) -> Given:
    """The classifier of compound lenses."""
    model = load_model(ROOT / "models" / "poster" / "compound")
    return of_logits(logits=predict(model, torch.from_numpy(tiny.images)).numpy())


def of_training(tiny: Tiny) -> Given:
    """A narrow LensNet after two epochs: its weights, and the losses."""
    # a low rate: AdamW's first steps go by the signs of gradients, also of those that are only rounding
    recipe = settings("lensnet", Training)
    slow = dataclasses.replace(recipe.fit, epochs=2, threads=1, batch_size=16, learning_rate=0.0005, seed=3)
    narrow = dataclasses.replace(recipe.network, width=4)
    splits = (LabelledImages.from_store(tiny.store, split) for split in ("train", "validation"))
    result = fit(lambda: LensNet(narrow), slow, *splits)
    state = {name: tensor.numpy() for name, tensor in result.model.state_dict().items()}
    floats = np.concatenate([array.ravel() for array in state.values() if array.dtype == np.float32])
    close = {"weights": Close(floats, within(WEIGHT), ELSEWHERE)}
    for name, column in (("train_loss", "augmented_train_loss"), ("validation_loss", "validation_loss")):
        losses = np.array([getattr(record, column) for record in result.records])
        close[name] = Close(losses, within(LOGIT), ELSEWHERE)
    shapes = [[name, *array.shape] for name, array in state.items()]
    return Given({"best_epoch": result.best_epoch, "shapes": shapes}, close, {"floats": floats})


def of_maps(tiny: Tiny) -> Given:
    """Explanation maps of a lens and a non-lens."""
    coarse = dataclasses.replace(settings("explain", ExplainConfig), stride=4, sky_window=4, sky_stride=4)
    labels = tiny.store.truth["label"].to_numpy()
    chosen = [np.flatnonzero(labels == label)[0] for label in (1, 0)]
    images = torch.from_numpy(tiny.images[chosen]).float()
    _, _, maps = all_maps(load_model(ROOT / "models" / "poster"), images, coarse)
    of_lens = {name: Close(values[0], within(OF_MAP * np.abs(values[0]).max())) for name, values in maps.items()}
    sums = {
        f"{name}_sums": Close(values.sum((1, 2), dtype=float), within(OF_MAP * np.abs(values).sum((1, 2), dtype=float)))
        for name, values in maps.items()
    }
    return Given({"maps": list(maps)}, of_lens | sums, maps)


def of_reader(tiny: Tiny) -> Given:
    """The arrays and flags that the reader makes of exported FITS files."""
    cutouts = [read_cutout(path, tiny.store.stamp) for path in tiny.files]
    images = np.stack([cutout.image for cutout in cutouts])
    same = (images.astype(np.float16) == tiny.images[list(tiny.files.values())]).all((1, 2, 3))
    exact = {
        cutout.path.name: {"object": cutout.object, "origin": cutout.origin.name, "flags": list(cutout.flags)}
        | {"float16 pixels of the store": bool(equal)}
        for cutout, equal in zip(cutouts, same, strict=True)
    }
    return Given(exact, {"blocks": blocks(images)}, {"images": images})


def of_score(tiny: Tiny) -> Given:
    """The table of `lensdream score` of these files."""
    out = tiny.folder / "scores.parquet"
    with contextlib.redirect_stdout(io.StringIO()):
        code = score_files([str(path) for path in tiny.files], out, str(ROOT / "models" / "poster"))
    table = pd.read_parquet(out)
    numbers = {name: table[name].to_numpy() for name in ("logit", "probability")}
    return Given(
        {"exit_code": code, "path": [Path(path).name for path in table["path"]], "object": list(table["object"])},
        {name: Close(values, within(LOGIT), ELSEWHERE) for name, values in numbers.items()},
        numbers,
    )


def of_evaluate(tiny: Tiny) -> Given:
    """The JSON that the evaluate stage writes of the quick scale's model."""
    paths = Paths(SCALE, tiny.folder)
    assert tiny.store.folder == paths.images
    shutil.copytree(Paths(SCALE, ROOT).model, paths.model)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["evaluate"]["bootstrap"] = 100
    (tiny.folder / "params.yaml").write_text(yaml.safe_dump(params))
    with contextlib.redirect_stdout(io.StringIO()):
        run_evaluate(SCALE, tiny.folder)
    found = dict(flattened(json.loads(paths.metrics("evaluate").read_text())))
    measured = {name: value for name, value in found.items() if isinstance(value, float)}
    return Given(
        {name: value for name, value in found.items() if name not in measured},
        {name: Close(np.array(value), within(LOGIT), ELSEWHERE) for name, value in measured.items()},
        {"evaluate.json": json.dumps(found).encode()},
    )


LAYERS: dict[str, Callable[[Tiny], Given]] = {
    "pools": of_catalogs,
    "scenes": of_scenes,
    "images": of_images,
    "truth": of_truth,
    "finder": of_finder,
    "quick finder": of_quick_finder,
    "compound classifier": of_compound,
    "training": of_training,
    "maps": of_maps,
    "reader": of_reader,
    "score": of_score,
    "evaluate": of_evaluate,
}


def of_tables(**tables: pd.DataFrame) -> Given:
    """Columns of tables: digests of strings and whole numbers, some of the floats and digests of all of them."""
    columns = {f"{name}.{column}": table[column] for name, table in tables.items() for column in table}
    floats = {name: column.to_numpy() for name, column in columns.items() if column.dtype.kind == "f"}
    rows = {f"{name}.rows": len(table) for name, table in tables.items()}
    order = {f"{name}.columns": list(table) for name, table in tables.items()}
    others = {name: column_digest(column) for name, column in columns.items() if name not in floats}
    close = {
        name: Close(values[np.linspace(0, len(values) - 1, SAMPLED).astype(int)], relative(MEASURED))
        for name, values in floats.items()
    }
    return Given(rows | order | others, close, floats)


def of_logits(**logits: np.ndarray) -> Given:
    """Logits of all images."""
    return Given({}, {name: Close(values, within(LOGIT), ELSEWHERE) for name, values in logits.items()}, logits)


def blocks(images: np.ndarray) -> Close:
    """Sums of images over squares; they may lie off by as much as one float16 step of every pixel adds up to."""
    steps = np.spacing(np.abs(images).astype(np.float16)).astype(float)
    return Close(block_sums(images).astype(np.float32), within(block_sums(steps) * (1 + 1e-3)))


def block_sums(images: np.ndarray) -> np.ndarray:
    """(N, band, y, x) -> (N, band, y / BLOCK, x / BLOCK) float64."""
    n, bands, height, width = images.shape
    tiles = images.astype(float).reshape(n, bands, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return tiles.sum((3, 5))


def within(tolerance: np.ndarray | float) -> Distance:
    """Absolute distance, in units of a tolerance."""
    return lambda values, golden: np.abs(values.astype(float) - golden) / tolerance


def relative(tolerance: float) -> Distance:
    """Distance in units of this part of the golden value."""
    return lambda values, golden: np.abs(values - golden) / (tolerance * np.abs(golden) + np.finfo(np.float32).tiny)


def float16_steps(values: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """How many float16 numbers lie between."""
    return np.abs(ordinal(values) - ordinal(golden))


def ordinal(values: np.ndarray) -> np.ndarray:
    """Float16 numbers counted from 0, which both zeros are: next to each other means 1 apart."""
    bits = values.view(np.int16).astype(np.int32)
    return np.where(bits < 0, -(bits & 0x7FFF), bits)


def flattened(nested: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested dictionaries and lists under dotted names."""
    for name, value in nested.items():
        inner = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(inner, dict):
            yield from flattened(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def column_digest(column: pd.Series) -> str:
    """Digest of a column's type and values."""
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        return digest(values.dtype.str.encode(), values)
    return digest("\0".join(map(str, values)).encode())


def digest(*parts: np.ndarray | bytes) -> str:
    """Sha256 of bytes and arrays, 16 digits of it."""
    sha256 = hashlib.sha256()
    for part in parts:
        sha256.update(part if isinstance(part, bytes) else np.ascontiguousarray(part))
    return sha256.hexdigest()[:16]


def processor() -> dict[str, str]:
    """What the bits of floats depend on: the processor, what torch uses of it, and the libraries."""
    about = cpu_info()
    fast = sorted(flag for flag in about.get("flags", "").split() if flag.startswith(("avx", "amx", "fma")))
    return {
        "model name": about.get("model name", platform.processor()),
        "family, model, stepping": " ".join(about.get(name, "?") for name in ("cpu family", "model", "stepping")),
        "vectors": " ".join(fast),
        "torch uses": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def cpu_info() -> dict[str, str]:
    """The first processor's lines of Linux's list; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    lines = (line.partition(":") for line in path.read_text().split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


@dataclass(frozen=True)
class Golden:
    """The stored values."""

    processor: Mapping[str, str]
    layers: Mapping[str, Mapping[str, Mapping[str, object]]]
    """by layer, then `exact`, `close`, `sha256`"""
    arrays: Mapping[str, np.ndarray]

    @classmethod
    def read(cls) -> Golden:
        """Read both files."""
        stored = json.loads(JSON_FILE.read_text())
        with np.load(ARRAYS_FILE) as arrays:
            return cls(stored["processor"], stored["layers"], dict(arrays))

    def close(self, layer: str) -> dict[str, np.ndarray]:
        """Golden numbers of a layer."""
        stored = {name: np.array(value, float) for name, value in self.layers[layer]["close"].items()}
        return stored | {key.partition("/")[2]: a for key, a in self.arrays.items() if key.partition("/")[0] == layer}

    @functools.cached_property
    def of_this_processor(self) -> bool:
        """Whether bits may be compared."""
        return self.processor == processor()

    def differences(self, layer: str, given: Given) -> list[str]:
        """What is another than it may be, a line each."""
        found = differing(self.layers[layer]["exact"], given.exact)
        golden = self.close(layer)
        if set(given.close) != set(golden):
            return [*found, f"numbers of {sorted(given.close)}, golden ones of {sorted(golden)}"]
        lines = (
            far_off(name, close, golden[name], 1.0 if self.of_this_processor else close.elsewhere)
            for name, close in given.close.items()
        )
        return [*found, *filter(None, lines)]

    def other_bits(self, layer: str, given: Given) -> list[str]:
        """What has another sha256, a line each."""
        return differing(self.layers[layer]["sha256"], digests(given))


def differing(golden: Mapping[str, object], given: Mapping[str, object]) -> list[str]:
    """Entries that are not equal."""
    given = json.loads(json.dumps(given))
    names = dict.fromkeys([*golden, *given])
    return [
        f"{name}: {given.get(name, 'missing')}, golden {golden.get(name, 'missing')}"
        for name in names
        if name not in golden or name not in given or given[name] != golden[name]
    ]


def far_off(name: str, close: Close, golden: np.ndarray, most: float) -> str | None:
    """How far off numbers are, where one is more than `most`."""
    if close.values.shape != golden.shape:
        return f"{name}: of the shape {close.values.shape}, golden {golden.shape}"
    same = (close.values == golden) | (np.isnan(close.values) & np.isnan(golden))
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.where(same, 0.0, np.nan_to_num(close.distance(close.values, golden), nan=np.inf))
    if (distance <= most).all():
        return None
    worst = np.unravel_index(distance.argmax(), distance.shape)
    return (
        f"{name}: {int((distance > most).sum())} of {distance.size} numbers are too far off, the worst by "
        f"{distance.max():.3g} tolerances: {close.values[worst]} at {tuple(map(int, worst))}, golden {golden[worst]}"
    )


def digests(given: Given) -> dict[str, str]:
    """Sha256 of all bits."""
    return {name: digest(value) for name, value in given.bits.items()}


def write(layers: Mapping[str, Given]) -> None:
    """Write both files."""
    arrays, stored = {}, {}
    for layer, given in layers.items():
        long = {name: close.values for name, close in given.close.items() if close.values.size > MOST_IN_JSON}
        short = {name: rounded(close.values) for name, close in given.close.items() if name not in long}
        arrays |= {f"{layer}/{name}": values for name, values in long.items()}
        stored[layer] = {"exact": dict(given.exact), "close": short, "sha256": digests(given)}
    JSON_FILE.write_text(laid_out({"processor": processor(), "layers": stored}) + "\n")
    np.savez_compressed(ARRAYS_FILE, **arrays)


def rounded(values: np.ndarray) -> object:
    """A number or nested lists of 7 digits, far below every tolerance."""
    return (
        np.vectorize(lambda value: float(f"{value:.7g}"))(values).tolist()
        if values.dtype.kind == "f"
        else values.tolist()
    )


def laid_out(value: object, indent: int = 1) -> str:
    """JSON with a line for every entry of a dictionary, and lists on one."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    entries = ",\n".join(
        f"{' ' * indent}{json.dumps(key)}: {laid_out(entry, indent + 1)}" for key, entry in value.items()
    )
    return "{\n" + entries + "\n" + " " * (indent - 1) + "}"


@one_thread()
def given_by(layer: str, tiny: Tiny) -> Given:
    """What a layer gives."""
    return LAYERS[layer](tiny)


def main() -> int:
    """Compare, or write with `--write`."""
    parser = argparse.ArgumentParser(description="Golden values of every layer on a tiny population.")
    parser.add_argument("--write", action="store_true", help="write golden.json and golden.npz anew")
    writes = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        tiny = tiny_population(Path(folder))
        layers = {name: given_by(name, tiny) for name in LAYERS}
    if writes:
        write(layers)
        return 0
    golden = Golden.read()
    lines = [f"{name}: {line}" for name, given in layers.items() for line in golden.differences(name, given)]
    here = golden.of_this_processor
    if here:
        lines += [
            f"{name}: bits of {line}" for name, given in layers.items() for line in golden.other_bits(name, given)
        ]
    print("\n".join(lines) or f"all as golden{'' if here else ', bits apart: those are of another processor'}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
