"""The training of the compound classifier, on small stores."""

import json
import re
from functools import partial

import numpy as np
import pytest
import torch

from compound_store import SETTINGS, start_of, truth_of, write_store
from conftest import measures_of
from lensdream.commands import train
from lensdream.config import WarmStart
from lensdream.networks import layout
from lensdream.networks.compound import CompoundClassifier
from lensdream.networks.layout import images_trained_on
from lensdream.networks.lensnet import LensNetConfig
from lensdream.networks.model_file import load_model
from lensdream.networks.ou import OU66, OUConfig
from lensdream.networks.predict import predict
from lensdream.train import compound_data
from lensdream.train.loop import fit
from lensdream.train.recipes import COMPOUND
from lensdream.train.warm_start import with_new_head


@pytest.fixture
def paths(tmp_path):
    return start_of(tmp_path)


def test_training_starts_from_the_finder_s_features_and_a_new_last_layer(paths):
    finder = load_model(paths.model)
    model = with_new_head(finder, SETTINGS.network).eval()
    pixels = torch.randn(3, 4, 32, 32) * 0.01
    assert torch.equal(model.features(pixels), finder.features(pixels))
    assert not torch.equal(model.head.weight, finder.head.weight)
    assert model.config == LensNetConfig(8, SETTINGS.network.dropout)
    assert model.dropout.p == SETTINGS.network.dropout


def test_a_finder_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="starts from a LensNet, the finder is a OU66: run the train stage again"):
        with_new_head(OU66(OUConfig()), WarmStart())


def test_training_separates_compound_from_single_lenses_and_writes_model_and_metrics(paths, tmp_path, capsys):
    store = write_store(paths, truth_of())
    train.run("tiny", "compound_classifier", tmp_path)
    measured = json.loads(paths.metrics("train-compound").read_text())
    assert measured["validation_auroc"] > 0.9
    assert (measured["compound_lenses"], measured["single_lenses_an_epoch"], measured["validation_images"]) == (
        16,
        24,
        14,
    )
    assert re.search(r"best epoch \d of 4", capsys.readouterr().out)
    head = CompoundClassifier.load(paths.model)
    test = store.truth["split"] == "compound"
    logits = predict(head, torch.from_numpy(store.images(np.flatnonzero(test))))
    assert logits[0] > logits[1]  # a double ring and its single lens, of a split that it has not seen
    assert images_trained_on(paths.model / layout.COMPOUND) == 32 + min(40, 24 * (measured["best_epoch"] + 1))
    assert head.training_odds == pytest.approx(16 / 40)  # 16 pairs and 24 ordinary single lenses
    assert (paths.figures / "train-compound" / "losses.png").is_file()
    assert paths.metrics("epochs-compound").with_suffix(".csv").is_file()
    assert not paths.checkpoint("train-compound").exists()


def test_a_killed_training_of_the_head_ends_with_the_same_weights(paths):
    store = write_store(paths, truth_of())
    train, validation = compound_data.compound_training_set(store, SETTINGS, "start")
    build = partial(with_new_head, load_model(paths.model), SETTINGS.network)
    whole = fit(build, SETTINGS.fit, train, validation)

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    checkpoint = paths.checkpoint("train-compound")
    with pytest.raises(KeyboardInterrupt):
        fit(build, SETTINGS.fit, train, validation, checkpoint=checkpoint, on_epoch=killed)
    resumed = fit(build, SETTINGS.fit, train, validation, checkpoint=checkpoint)
    assert measures_of(resumed) == measures_of(whole)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))


def test_the_folder_written_is_the_folder_read():
    assert COMPOUND.folder == layout.COMPOUND


def test_an_untrained_head_names_the_remedy(paths):
    with pytest.raises(FileNotFoundError, match="run `lensdream train --recipe compound_classifier`"):
        CompoundClassifier.load(paths.model)
