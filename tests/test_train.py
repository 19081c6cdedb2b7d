"""Training: learns, keeps the best epoch, resumes to the same result."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mlflow import MlflowClient
from torch.optim.swa_utils import AveragedModel

from lensdream import tracking
from lensdream.commands import train as _train_
from lensdream.config import Fit, Training
from lensdream.dataset.augment import augment
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import SCHEMA_VERSION, ImageStore
from lensdream.instrument import EUCLID, Band
from lensdream.networks.input import InputTransform
from lensdream.networks.layout import images_trained_on
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.ou import OU66, OUConfig
from lensdream.networks.predict import predict
from lensdream.runtime.files import sha256_of
from lensdream.train import loop
from lensdream.train.loop import fit, image_weights, one_cycle, running_mean

SETTINGS = Fit(
    seed=3, learning_rate=0.01, final_rate=0.01, weight_decay=0.01, warmup_epochs=0.5, batch_size=16,
    clip_norm=1.0, balanced=False, dihedral=True, shift_pixels=1, band_dropout=0.1, gain_scatter=0.02,
    label_smoothing=0.0, averaging=0.8, patience=0, epochs=4, threads=1,
)  # fmt: skip


def lensnet():
    """A narrow LensNet."""
    return LensNet(LensNetConfig(8, 0.1))


def ou66():
    """OU-66 without dropout."""
    return OU66(OUConfig(0.0))


def blobs(n, seed):
    """Noise, and for label 1 a bright square: a task a network must learn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.normal(size=(n, 4, 32, 32)) * np.array(EUCLID.sky_sigma)[:, None, None]
    images[labels == 1, :, 12:20, 12:20] += 5 * np.array(EUCLID.sky_sigma)[:, None, None]
    return LabelledImages(torch.tensor(images, dtype=torch.float16), torch.tensor(labels, dtype=torch.float32))


@pytest.fixture(scope="module")
def data():
    return blobs(96, 1), blobs(32, 2)


def test_it_learns(data):
    result = fit(lensnet, SETTINGS, *data)
    assert result.records[result.best_epoch].validation_auroc > 0.95
    assert result.best_epoch == min(result.records, key=lambda r: (r.validation_loss, -r.epoch)).epoch


def test_the_kept_weights_are_those_of_the_best_epoch(data):
    seen = {}

    def remember(record, model, best):
        if best:
            seen[record.epoch] = predict(model, data[1].images).clone()

    result = fit(lensnet, SETTINGS, *data, on_epoch=remember)
    assert torch.equal(predict(result.model, data[1].images), seen[result.best_epoch])


def test_a_killed_run_ends_with_the_same_weights(data, tmp_path):
    whole = fit(lensnet, SETTINGS, *data)

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(lensnet, SETTINGS, *data, checkpoint=path, on_epoch=killed)
    torch.manual_seed(99)  # the rest must not hang on what ran in between
    resumed = fit(lensnet, SETTINGS, *data, checkpoint=path)
    assert len(resumed.records) == SETTINGS.epochs
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_not_used(data, tmp_path, capsys):
    path = tmp_path / "training.pt"
    fit(lensnet, dataclasses.replace(SETTINGS, epochs=1), *data, checkpoint=path)
    fit(lensnet, dataclasses.replace(SETTINGS, epochs=2), *data, checkpoint=path)
    assert "going on" not in capsys.readouterr().out


def test_a_checkpoint_of_another_shape_is_not_used(data, tmp_path, capsys):
    path, settings = tmp_path / "training.pt", dataclasses.replace(SETTINGS, epochs=1)
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
    write_store(tmp_path)
    write_store(tmp_path / "other", change)
    store, other = (ImageStore.open(root / "artifacts" / "tiny" / "images") for root in (tmp_path, tmp_path / "other"))
    if change == "labels alone":
        other.truth["label"] = 1 - other.truth["label"]
    train_set, validation = (LabelledImages.from_store(store, split) for split in ("train", "validation"))
    others = LabelledImages.from_store(other, "train", 38 if change == "limit" else None)
    path, settings = tmp_path / "training.pt", dataclasses.replace(SETTINGS, epochs=1)
    fit(lensnet, settings, train_set, validation, checkpoint=path)
    fit(lensnet, settings, others, blobs(16, 2) if change == "validation" else validation, checkpoint=path)
    assert ("going on" in capsys.readouterr().out) == (change == "nothing")


def test_images_without_a_store_are_told_apart_by_all_they_hold():
    given = blobs(40, 1)
    other = given.images.clone()
    other[7, 3, 5, 5] += 1
    changed = (
        {"images": other},
        {"labels": 1 - given.labels},
        {"weights": torch.ones(40)},
        {"weights": 2 * torch.ones(40)},
    )
    assert given.identity == blobs(40, 1).identity
    assert len({given.identity, *(dataclasses.replace(given, **change).identity for change in changed)}) == 5


def test_a_loss_that_is_not_finite_stops_with_the_remedy(data):
    broken = LabelledImages(data[0].images.clone(), data[0].labels)
    broken.images[5, 0, 3, 3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"lower learning_rate"):
        fit(lensnet, SETTINGS, broken, data[1])


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

    whole = fit(lensnet, SETTINGS, Watched(), data[1])
    assert seen == [0, 1, 2, 3]
    assert whole.records[whole.best_epoch].validation_auroc > 0.95

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(lensnet, SETTINGS, Changing(), data[1], checkpoint=path, on_epoch=killed)
    seen.clear()
    resumed = fit(lensnet, SETTINGS, Watched(), data[1], checkpoint=path)
    assert seen == [2, 3]
    assert [r.train_loss for r in resumed.records] == [r.train_loss for r in whole.records]


def test_one_cycle_rises_and_falls():
    rates = [one_cycle(step, 10, 100, 0.01) for step in range(101)]
    assert np.argmax(rates) == 10
    assert rates[0] < 0.2
    assert rates[100] == pytest.approx(0.01)


def test_a_model_survives_the_disk(tmp_path):
    model = LensNet(LensNetConfig(8, 0.1)).eval()
    images = blobs(4, 5).images
    save_model(tmp_path, model, 32)
    assert torch.equal(predict(load_model(tmp_path), images), predict(model, images))
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(FileNotFoundError, match="run the train stage first"):
        load_model(tmp_path / "nothing")


def test_bands_in_another_order_are_refused(tmp_path):
    save_model(tmp_path, LensNet(LensNetConfig(8, 0.1)), 32)
    settings = tmp_path / "model.json"
    settings.write_text(settings.read_text().replace('"VIS",\n    "Y"', '"Y",\n    "VIS"'))
    with pytest.raises(ValueError, match="train it again"):
        load_model(tmp_path)


def test_any_stamp_gives_a_logit_an_image():
    model = LensNet(LensNetConfig(8, 0.1)).eval()
    assert model(torch.zeros(3, 4, 66, 66)).shape == (3,)
    assert model(torch.zeros(1, 4, 80, 80)).shape == (1,)


def test_the_transform_takes_smooth_light_out_of_the_contrast():
    transform = InputTransform()
    flat = transform(torch.full((1, 4, 40, 40), 0.5))
    assert torch.allclose(flat[:, 4:], torch.zeros(1, 4, 40, 40), atol=1e-4)
    assert (flat[:, :4] > 3).all()
    assert torch.equal(transform(torch.zeros(1, 4, 40, 40)), torch.zeros(1, 8, 40, 40))


def test_augmentation_keeps_the_light_and_drops_whole_bands():
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(64, 4, 20, 20)
    same = augment(images, generator, 0, 0.0)
    assert torch.allclose(same.sum((2, 3)), images.sum((2, 3)), rtol=1e-5)
    lost = (augment(images, generator, 2, 0.9).sum((2, 3)) == 0).float().mean(0)
    assert lost[0] == 0  # VIS is never dropped
    assert (lost[1:] > 0.3).all()


def test_a_split_without_lenses_is_refused(tmp_path):
    store = ImageStore(tmp_path, {}, pd.DataFrame({"split": ["train"] * 3, "label": [0, 0, 0]}))
    with pytest.raises(ValueError, match="both 0 and 1 are needed"):
        loop.LabelledImages.from_store(store, "train")


WILDE = dataclasses.replace(
    SETTINGS, learning_rate=3e-4, final_rate=1.0, weight_decay=0.0, warmup_epochs=0.0, clip_norm=math.inf,
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


def test_images_have_weights_gradients_are_clipped_and_labels_smoothed(data):
    """Adam hardly minds the scale of a gradient: the numbers must agree closely."""

    def linear():
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 32 * 32, 1), torch.nn.Flatten(0))

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
    path, settings = tmp_path / "training.pt", dataclasses.replace(SETTINGS, epochs=1)
    fit(lensnet, settings, *data, checkpoint=path)
    fit(ou66, settings, *data, checkpoint=path)
    assert "going on" not in capsys.readouterr().out


def test_every_band_of_every_image_has_a_gain_of_its_own():
    images = torch.ones(4000, 4, 2, 2)
    scaled = augment(images, torch.Generator().manual_seed(1), 0, 0.0, gain_scatter=0.03, dihedral=False)
    assert (scaled == scaled[:, :, :1, :1]).all()
    gain = scaled[:, :, 0, 0]
    assert gain.mean() == pytest.approx(1, abs=0.002)
    assert gain.std(0).tolist() == pytest.approx([0.03] * 4, rel=0.1)
    assert torch.corrcoef(gain.T)[0, 1].abs() < 0.1


def test_without_augmentation_images_stay_as_they_are():
    images = torch.rand(5, 4, 9, 9)
    assert torch.equal(augment(images, torch.Generator().manual_seed(1), 0, 0.0, dihedral=False), images)


@pytest.mark.parametrize(("network", "kind"), [("lensnet", "LensNet"), ("ou66", "OU66"), ("lensnet-wide", "LensNet")])
def test_every_network_has_files_of_its_own(network, kind, tmp_path, capsys):
    write_store(tmp_path)
    fitted = {name: value for name, value in dataclasses.asdict(SETTINGS).items() if name != "epochs"}
    shared = {"fit": fitted, "network": {"width": 8}}
    document = {
        "train": {"shared": shared, "tiny": {"fit": {"epochs": 1}}},
        "ou66": {"shared": {"fit": fitted, "network": {"dropout": 0.3}}, "tiny": {"fit": {"epochs": 1}}},
        "lensnet-wide": {"shared": shared, "tiny": {"fit": {"epochs": 2}, "images": 12}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    _train_.run("tiny", network, tmp_path)
    name = "" if network == "lensnet" else f"-{network}"
    folder = tmp_path / "models" / "tiny" / ("" if network == "lensnet" else f"peers/{network}")
    written = json.loads((folder / "model.json").read_text())
    assert written["network"] == kind
    shape = {"dropout": 0.3} if kind == "OU66" else {"width": 8, "dropout": 0.2, "middle_pixels": 64}
    assert written["config"] == shape
    assert images_trained_on(folder) == (12 if network == "lensnet-wide" else 40)
    measured = json.loads((tmp_path / "metrics" / "tiny" / f"train{name}.json").read_text())
    assert {"best_epoch", "epochs", "images_per_second", "seconds", "parameters"} <= set(measured)
    assert (tmp_path / "metrics" / "tiny" / f"epochs{name}.csv").is_file()
    assert (tmp_path / "figures" / "tiny" / f"train{name}" / "losses.png").is_file()
    assert not list((tmp_path / "artifacts" / "tiny").glob("*.pt"))
    (run,) = MlflowClient(tracking.tracking_uri(tmp_path), tracking.tracking_uri(tmp_path)).search_runs(
        ["1"], f"tags.network = '{network}'"
    )
    assert run.data.tags["stage"] == f"train{name}"


def write_store(root, change=""):
    """A store of 40 training and 16 validation images; the change may be to `an image` or to all `labels`."""
    folder = root / "artifacts" / "tiny" / "images"
    folder.mkdir(parents=True)
    data = blobs(56, 3)
    labels = data.labels.numpy().astype(int)
    if change == "an image":
        data.images[1] *= 2
    if change == "labels":
        labels = 1 - labels
    np.save(folder / "images-00000.npy", data.images.numpy())
    truth = {"label": labels, "split": np.repeat(["train", "validation"], [40, 16])}
    pd.DataFrame(truth).to_parquet(folder / "truth.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION, "bands": [band.name for band in Band], "n": 56, "stamp": 32, "shard_size": 56,
        "sha256": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_an_unknown_network_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="no network 'ou100'; networks are lensnet, ou66, ou200, lensnet-wide"):
        _train_.run("quick", "ou100")
