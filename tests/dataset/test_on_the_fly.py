"""Scenes drawn in lots, for a store and anew for every epoch of a training."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from conftest import PARAMS, POPULATION, SIMULATE, measures_of
from lensdream.commands import labelled_job
from lensdream.commands.paths import Paths
from lensdream.config import Fit, LensNetConfig, Training
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.on_the_fly import FreshScenes, ImageDrawer, fresh_scenes
from lensdream.networks.lensnet import LensNet
from lensdream.population import drawing
from lensdream.population.drawing import SceneDrawer
from lensdream.render.batch import in_chunks, renderer_of
from lensdream.runtime.distributed import ALONE
from lensdream.runtime.processes import worker_map
from lensdream.train.loop import fit
from lensdream.train.recipes import RECIPES

TRAIN = Training(
    Fit(
        seed=3, learning_rate=0.01, final_rate=0.01, weight_decay=0.01, warmup_epochs=0.5, batch_size=8,
        clip_norm=1.0, balanced=False, dihedral=True, shift_pixels=1, band_dropout=0.1, gain_scatter=0.02,
        label_smoothing=0.0, averaging=0.8, patience=0, epochs=3, threads=1,
    ),
    LensNetConfig(8, 0.1),
    fresh_scenes=24,
)  # fmt: skip


@pytest.fixture
def scenes_an_epoch(catalogs):
    """`FreshScenes` in this process, of n scenes for three epochs."""

    def made(n):
        with worker_map(0, ImageDrawer.start, (POPULATION, SIMULATE, catalogs)) as ordered:
            return FreshScenes(POPULATION, SIMULATE, n, 3, ordered)

    return made


def test_an_epoch_is_the_same_twice_and_another_is_not(scenes_an_epoch):
    scenes = scenes_an_epoch(24)
    first, again, other = scenes.epoch(0), scenes.epoch(0), scenes.epoch(1)
    assert len(scenes) == len(first) == 24
    assert first.images.dtype == torch.float16
    assert set(first.labels.tolist()) == {0.0, 1.0}
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not (first.images == other.images).all((1, 2, 3)).any()


def test_an_image_alone_is_that_of_the_epoch(scenes_an_epoch, catalogs):
    scenes = scenes_an_epoch(24)
    epoch = scenes.epoch(2)
    table = drawing.joined(map(SceneDrawer.start(POPULATION, catalogs).draw, scenes.chunks(2)))
    assert table.scenes["label"].tolist() == epoch.labels.tolist()
    for k in (0, 13, 23):
        (alone,) = in_chunks(renderer_of(SIMULATE), table.take([k]), 4)
        assert torch.allclose(alone.images[0], epoch.images[k].float(), rtol=2e-3, atol=1e-6)  # float16


def test_no_scene_of_the_store_is_drawn_again(scenes_an_epoch, few_catalogs):
    stored = drawing.draw_scenes(dataclasses.replace(POPULATION, train=24), 1).scenes["seed"]
    drawer = SceneDrawer.start(POPULATION, few_catalogs)
    anew = drawing.joined(map(drawer.draw, scenes_an_epoch(24).chunks(0))).scenes["seed"]
    assert not set(stored) & set(anew)


@pytest.mark.slow
def test_processes_draw_the_same_and_the_next_epoch_ahead(scenes_an_epoch, few_catalogs):
    with fresh_scenes(POPULATION, SIMULATE, 24, 2) as scenes:
        first = scenes.epoch(0)
        assert set(scenes._ahead) == {1}
        second = scenes.epoch(1)
        assert not scenes._ahead  # it was the last
    here = scenes_an_epoch(24)
    assert torch.equal(here.epoch(0).images, first.images)
    assert torch.equal(here.epoch(1).images, second.images)


def test_a_killed_training_on_fresh_scenes_ends_with_the_same_weights(scenes_an_epoch, tmp_path):
    validation = scenes_an_epoch(16).epoch(7)
    whole = fit(partial(LensNet, TRAIN.network), TRAIN.fit, scenes_an_epoch(24), validation)

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(
            partial(LensNet, TRAIN.network),
            TRAIN.fit,
            scenes_an_epoch(24),
            validation,
            checkpoint=path,
            on_epoch=killed,
        )
    torch.manual_seed(99)
    resumed = fit(partial(LensNet, TRAIN.network), TRAIN.fit, scenes_an_epoch(24), validation, checkpoint=path)
    assert measures_of(resumed) == measures_of(whole)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_other_scenes_have_another_identity(scenes_an_epoch):
    scenes = scenes_an_epoch(24)
    more_workers = dataclasses.replace(scenes, simulate=dataclasses.replace(SIMULATE, workers=5))
    other = dataclasses.replace(scenes, population=dataclasses.replace(POPULATION, seed=1))
    assert scenes.identity == more_workers.identity
    assert len({scenes.identity, other.identity, dataclasses.replace(scenes, n=26).identity}) == 3


@pytest.mark.parametrize(("fraction", "words"), [(0.0, "0 lenses"), (1.0, "0 non-lenses")])
def test_scenes_of_one_label_are_refused(fraction, words):
    settings = dataclasses.replace(POPULATION, lens_fraction=fraction)
    with pytest.raises(ValueError, match=rf"train.fresh_scenes = 24 gives .*{words}.*change population.lens_fraction"):
        FreshScenes(settings, SIMULATE, 24, 3, map)


def test_a_store_of_another_stamp_cannot_validate(tmp_path):
    class Store:
        stamp = 40
        folder = tmp_path

    for settings in (TRAIN, dataclasses.replace(TRAIN, fresh_scenes=0, hard_negatives=10, hard_rounds=1)):
        with (
            pytest.raises(
                ValueError, match="simulate.stamp = 80 is not the 40 pixels of .* run the simulate stage again"
            ),
            labelled_job.training_images(RECIPES["lensnet"], settings, Store(), Paths("quick", PARAMS.parent), ALONE),
        ):
            pass


def test_stored_images_are_the_same_in_every_epoch():
    images = LabelledImages(torch.zeros(4, 4, 32, 32, dtype=torch.float16), torch.tensor(np.arange(4) % 2))
    assert images.epoch(0) is images.epoch(5) is images
    assert len(images) == 4
