"""`lensdream explain --scale`: apply every method to a fixed set of scenes; score the maps against the simulator's truth."""

from __future__ import annotations

from pathlib import Path

import torch

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock, timed_run
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.explanations import (
    measure,
    run_ablations,
    run_channels,
    run_dreams,
    run_occlusions,
    run_removals,
    run_sanity,
)
from lensdream.evaluate.explanations.explained_set import (
    FAMILIES,
    FAMILIES_WITH_ARCS,
    choose_scenes,
    explain,
    maps_file,
)
from lensdream.networks.model_file import load_model
from lensdream.plots.encoded import png
from lensdream.render.batch import renderer_of
from lensdream.runtime.files import write_json, write_whole
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Explain the model of a scale on a fixed set of its scenes; write maps, figures and, last, the metrics.

    `artifacts/<scale>/explain/maps.npz` (its `about` says what is in it) and `channels.csv`,
    `figures/<scale>/explain/*.png` and `metrics/<scale>/explain.json`: each method's scores (`measure.score_maps`),
    `sanity`, `removal`, `ablation`, `dream`, `kernels`, `scenes`.
    """
    clock = Clock()
    settings = config.load("explain", config.ExplainConfig, scale, root / "params.yaml")
    rendering = config.load("simulate", config.SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(paths.model).to(device, memory_format=torch.channels_last)
    store, scenes = ImageStore.open(paths.images), Scenes.load(paths.scenes)
    folder = root / "artifacts" / scale / "explain"
    positions = choose_scenes(store.truth, settings.scenes_per_family, settings.seed)
    datasets = {"images": paths.images}
    with timed_run("explain", scale, settings, root=root, datasets=datasets, clock=clock) as tracked:
        explained = explain(model, store, positions, settings, device)
        write_whole(folder / "maps.npz", maps_file(explained, settings))
        chosen = explained.rows_of(*FAMILIES_WITH_ARCS)
        result: dict = measure.score_maps(
            {method: maps[chosen] for method, maps in explained.maps.items()},
            explained.images[chosen],
            explained.arcs[chosen],
            explained.family[chosen],
            settings.seed,
        )
        result["sanity"], pages = run_sanity.run(model, explained, settings, device)
        pages |= run_occlusions.pages(explained, settings, run_sanity.note(result["sanity"]))
        result["removal"], drawn = run_removals.run(model, explained, settings, device)
        pages |= drawn
        result["ablation"], drawn = run_ablations.run(model, renderer_of(rendering), scenes, explained, settings)
        pages |= drawn
        result["dream"], drawn = run_dreams.run(model, store, settings, device)
        pages |= drawn
        result["kernels"], drawn, table = run_channels.run(model, store, settings, device)
        pages |= drawn
        write_whole(folder / "channels.csv", table.to_csv(index=False).encode())
        for name, page in pages.items():
            path = paths.figures / "explain" / f"{name}.png"
            write_whole(path, png(page))
            tracked.figure(path)
        result["scenes"] = {name: len(explained.rows_of(name)) for name in FAMILIES}
        tracked.metrics(measure.flat(result))
    write_json(paths.metrics("explain"), result)
