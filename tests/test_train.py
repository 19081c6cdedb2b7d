"""Training: learns, keeps the best epoch, resumes to the same result."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from lensdream import train
from lensdream.config import TrainConfig
from lensdream.dataset.augment import augment
from lensdream.networks import LensNet, LensNetConfig, load_model, predict, save_model
from lensdream.networks.lensnet import InputTransform
from lensdream.survey import EUCLID
from lensdream.train import LabelledImages, fit, one_cycle, running_mean

SETTINGS = TrainConfig(
    seed=3, width=8, dropout=0.1, learning_rate=0.01, weight_decay=0.01, warmup_epochs=0.5, batch_size=16, shift_pixels=1,
    band_dropout=0.1, label_smoothing=0.0, averaging=0.8, epochs=4, fresh_scenes=0, threads=1,
)  # fmt: skip


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
    result = fit(SETTINGS, *data)
    assert result.records[result.best_epoch].validation_auroc > 0.95
    assert result.best_epoch == min(result.records, key=lambda r: (r.validation_loss, -r.epoch)).epoch


def test_the_kept_weights_are_those_of_the_best_epoch(data):
    seen = {}

    def remember(record, model, best):
        if best:
            seen[record.epoch] = predict(model, data[1].images).clone()

    result = fit(SETTINGS, *data, on_epoch=remember)
    assert torch.equal(predict(result.model, data[1].images), seen[result.best_epoch])


def test_a_killed_run_ends_with_the_same_weights(data, tmp_path):
    whole = fit(SETTINGS, *data)

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, *data, checkpoint=path, on_epoch=killed)
    torch.manual_seed(99)  # the rest must not hang on what ran in between
    resumed = fit(SETTINGS, *data, checkpoint=path)
    assert len(resumed.records) == SETTINGS.epochs
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_not_used(data, tmp_path, capsys):
    path = tmp_path / "training.pt"
    fit(dataclasses.replace(SETTINGS, epochs=1), *data, checkpoint=path)
    fit(dataclasses.replace(SETTINGS, epochs=2), *data, checkpoint=path)
    assert "going on" not in capsys.readouterr().out


def test_a_loss_that_is_not_finite_stops_with_the_remedy(data):
    broken = LabelledImages(data[0].images.clone(), data[0].labels)
    broken.images[5, 0, 3, 3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"lower train\.learning_rate"):
        fit(SETTINGS, broken, data[1])


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

    def epoch(self, number):
        return blobs(96, 10 + number)


def test_images_may_change_with_the_epoch(data, tmp_path):
    seen = []

    class Watched(Changing):
        def epoch(self, number):
            seen.append(number)
            return super().epoch(number)

    whole = fit(SETTINGS, Watched(), data[1])
    assert seen == [0, 1, 2, 3]
    assert whole.records[whole.best_epoch].validation_auroc > 0.95

    def killed(record, model, best):
        if record.epoch == 1:
            raise KeyboardInterrupt

    path = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(SETTINGS, Changing(), data[1], checkpoint=path, on_epoch=killed)
    seen.clear()
    resumed = fit(SETTINGS, Watched(), data[1], checkpoint=path)
    assert seen == [2, 3]
    assert [r.train_loss for r in resumed.records] == [r.train_loss for r in whole.records]


def test_one_cycle_rises_and_falls():
    rates = [one_cycle(step, 10, 100) for step in range(101)]
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
    class Store:
        truth = __import__("pandas").DataFrame({"split": ["train"] * 3, "label": [0, 0, 0]})

    with pytest.raises(ValueError, match="both 0 and 1 are needed"):
        train.LabelledImages.from_store(Store(), "train")
