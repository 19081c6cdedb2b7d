"""The explain stage: a fixed set of scenes, every method, and the scores of the maps against the simulator's arcs."""

from __future__ import annotations

import importlib.metadata
import io
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lensdream import config, dataset, networks, tracking
from lensdream.explain import dream, figures, gradients, measure
from lensdream.explain.occlusion import Occlusion, occlude, sky_fill
from lensdream.explain.randomised import randomised_twin
from lensdream.files import write_json, write_whole
from lensdream.paths import Paths
from lensdream.scene import FAMILIES_LENS, FAMILIES_NON_LENS
from lensdream.survey import EUCLID

FAMILIES_COMPOUND = ("compound_arc", "double_ring")
FAMILIES_WITH_ARCS = FAMILIES_LENS + FAMILIES_COMPOUND
FAMILIES = FAMILIES_LENS + FAMILIES_NON_LENS + FAMILIES_COMPOUND
DREAMT = ("lens", "elliptical", *FAMILIES_COMPOUND)
"""families that are dreamt; of the non-lenses the ellipticals, each of which is some lens without its source"""
CAM_LAYER = "block_3"
"""where Guided Grad-CAM looks: cells of 8 pixels, 0.8 arcsec. The CAMs of earlier layers are often negative all over"""
GPU_CHUNK = 512
"""occluded images scored together on a GPU; the setting is meant for a CPU's cache"""
WAYS = ("towards_lens", "towards_non_lens")
BATCH = 32
"""images differentiated together"""


@dataclass(frozen=True)
class Explained:
    """The chosen scenes and all their maps; n scenes."""

    truth: pd.DataFrame
    """rows of the store's truth table; the frame's index is the position in the store"""
    images: np.ndarray
    """(n, band, y, x) float32 [microjansky a pixel]"""
    masks: np.ndarray
    """(n, y, x) uint8 bits of the store"""
    zero: Occlusion
    sky: Occlusion
    maps: dict[str, np.ndarray]
    """method -> (n, y, x) float32, larger for more evidence for a lens"""

    @property
    def arcs(self) -> np.ndarray:
        """(n, y, x) bool: light of a lensed source."""
        return (self.masks & (dataset.ARC_1 | dataset.ARC_2)) > 0

    @property
    def family(self) -> np.ndarray:
        """(n,) names."""
        return self.truth["family"].to_numpy().astype(str)

    def places(self, *families: str) -> np.ndarray:
        """Places of the scenes of these families."""
        return np.flatnonzero(np.isin(self.family, families))

    def label(self, place: int) -> str:
        """Name of a scene in figures."""
        return f"scene {self.truth['index'].iloc[place]}"


def run(scale: str, root: Path = Path()) -> None:
    """Explain the model of a scale on a fixed set of its scenes; write maps, figures and, last, the metrics.

    `artifacts/<scale>/explain/maps.npz` (its `about` says what is in it), `figures/<scale>/explain/*.png` and
    `metrics/<scale>/explain.json`: each method's scores (`measure.score_maps`), `dream`, `scenes`, `seconds`.
    """
    start = time.perf_counter()
    settings = config.load("explain", config.ExplainConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = networks.load_model(paths.model).to(device, memory_format=torch.channels_last)
    store = dataset.ImageStore.open(paths.images)
    positions = choose_scenes(store.truth, settings.scenes_per_family, settings.seed)
    with tracking.stage_run("explain", scale, settings, root=root, datasets={"images": paths.images}) as tracked:
        explained = explain(model, store, positions, settings, device)
        write_whole(root / "artifacts" / scale / "explain" / "maps.npz", _maps_file(explained, settings))
        chosen = explained.places(*FAMILIES_WITH_ARCS)
        result: dict = measure.score_maps(
            {method: maps[chosen] for method, maps in explained.maps.items()},
            explained.images[chosen],
            explained.arcs[chosen],
            explained.family[chosen],
            settings.seed,
        )
        result["dream"], dream_pages = dream_scenes(model, explained, settings, device)
        for name, page in (maps_pages(explained, settings) | dream_pages).items():
            path = paths.figures / "explain" / f"{name}.png"
            write_whole(path, _png(page))
            tracked.figure(path)
        result["scenes"] = {name: len(explained.places(name)) for name in FAMILIES}
        result["seconds"] = round(time.perf_counter() - start, 3)
        tracked.metrics(measure.flat(result))
    write_json(paths.metrics("explain"), result)


def choose_scenes(truth: pd.DataFrame, per_family: int, seed: int) -> np.ndarray:
    """Choose positions of `per_family` scenes of every family of the test and compound splits.

    Fewer where there are fewer. A family's choice depends on the seed and that family alone.
    Raises `ValueError` if there is none at all.
    """
    chosen = []
    for number, family in enumerate(FAMILIES):
        split = "compound" if family in FAMILIES_COMPOUND else "test"
        places = np.flatnonzero((truth["family"] == family) & (truth["split"] == split))
        chosen.append(np.random.default_rng([seed, number]).permutation(places)[:per_family])
    positions = np.concatenate(chosen)
    if not len(positions):
        raise ValueError("the store has no scene of the splits 'test' and 'compound' to explain: simulate some")
    return positions


def explain(
    model: networks.LensNet,
    store: dataset.ImageStore,
    positions: np.ndarray,
    settings: config.ExplainConfig,
    device: torch.device,
) -> Explained:
    """Make every map of the scenes at these positions of the store."""
    images = torch.from_numpy(store.images(positions).astype(np.float32)).to(device)
    chunk = settings.chunk if device.type == "cpu" else max(settings.chunk, GPU_CHUNK)
    noise = sky_fill(tuple(images.shape), EUCLID, torch.Generator().manual_seed(settings.seed))
    zero, sky = (
        occlude(model, images, window=settings.window, stride=settings.stride, fill=fill, chunk=chunk)
        for fill in (0.0, noise)
    )
    layer = model.get_submodule(CAM_LAYER)
    guided = torch.cat([gradients.guided_grad_cam(model, layer, batch) for batch in images.split(BATCH)])
    maps = {
        "occlusion_zero": zero.to_pixels(zero.logit_change),
        "occlusion_sky": sky.to_pixels(sky.logit_change),
        "guided_grad_cam": gradients.pooled(guided),
        "integrated_gradients": gradients.pooled(gradients.integrated_gradients(model, images)),
    }
    return Explained(
        truth=store.truth.reset_index(drop=True).iloc[positions],
        images=_array(images),
        masks=store.masks(positions),
        zero=zero,
        sky=sky,
        maps={method: _array(values) for method, values in maps.items()},
    )


def dream_scenes(
    model: networks.LensNet, explained: Explained, settings: config.ExplainConfig, device: torch.device
) -> tuple[dict, dict[str, Figure]]:
    """Dream both ways; returns what it did to logits and to the arcs' colour, and the triptychs by file name."""
    places = explained.places(*DREAMT)
    if not len(places):
        return {}, {}
    images = torch.from_numpy(explained.images[places]).to(device)
    highest = torch.from_numpy(explained.images).amax((0, 2, 3))
    to_lens, to_non_lens = _both_ways(model, images, highest, settings)
    twin = _both_ways(randomised_twin(model, settings.seed), images[:1], highest, settings)

    def row(label: str, k: int, lens: dream.Dream, non_lens: dream.Dream) -> figures.DreamRow:
        logits = (float(non_lens.after[k]), float(lens.before[k]), float(lens.after[k]))
        original = explained.images[places[k]]
        return figures.DreamRow(label, _array(non_lens.images[k]), original, _array(lens.images[k]), logits)

    family = explained.family[places]
    pages = {}
    for name in dict.fromkeys(family):
        drawn = np.flatnonzero(family == name)[: settings.figures_per_family]
        rows = [row(explained.label(places[k]), k, to_lens, to_non_lens) for k in drawn]
        pages[f"dream-{name}"] = figures.dream_page(f"Deep Dream: {name}", rows)
    rows = [row("trained", 0, to_lens, to_non_lens), row("random weights", 0, *twin)]
    pages["dream-random-twin"] = figures.dream_page(
        f"Deep Dream and random weights: {explained.label(places[0])}", rows
    )

    def numbers(dreamt: dream.Dream) -> dict:
        has_arcs = np.isin(family, FAMILIES_WITH_ARCS)
        change = _array(dreamt.after - dreamt.before)
        after = _array(dreamt.images)
        return measure.measure_dream(
            explained.images[places], after, explained.arcs[places], has_arcs, change, settings.seed
        )

    twin_change = {f"{way}_logit_change": float(d.after[0] - d.before[0]) for way, d in zip(WAYS, twin, strict=True)}
    result: dict = dict(zip(WAYS, (numbers(to_lens), numbers(to_non_lens)), strict=True))
    return result | {"random_twin": twin_change}, pages


def _both_ways(
    network: nn.Module, images: Tensor, highest: Tensor, settings: config.ExplainConfig
) -> tuple[dream.Dream, dream.Dream]:
    """Dream towards lens and towards non-lens, every scene with the same jitter, alone or in company."""
    climb = dream.Climb(
        settings.dream_steps,
        settings.dream_octaves,
        settings.dream_octave_scale,
        settings.dream_jitter,
        settings.dream_step_size,
    )
    transfer = dream.psf_transfer(EUCLID, images.shape[-1])

    def one_way(towards: float) -> dream.Dream:
        parts = [
            dream.dream(
                network,
                batch,
                towards=towards,
                climb=climb,
                sky_sigma=torch.tensor(EUCLID.sky_sigma),
                highest=highest,
                generator=torch.Generator().manual_seed(settings.seed),
                transfer=transfer,
            )
            for batch in images.split(BATCH)
        ]
        return dream.Dream(*(torch.cat([getattr(p, name) for p in parts]) for name in ("images", "before", "after")))

    return one_way(dream.TOWARDS_LENS), one_way(dream.TOWARDS_NON_LENS)


def maps_pages(explained: Explained, settings: config.ExplainConfig) -> dict[str, Figure]:
    """Draw a page of maps for every family; by file name."""
    pages = {}
    for name in dict.fromkeys(explained.family):
        rows = [_maps_row(explained, place) for place in explained.places(name)[: settings.figures_per_family]]
        pages[f"occlusion-{name}"] = figures.maps_page(f"What supports the decision: {name}", rows, settings.window)
    return pages


def _maps_row(explained: Explained, place: int) -> figures.MapsRow:
    logit, mask = explained.zero.original[place], explained.masks[place]
    return figures.MapsRow(
        label=f"{explained.label(place)}\nlogit {float(logit):+.2f}, p {float(logit.sigmoid()):.2f}",
        image=explained.images[place],
        arcs=((mask & dataset.ARC_1) > 0, (mask & dataset.ARC_2) > 0),
        occlusion_zero=explained.maps["occlusion_zero"][place],
        occlusion_sky=explained.maps["occlusion_sky"][place],
        guided_grad_cam=explained.maps["guided_grad_cam"][place],
    )


def _maps_file(explained: Explained, settings: config.ExplainConfig) -> bytes:
    """All maps as float32, with what a reader needs to use them."""
    about = {
        "sign": "positive supports 'lens': logit (or probability) of the image minus that of the covered image",
        "occlusion_*": "(scene, y, x) on the grid corner_y, corner_x: first row and column of each square [pixel]",
        "fill": {"occlusion_zero": "0 in all bands", "occlusion_sky": "correlated sky noise by the settings' seed"},
        "guided_grad_cam, integrated_gradients": "(scene, y, x) per pixel: sum over bands of the positive parts",
        "position": "row of the image store's truth table",
        "cam_layer": CAM_LAYER,
        "captum": importlib.metadata.version("captum"),
        "settings": asdict(settings),
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        about=json.dumps(about),
        position=explained.truth.index.to_numpy(),
        scene=explained.truth["index"].to_numpy(),
        family=explained.family,
        logit=_array(explained.zero.original),
        corner_y=_array(explained.zero.corners_y),
        corner_x=_array(explained.zero.corners_x),
        occlusion_zero=_array(explained.zero.logit_change),
        occlusion_zero_probability=_array(explained.zero.probability_change),
        occlusion_sky=_array(explained.sky.logit_change),
        occlusion_sky_probability=_array(explained.sky.probability_change),
        guided_grad_cam=explained.maps["guided_grad_cam"],
        integrated_gradients=explained.maps["integrated_gradients"],
    )
    return buffer.getvalue()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
