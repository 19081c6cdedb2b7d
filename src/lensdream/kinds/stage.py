"""The train-kinds stage: which kind of non-lens an image is, by what the second network sees in it.

The network learned from many ring galaxies and mergers, so that it learns them at all; a survey has few, and an image that may
be a ring galaxy or a lens is a lens there more often than in training. What else an image may be tells by how much.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from lensdream import config, tracking
from lensdream.config import KindsConfig, SecondNetworkConfig
from lensdream.dataset import ImageStore, fresh, targets
from lensdream.files import write_json
from lensdream.networks import DeepLensNet, Kinds, load_model, save_kinds
from lensdream.networks.lensnet import pooled
from lensdream.networks.model_file import WEIGHTS, is_model
from lensdream.networks.predict import CPU_BATCH
from lensdream.networks.second_looks import orientations, passes
from lensdream.paths import Paths
from lensdream.population import stage
from lensdream.processes import worker_map
from lensdream.scene import FAMILIES_NON_LENS
from lensdream.second_network.images import EPOCH, Fresh, kinds_a_lens

KINDS_EPOCH = EPOCH + 3
"""of the lots of fresh non-lenses: no training has them"""
BARE_EPOCH = KINDS_EPOCH + 1
"""of those of early types without a source"""
NEVER = -30.0
"""log likelihood of a kind of which nothing is let through"""


def run(scale: str, root: Path = Path()) -> None:
    """Fit it at a scale; writes `models/<scale>/kinds` and `metrics/<scale>/train-kinds.json`.

    Raises `FileNotFoundError` without a second network, `ValueError` where too few images are let through.
    """
    paths, params = Paths(scale, root), root / "params.yaml"
    if not is_model(paths.second):
        raise FileNotFoundError(
            f"no second network in {paths.second}: run `lensdream train-second --scale {scale}` first"
        )
    settings = config.load("kinds", KindsConfig, scale, params)
    network, store = load_model(paths.second).to(memory_format=torch.channels_last), ImageStore.open(paths.images)
    scenes = Fresh.read(scale, params, config.load("second_network", SecondNetworkConfig, scale, params))
    fresh.require_size(scenes.simulate, store)
    datasets = {"images": paths.images, "second": paths.second / WEIGHTS}
    with tracking.stage_run("train-kinds", scale, settings, root=root, datasets=datasets) as run:
        started = time.perf_counter()
        torch.set_num_threads(1)  # while workers render
        seen, kind = seen_of(drawn(scenes, settings.fresh_of_each), load_model(paths.model), network, settings.seed)
        held_out = np.random.default_rng(settings.seed).random(len(kind)) < settings.held_out
        found = fitted(seen[~held_out], kind[~held_out], kinds_a_lens(store, scenes), settings.penalty)
        save_kinds(paths.model, found)
        result = measured(found, seen[held_out], kind[held_out]) | {"seconds": round(time.perf_counter() - started, 1)}
        result["let_through"] = {
            name: float((kind == k).sum() / settings.fresh_of_each) for k, name in enumerate(found.names)
        }
        result["trained_on"] = dict(zip(found.names, found.trained_on.tolist(), strict=True))
        write_json(paths.metrics("train-kinds"), result)
        run.metrics({name: value for name, value in result.items() if not isinstance(value, dict)})
    print(report(result))


def drawn(scenes: Fresh, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """`n` non-lenses of each of `targets.KINDS`: the number of the kind and images (m, band, y, x) float16, lot by lot."""
    bare = targets.lots({stage.CONTROL: n}, fresh.SPLIT, BARE_EPOCH)
    others = targets.lots(dict.fromkeys(FAMILIES_NON_LENS, n), fresh.SPLIT, KINDS_EPOCH)
    arguments = (scenes.population, scenes.simulate, stage.draw_all_pools(scenes.population))
    with worker_map(scenes.simulate.workers, fresh.start_worker, arguments) as ordered:
        for lots, beside_caustic, early in ((bare, 0.0, stage.CONTROL), (others, 1.0, targets.BESIDE_CAUSTIC)):
            parts = ordered(partial(targets.draw_images, beside_caustic=beside_caustic), lots)
            known = tqdm(parts, total=len(lots), desc="fresh non-lenses", leave=False)
            for lot, (images, _) in zip(lots, known, strict=True):
                yield targets.KINDS.index(early if lot.family == stage.LENS else lot.family), images


@torch.inference_mode()
def seen_of(
    parts: Iterator[tuple[int, np.ndarray]], first: torch.nn.Module, network: DeepLensNet, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees (N, feature) in the images that the first lets through, each in one orientation, and kinds (N,)."""
    rng = np.random.default_rng(seed)
    seen, kinds = [], []
    for kind, some in parts:
        images = torch.from_numpy(some)
        images = images[passes(first, images)].float()
        for batch in images.split(CPU_BATCH):
            turned = orientations(batch)[rng.integers(8)].contiguous(memory_format=torch.channels_last)
            seen.append(pooled(network.features(turned)).numpy())
        kinds += [kind] * len(images)
    if not kinds:
        raise ValueError("the first look lets no fresh non-lens through: raise kinds.fresh_of_each")
    return np.concatenate(seen), np.array(kinds)


def fitted(seen: np.ndarray, kind: np.ndarray, trained_on: dict[str, float], penalty: float) -> Kinds:
    """The multinomial logistic regression of kinds (N,) on what is seen (N, feature), as many having been drawn of each.

    trained_on: how many of each of `targets.KINDS` the second network learned from for every lens. A kind of which nothing is
    seen is as good as impossible. Raises `ValueError` for fewer than three kinds.
    """
    known = np.unique(kind)
    if len(known) < 3:
        raise ValueError(f"{len(known)} kinds of non-lenses are let through, 3 are needed: raise kinds.fresh_of_each")
    scaler = StandardScaler().fit(seen)
    model = LogisticRegression(C=1 / (penalty * len(kind)), max_iter=1000).fit(scaler.transform(seen), kind)
    weight = np.zeros((len(targets.KINDS), seen.shape[1]))
    bias = np.full(len(targets.KINDS), NEVER)
    weight[known] = model.coef_ / scaler.scale_
    bias[known] = model.intercept_ - weight[known] @ scaler.mean_
    weight, bias = (torch.as_tensor(array, dtype=torch.float32) for array in (weight, bias))
    return Kinds(weight, bias, {name: trained_on[name] for name in targets.KINDS})


def measured(kinds: Kinds, seen: np.ndarray, kind: np.ndarray) -> dict[str, object]:
    """Of held-out images: their number, the mean negative log likelihood and, of each kind, the share told right."""
    said = kinds(torch.from_numpy(seen)).double()
    truth = torch.from_numpy(kind)
    loss = torch.nn.functional.cross_entropy(said, truth)
    right = (said.argmax(1) == truth).numpy()
    told = {name: float(right[kind == k].mean()) for k, name in enumerate(kinds.names) if (kind == k).any()}
    return {"n_held_out": len(kind), "cross_entropy": float(loss), "accuracy": float(right.mean()), "told": told}


def report(result: dict[str, object]) -> str:
    """The table that the stage prints."""
    lines = [
        f"{result['n_held_out']} held out: {result['accuracy']:.3f} told right, cross-entropy {result['cross_entropy']:.3f}",
        f"  {'kind':15s} {'let through':>12s} {'told right':>11s} {'a lens':>12s}",
    ]
    for name, share in result["let_through"].items():
        told = result["told"].get(name)
        lines.append(
            f"  {name:15s} {share:12.4f} {'-' if told is None else f'{told:.3f}':>11s} {result['trained_on'][name]:12.4f}"
        )
    return "\n".join(lines)
