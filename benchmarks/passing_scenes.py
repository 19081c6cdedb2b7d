"""Write the tables of scenes that `gpu_second.py` renders: those of the recipe `deep` that pass LensNet's gate.

Needs the store and the first network of the scale, and SkyPy; no GPU. Few non-lenses pass the gate, so scoring them here
spares the GPU's machine nine in ten, and the tables, some 200 bytes a scene, travel where images would not. Lenses are not
scored: nearly all pass. `--parts` folders of training scenes, random ones, one of those that validate, and
`counts.json` with the numbers drawn in the shares of the training split.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lensdream.commands.paths import Paths
from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.dataset import target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.dataset.store import ImageStore
from lensdream.networks.cascade import passes_gate
from lensdream.networks.model_file import load_model
from lensdream.population import drawing
from lensdream.population.catalogs import Catalogs
from lensdream.population.drawing import Chunk, SceneDrawer
from lensdream.render.renderer import MASS_COLUMNS
from lensdream.runtime.processes import worker_map
from lensdream.scene import BACKGROUND_COLUMNS, SCENE_COLUMNS, SKY_COLUMNS, Scenes
from lensdream.train.recipes import DEEP
from lensdream.train.second_stage_data import OnTheFlyMix, drawn_in_training_mix, gated_rows

RENDERED = {
    *MASS_COLUMNS.values(), *SKY_COLUMNS, *BACKGROUND_COLUMNS, "index", "label", "seed", "psf", "dither",
    "cosmic_rays", "hot_pixels", "dead_columns", "edge", "edge_side", "missing_bands",
}  # fmt: skip
"""columns that an image depends on, and its label; the others travel as zeros"""
PARAMS = Path("params.yaml")

Draw = Callable[[SceneDrawer, Chunk], Scenes]


def main() -> None:
    """Draw, score and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="poster")
    parser.add_argument("--out", type=Path, default=Path("gpu/scenes"))
    parser.add_argument("--parts", type=int, default=8)
    arguments = parser.parse_args()
    paths, fresh = Paths(arguments.scale), DEEP.read_settings(arguments.scale, PARAMS).fresh
    if fresh.hard_families:
        parser.error(f"deep.fresh.hard_families is {fresh.hard_families}, and their weights do not travel: set it to 0")
    scenes = OnTheFlyMix.read(arguments.scale, PARAMS, fresh)
    store, stored = ImageStore.open(paths.images), Scenes.load(paths.scenes)
    first = load_model(paths.model)
    found = passing(scenes, paths.model)
    found.append(taken(stored, gated_rows(store, "train", first)))
    for number, part in enumerate(parts(drawing.joined(found), arguments.parts)):
        write(part, arguments.out / f"part-{number}")
    write(stored.take(gated_rows(store, "validation", first)), arguments.out / "validation")
    n_lens, non_lenses = drawn_in_training_mix(store, scenes)
    counts = {"lenses": n_lens, "non_lenses": sum(non_lenses.values())}
    (arguments.out / "counts.json").write_text(json.dumps(counts))
    print(counts)


def passing(scenes: OnTheFlyMix, model: Path) -> list[Scenes]:
    """Fresh lenses, and the fresh non-lenses that pass the gate of a folder's network."""
    tasks: list[tuple[Chunk, Draw]] = [(chunk, SceneDrawer.draw) for chunk in scenes.chunks]
    of_targets = partial(target_mix.draw, near_miss=scenes.survey.near_miss)
    tasks += [(chunk, of_targets) for chunk in scenes.target_chunks]
    arguments = (scenes.population, scenes.simulate, drawing.draw_all_catalogs(scenes.population), model)
    with worker_map(scenes.simulate.workers, FirstStage.start, arguments) as ordered:
        return [part for part in tqdm(ordered(FirstStage.passing, tasks), total=len(tasks)) if len(part)]


@dataclass(frozen=True)
class FirstStage:
    """First stage of the cascade: chunks drawn one at a time, and their scenes that pass the gate."""

    drawer: ImageDrawer
    first: torch.nn.Module

    @classmethod
    def start(
        cls, population: PopulationConfig, simulate: SimulateConfig, catalogs: Catalogs, model: Path
    ) -> FirstStage:
        """Make the first stage of this process, and limit torch to one thread."""
        first = load_model(model).to(memory_format=torch.channels_last)
        return cls(ImageDrawer.start(population, simulate, catalogs), first)

    def passing(self, task: tuple[Chunk, Draw]) -> Scenes:
        """Lenses of a chunk, and its non-lenses that pass the gate."""
        chunk, draw = task
        scenes = draw(self.drawer.scene_drawer, chunk)
        label = scenes.scenes["label"].to_numpy()
        chosen, non_lenses = label == 1, np.flatnonzero(label == 0)
        if len(non_lenses):
            images = torch.from_numpy(self.drawer.images(scenes.take(non_lenses)))
            chosen[non_lenses] = passes_gate(self.first, images).numpy()
        return taken(scenes, np.flatnonzero(chosen))


def taken(scenes: Scenes, rows: np.ndarray) -> Scenes:
    """Scenes of these rows, ascending, counted from 0, as input of `joined`."""
    part = scenes.take(rows)
    index = part.scenes["index"].to_numpy()
    components = part.components.assign(scene=np.searchsorted(index, part.components["scene"]))
    return Scenes(part.scenes.assign(index=np.arange(len(index)), partner=-1), components)


def parts(scenes: Scenes, n: int) -> list[Scenes]:
    """Random parts of the scenes, `n` of about one size."""
    order = np.random.default_rng(0).permutation(len(scenes))
    return [scenes.take(np.sort(part)) for part in np.array_split(order, n)]


def write(scenes: Scenes, folder: Path) -> None:
    """Write tables that `Scenes.load` reads, as small as Parquet can."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = scenes.scenes.assign(**dict.fromkeys(set(SCENE_COLUMNS) - RENDERED, 0))
    for name, table in (("scenes", kept), ("components", scenes.components)):
        floats = list(table.select_dtypes("float64"))
        table.assign(**{column: shortened(table[column].to_numpy()) for column in floats}).to_parquet(
            folder / f"{name}.parquet", index=False, compression="zstd", compression_level=19,
            use_dictionary=[column for column in table if column not in floats], use_byte_stream_split=floats,
        )  # fmt: skip
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {len(scenes)} scenes, {size / 1e6:.1f} MB")


def shortened(values: np.ndarray) -> np.ndarray:
    """Values as float32, rounded to 16 significant bits: images have 11, and zero bits take no room in a file."""
    bits = values.astype(np.float32).view(np.uint32)
    return (((bits + np.uint32(1 << 7)) >> np.uint32(8)) << np.uint32(8)).view(np.float32)


if __name__ == "__main__":
    main()
