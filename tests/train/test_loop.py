"""Training: learns, keeps the best epoch, resumes to the same result."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from conftest import TRAINING_FIT, blobs, lensnet, measures_of, write_training_store
from lensdream.config import Fit, Training
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import ImageStore
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.ou import OU66, OUConfig
from lensdream.networks.predict import predict
from lensdream.train import loop
from lensdream.train.loop import fit, image_weights, one_cycle, running_mean
from lensdream.train.measure import Measures, loss_and_accuracy, spread_rows


def ou66():
    """OU-66 without dropout."""
    return OU66(OUConfig(0.0))


@pytest.fixture(scope="module")
def data():
    return blobs(96, 1), blobs(32, 2)


def test_training_separates_two_classes_that_differ(data):
    result = fit(lensnet, TRAINING_FIT, *data)
    assert result.records[result.best_epoch].validation_auroc > 0.95
    assert result.best_epoch == min(result.records, key=lambda r: (r.validation_loss, -r.epoch)).epoch


def test_the_kept_weights_are_those_of_the_best_epoch(data):
    seen = {}

    def remember(record, model, best):
        if best:
            seen[record.epoch] = predict(model, data[1].images).clone()

    result = fit(lensnet, TRAINING_FIT, *data, on_epoch=remember)
    assert torch.equal(predict(result.model, data[1].images), seen[result.best_epoch])


def test_a_killed_run_ends_with_the_same_weights(data, tmp_path):
    whole = fit(lensnet, TRAINING_FIT, *data)

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(lensnet, TRAINING_FIT, *data, checkpoint=path, on_epoch=killed)
    torch.manual_seed(99)  # the rest must not hang on what ran in between
    resumed = fit(lensnet, TRAINING_FIT, *data, checkpoint=path)
    assert len(resumed.records) == TRAINING_FIT.epochs
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert measures_of(resumed) == measures_of(whole)


class Restless(torch.nn.Module):
    """A network that draws random numbers in evaluation mode, too."""

    def __init__(self):
        super().__init__()
        self.network = lensnet()

    def forward(self, images):
        return self.network(images) + 0.1 * torch.randn(len(images))


@pytest.mark.parametrize("network", [lensnet, Restless])
def test_the_measurement_of_training_images_does_not_change_the_training(network, data, monkeypatch):
    with_it = fit(network, TRAINING_FIT, *data)

    def validation_alone(model, train, rows, validation, device):
        logits = predict(model, validation.images, device=device)
        loss, accuracy = loss_and_accuracy(logits, validation.labels)
        return Measures(math.nan, loss, math.nan, accuracy, 0.5)

    monkeypatch.setattr(loop, "measure", validation_alone)
    without = fit(network, TRAINING_FIT, *data)
    assert without.best_epoch == with_it.best_epoch
    for name, tensor in with_it.model.state_dict().items():
        assert torch.equal(tensor, without.model.state_dict()[name]), name
    for name in ("augmented_train_loss", "validation_loss", "validation_accuracy"):
        assert [getattr(r, name) for r in with_it.records] == [getattr(r, name) for r in without.records]


def test_training_and_validation_are_measured_alike(data):
    """Dropout, augmentation and smoothed labels are of the training alone."""
    settings = dataclasses.replace(TRAINING_FIT, label_smoothing=0.2)
    for record in fit(lensnet, settings, data[0], data[0]).records:
        assert record.train_loss == record.validation_loss
        assert record.train_accuracy == record.validation_accuracy
        assert record.augmented_train_loss != record.train_loss


def test_a_network_that_learns_by_heart_parts_training_from_validation():
    noise, other = (torch.randn(64, 4, 32, 32, generator=torch.Generator().manual_seed(k)) / 100 for k in (1, 2))
    labels = torch.arange(64.0) % 2
    last = fit(linear, by_heart(), LabelledImages(noise, labels), LabelledImages(other, labels)).records[-1]
    assert last.train_accuracy == 1.0
    assert last.validation_accuracy < 0.75
    assert last.train_loss < last.validation_loss


def test_a_checkpoint_of_a_version_with_other_records_begins_anew_in_words(data, tmp_path, capsys):
    path, settings = tmp_path / "training.pt", dataclasses.replace(TRAINING_FIT, epochs=2)
    whole = fit(lensnet, settings, *data, checkpoint=path)
    state = torch.load(path, weights_only=True)
    state["identity"] = json.dumps(json.loads(state["identity"])[:-1])
    for record in state["records"]:
        del record["train_accuracy"], record["validation_accuracy"]
    torch.save(state, path)
    again = fit(lensnet, settings, *data, checkpoint=path)
    assert "beginning anew" in capsys.readouterr().out
    assert measures_of(again) == measures_of(whole)


def test_a_damaged_checkpoint_is_named_and_training_begins_anew(data, tmp_path, capsys):
    path, settings = tmp_path / "train.pt", dataclasses.replace(TRAINING_FIT, epochs=2)
    whole = fit(lensnet, settings, *data)
    path.write_bytes(b"half of a")
    again = fit(lensnet, settings, *data, checkpoint=path)
    told = capsys.readouterr()
    assert f"{path} is damaged" in told.err
    assert "going on" not in told.out
    assert [record.train_loss for record in again.records] == [record.train_loss for record in whole.records]


def test_a_checkpoint_of_other_settings_is_not_used(data, tmp_path, capsys):
    path = tmp_path / "training.pt"
    fit(lensnet, dataclasses.replace(TRAINING_FIT, epochs=1), *data, checkpoint=path)
    fit(lensnet, dataclasses.replace(TRAINING_FIT, epochs=2), *data, checkpoint=path)
    assert "going on" not in capsys.readouterr().out


def test_a_checkpoint_of_another_shape_is_not_used(data, tmp_path, capsys):
    path, settings = tmp_path / "training.pt", dataclasses.replace(TRAINING_FIT, epochs=1)
    fit(lensnet, settings, *data, checkpoint=path)
    fit(lambda: LensNet(LensNetConfig(8, 0.2)), settings, *data, checkpoint=path)
    assert "going on" not in capsys.readouterr().out
    fit(lambda: LensNet(LensNetConfig(8, 0.2)), settings, *data, checkpoint=path)
    assert "going on" in capsys.readouterr().out


def test_a_network_is_trained_in_a_notebook_without_params_yaml(data):
    result = fit(lambda: LensNet(LensNetConfig(4)), Fit(epochs=1), *data)
    assert len(result.records) == 1
    assert Training().fit == Fit()
    assert Training().network == LensNetConfig()


@pytest.mark.parametrize("change", ["nothing", "limit", "an image", "labels", "labels alone", "validation"])
def test_a_checkpoint_of_other_images_is_not_used(change, tmp_path, capsys):
    """Also where the labels were changed behind the manifest's back."""
    write_training_store(tmp_path)
    write_training_store(tmp_path / "other", change)
    store, other = (ImageStore.open(root / "artifacts" / "tiny" / "images") for root in (tmp_path, tmp_path / "other"))
    if change == "labels alone":
        other.truth["label"] = 1 - other.truth["label"]
    train_set, validation = (LabelledImages.from_store(store, split) for split in ("train", "validation"))
    others = LabelledImages.from_store(other, "train", 38 if change == "limit" else None)
    path, settings = tmp_path / "training.pt", dataclasses.replace(TRAINING_FIT, epochs=1)
    fit(lensnet, settings, train_set, validation, checkpoint=path)
    fit(lensnet, settings, others, blobs(16, 2) if change == "validation" else validation, checkpoint=path)
    assert ("going on" in capsys.readouterr().out) == (change == "nothing")


def test_a_loss_that_is_not_finite_stops_with_the_remedy(data):
    broken = LabelledImages(data[0].images.clone(), data[0].labels)
    broken.images[5, 0, 3, 3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"lower learning_rate"):
        fit(lensnet, TRAINING_FIT, broken, data[1])


def test_the_running_mean_follows_the_weights_from_the_start():
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedModel(model, multi_avg_fn=running_mean(0.995))
    for step in range(11):
        torch.nn.init.constant_(model.weight, 1.0 if step == 0 else 0.0)
        average.update_parameters(model)
    assert average.module.weight.item() < 1e-3  # 0.95 without the warm-up


@pytest.mark.parametrize(("n", "kept"), [(0, 0.1), (1, 2 / 11), (90, 0.91), (10**6, 0.995)])
def test_the_running_mean_keeps_more_with_every_step(n, kept):
    averaged = torch.ones(3)
    running_mean(0.995)([averaged], [torch.zeros(3)], torch.tensor(n))
    assert averaged.tolist() == pytest.approx([kept] * 3)


def test_the_running_mean_of_counters_stays_whole():
    counter, other = torch.tensor([4]), torch.tensor([6])
    running_mean(0.9)([counter], [other], torch.tensor(1000))
    assert counter.dtype == torch.int64


class Changing:
    """Other images in every epoch."""

    identity = "changing"

    def __len__(self):
        return 96

    def epoch(self, number, model):
        return blobs(96, 10 + number)


def test_images_may_change_with_the_epoch(data, tmp_path):
    seen = []

    class Watched(Changing):
        def epoch(self, number, model):
            seen.append(number)
            return super().epoch(number, model)

    whole = fit(lensnet, TRAINING_FIT, Watched(), data[1])
    assert seen == [0, 1, 2, 3]
    assert whole.records[whole.best_epoch].validation_auroc > 0.95

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(lensnet, TRAINING_FIT, Changing(), data[1], checkpoint=path, on_epoch=killed)
    seen.clear()
    resumed = fit(lensnet, TRAINING_FIT, Watched(), data[1], checkpoint=path)
    assert seen == [2, 3]
    assert measures_of(resumed) == measures_of(whole)
    assert_measured_on_its_own_images(Changing(), data[1])


def assert_measured_on_its_own_images(train, validation):
    """Each epoch's averaged network on the training images of that epoch."""

    def check(record, model, best):
        images = train.epoch(record.epoch, model)
        rows = spread_rows(len(train), len(validation), TRAINING_FIT.seed)
        expected = loss_and_accuracy(predict(model, images.images[rows]), images.labels[rows])
        assert (record.train_loss, record.train_accuracy) == expected

    fit(lensnet, TRAINING_FIT, train, validation, on_epoch=check)


def test_one_cycle_rises_and_falls():
    rates = [one_cycle(step, 10, 100, 0.01) for step in range(101)]
    assert np.argmax(rates) == 10
    assert rates[0] < 0.2
    assert rates[100] == pytest.approx(0.01)


WILDE = dataclasses.replace(
    TRAINING_FIT, learning_rate=3e-4, final_rate=1.0, weight_decay=0.0, warmup_epochs=0.0, clip_norm=math.inf,
    balanced=True, dihedral=False, shift_pixels=0, band_dropout=0.0, gain_scatter=0.0, averaging=0.0, epochs=2,
)  # fmt: skip


def test_the_paper_s_recipe_is_plain_adam_on_weighted_cross_entropy(data):
    more_lenses = LabelledImages(data[0].images[:40], (torch.arange(40) % 4 > 0).float())
    torch.manual_seed(WILDE.seed)
    model = ou66()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    criterion = torch.nn.CrossEntropyLoss(torch.tensor([40 / 10, 40 / 30]))
    for epoch in range(2):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(WILDE.seed * 100_003 + epoch))
        for batch in order.split(16):
            optimizer.zero_grad()
            criterion(model.classes(more_lenses.images[batch].float()), more_lenses.labels[batch].long()).backward()
            optimizer.step()
    records = []
    fit(ou66, WILDE, more_lenses, data[1], on_epoch=lambda record, kept, best: records.append((record, kept)))
    assert [record.learning_rate for record, _ in records] == [3e-4] * 2
    images = data[1].images
    assert torch.allclose(predict(records[-1][1], images), predict(model, images), atol=2e-3)


def linear():
    """A network without a hidden layer."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 32 * 32, 1), torch.nn.Flatten(0))


def by_heart():
    """Settings that fit a few images of noise."""
    return dataclasses.replace(WILDE, learning_rate=0.01, epochs=10, balanced=False)


def test_images_have_weights_gradients_are_clipped_and_labels_smoothed(data):
    """Adam hardly minds the scale of a gradient: the numbers must agree closely."""
    settings = dataclasses.replace(WILDE, learning_rate=0.01, clip_norm=0.1, label_smoothing=0.2, balanced=False)
    weighted = LabelledImages(data[0].images[:40], data[0].labels[:40], 0.1 + torch.arange(40) % 5)
    torch.manual_seed(settings.seed)
    model = linear()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    norms = []
    for epoch in range(2):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(settings.seed * 100_003 + epoch))
        for batch in order.split(16):
            chance = torch.sigmoid(model(weighted.images[batch].float()))
            wanted = 0.1 + 0.8 * weighted.labels[batch]
            losses = -wanted * chance.log() - (1 - wanted) * (1 - chance).log()
            weight = weighted.weights[batch]
            optimizer.zero_grad()
            ((weight * losses).sum() / weight.sum()).backward()
            gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
            norms.append(float(gradient.norm()))
            for p in model.parameters():
                p.grad *= min(1, 0.1 / norms[-1])
            optimizer.step()
    assert min(norms) < settings.clip_norm < max(norms)
    kept = []
    fit(linear, settings, weighted, data[1], on_epoch=lambda record, model, best: kept.append(model))
    images = data[1].images
    assert torch.allclose(predict(kept[-1], images), predict(model, images), atol=1e-5)


def test_each_class_weighs_the_same_or_each_image():
    labels = torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert image_weights(labels, balanced=True).tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert image_weights(labels, balanced=False).tolist() == [1] * 4


def test_a_training_that_gets_no_better_ends(data, tmp_path):
    """At a learning rate this high the loss soon rises."""
    settings = dataclasses.replace(WILDE, learning_rate=0.5, epochs=30, patience=3)
    result = fit(ou66, settings, *data)
    assert len(result.records) == result.best_epoch + 1 + settings.patience < settings.epochs

    def killed(record, model, best):
        if record.epoch == len(result.records) - 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(ou66, settings, *data, checkpoint=path, on_epoch=killed)
    resumed = fit(ou66, settings, *data, checkpoint=path)  # ends where it would have
    assert [r.validation_loss for r in resumed.records] == [r.validation_loss for r in result.records]


def test_a_checkpoint_of_another_network_is_not_used(data, tmp_path, capsys):
    path, settings = tmp_path / "training.pt", dataclasses.replace(TRAINING_FIT, epochs=1)
    fit(lensnet, settings, *data, checkpoint=path)
    fit(ou66, settings, *data, checkpoint=path)
    assert "going on" not in capsys.readouterr().out
