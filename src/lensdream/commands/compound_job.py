"""Training of the compound classifier, made ready: it starts from the weights of the first stage."""

from __future__ import annotations

from functools import partial

from lensdream.commands.paths import Paths
from lensdream.commands.training import Job
from lensdream.dataset.store import ImageStore
from lensdream.networks.layout import WEIGHTS
from lensdream.networks.model_file import load_model
from lensdream.runtime.files import sha256_of
from lensdream.train.compound_data import compound_training_set
from lensdream.train.recipes import COMPOUND
from lensdream.train.warm_start import with_new_head


def prepared(paths: Paths) -> tuple[Job, Paths, int]:
    """Job of the compound classifier of a scale, its files, and the side of its images [pixel].

    Raises `ValueError` for a first stage of another kind and without scenes to train on.
    """
    finder, weights = load_model(paths.model), paths.model / WEIGHTS
    settings = COMPOUND.read_settings(paths.scale, paths.root / "params.yaml")
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
    return Job(COMPOUND, settings, build, train, validation, {"finder": weights}, more, odds), paths, store.stamp
