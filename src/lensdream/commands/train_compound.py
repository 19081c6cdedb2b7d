"""`lensdream train-compound`: train the compound classifier, starting from the weights of the finder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock
from lensdream.commands.train import Job, tracked
from lensdream.dataset.store import ImageStore
from lensdream.networks.layout import WEIGHTS
from lensdream.networks.model_file import load_model
from lensdream.runtime.files import sha256_of
from lensdream.train.compound_data import compound_training_set
from lensdream.train.recipes import COMPOUND
from lensdream.train.warm_start import with_new_head


def run(scale: str, root: Path = Path()) -> None:
    """Train the compound classifier of a scale; writes its model, its curves and `metrics/<scale>/train-compound.json`.

    Raises `FileNotFoundError` without the finder of the scale, `ValueError` without scenes to train on.
    """
    clock, paths = Clock(), Paths(scale, root)
    finder, weights = load_model(paths.model), paths.model / WEIGHTS
    settings = COMPOUND.read_settings(scale, root / "params.yaml")
    build = partial(with_new_head, finder, settings.network)
    build()  # refuses a finder of another kind before the images are read
    store = ImageStore.open(paths.images)
    train, validation = compound_training_set(store, settings, sha256_of(weights))
    n_compound = len(train.pairs) // 2
    more = {
        "compound_lenses": n_compound,
        "single_lenses_an_epoch": train.n_singles,
        "validation_images": len(validation),
    }
    odds = n_compound / (len(train) - n_compound)
    job = Job(COMPOUND, settings, build, train, validation, {"finder": weights}, more, odds)
    tracked(job, paths, store.stamp, clock=clock)
