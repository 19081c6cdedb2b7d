"""Training: one visible loop, the best validation epoch kept, resumable after a kill."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from lensdream.config import Fit
from lensdream.dataset.augment import augment
from lensdream.dataset.labelled import LabelledImages, TrainingImages
from lensdream.runtime.checkpoint import load as load_checkpoint
from lensdream.runtime.checkpoint import save as save_checkpoint
from lensdream.runtime.distributed import ALONE, Ranks
from lensdream.train.measure import measure, spread_rows


@dataclass(frozen=True)
class EpochRecord:
    """Losses, accuracies, rate and speed of one epoch.

    Training and validation are measured alike, after the epoch and by the averaged network: without augmentation and dropout,
    accuracies at 0.5, on as many images of either where there are as many.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    validation_auroc: float
    augmented_train_loss: float
    """what was minimised: mean over the epoch, of augmented images with dropout while the weights change"""
    learning_rate: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class FitResult:
    """Model of the best validation epoch, and the history."""

    model: nn.Module
    best_epoch: int
    records: list[EpochRecord]


def fit(
    build: Callable[[], nn.Module],
    settings: Fit,
    train: TrainingImages,
    validation: LabelledImages,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[EpochRecord, nn.Module, bool], None] = lambda record, model, best: None,
    ranks: Ranks = ALONE,
) -> FitResult:
    """Train a network and keep the epoch of the lowest validation loss.

    After each epoch the averaged network, which is the one that is kept, is measured on the validation images and on as many
    rows of the training images, evenly spread and chosen once by the seed. The rows are those of the epoch just trained on,
    so that they are what was learnt from, whatever the training images are: a store's are the same in every epoch, fresh
    scenes are those of this epoch, a hard negative stands in the row of the image that it replaced and has its weight, and of
    pairs and ordinary single lenses of the compound classifier there are as many as they are in the epoch. The measurement
    changes nothing of the training, and costs what validation costs.

    Parameters
    ----------
    build : callable
        Makes the network, with random weights or others.
    settings : Fit
        Learning rate, batches, epochs, augmentation; ends early after `patience` epochs without a lower validation loss.
    train : TrainingImages
        Such as `LabelledImages`: images (N, 4, y, x) [microjansky a pixel] with labels (N,) of 0 and 1.
    validation : LabelledImages
        Images that decide which epoch is kept.
    checkpoint : Path, optional
        File of the state after each epoch. An interrupted run resumes from it with the same result; a checkpoint of another
        network, other settings or images, or other columns of `EpochRecord`, is not used, and a line says so.
    on_epoch : callable
        Called with the epoch's `EpochRecord`, the network, and whether the epoch is the best one so far.
    ranks : Ranks
        Processes that train together: each takes its part of every batch; the first one measures, saves and calls
        `on_epoch`.

    Returns
    -------
    FitResult
        `model`, in evaluation mode on the CPU, `best_epoch`, and `records` of all epochs.

    Raises
    ------
    FloatingPointError
        For a training loss that is not finite: lower the learning rate.

    Examples
    --------
    >>> import torch
    >>> from lensdream import LensNet, fit
    >>> from lensdream.config import Fit, LensNetConfig
    >>> from lensdream.dataset.labelled import LabelledImages
    >>> noise = torch.randn(16, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    >>> images = LabelledImages(noise, torch.arange(16.0) % 2)
    >>> result = fit(lambda: LensNet(LensNetConfig(width=8)), Fit(epochs=2, batch_size=8), images, images)
    >>> len(result.records), result.model.training
    (2, False)
    """
    device = ranks.device
    torch.manual_seed(settings.seed)
    model = build().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = math.ceil(len(train) / settings.batch_size)
    # the validated and kept weights are a running mean: it generalises better than any one step
    average = AveragedModel(model, multi_avg_fn=running_mean(settings.averaging), use_buffers=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: one_cycle(
            step, round(settings.warmup_epochs * steps), settings.epochs * steps, settings.final_rate
        ),
    )
    records: list[EpochRecord] = []
    best_state, best_epoch = None, -1
    identity = ""
    if checkpoint is not None:
        shape = str(getattr(model, "config", model))
        about = [type(model).__name__, shape, dataclasses.asdict(settings), train.identity, validation.identity]
        identity = json.dumps([*about, [column.name for column in dataclasses.fields(EpochRecord)]])
    saved = load_checkpoint(checkpoint, identity)
    if saved is not None:
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        torch.set_rng_state(saved["rng"])
        if device.type == "cuda" and saved["gpu_rng"] is not None:  # the run may have begun without a GPU
            torch.cuda.set_rng_state(saved["gpu_rng"], device)
        records = [EpochRecord(**record) for record in saved["records"]]
        best_state, best_epoch = saved["best_state"], saved["best_epoch"]
        print(f"going on after epoch {len(records) - 1} of {settings.epochs}")
    elif checkpoint is not None and checkpoint.is_file() and ranks.first:
        print(f"beginning anew: {checkpoint} is of another network, other settings or images, or another version")

    rows = spread_rows(len(train), len(validation), settings.seed)
    trained = ranks.together(model)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    for epoch in range(len(records), settings.epochs):
        if 0 < settings.patience < epoch - best_epoch:
            break
        started = time.perf_counter()
        data = train.epoch(epoch, average.module)
        began = time.perf_counter()
        seed = settings.seed * 100_003 + epoch
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        generator = torch.Generator().manual_seed(seed + 2**40 * (1 + ranks.rank))
        weights = image_weights(data.labels, settings.balanced)
        if data.weights is not None:
            weights = weights * data.weights
        model.train()
        total = torch.zeros((), device=device)
        batches = tqdm(
            order.split(settings.batch_size), desc=f"epoch {epoch}", leave=False, disable=None if ranks.first else True
        )
        for whole in batches:
            if len(whole) < 2 * ranks.size:  # batch normalisation needs two
                continue
            batch = ranks.part(whole)
            images = data.images[batch].to(device).float()
            images = augment(
                images, generator, settings.shift_pixels, settings.band_dropout,
                gain_scatter=settings.gain_scatter, dihedral=settings.dihedral,
            )  # fmt: skip
            images = images.contiguous(memory_format=torch.channels_last)
            labels = data.labels[batch].to(device)
            smooth = labels * (1 - settings.label_smoothing) + 0.5 * settings.label_smoothing
            weight = (weights[batch] / weights[whole].mean()).to(device)
            with mixed:
                logits = trained(images)
            loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), smooth, weight)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.detach() * len(whole)
        seconds = time.perf_counter() - began
        augmented_loss = float(ranks.mean(total)) / len(order)
        if not math.isfinite(augmented_loss):
            raise FloatingPointError(f"the training loss of epoch {epoch} is {augmented_loss}: lower learning_rate")
        measures = ranks.of_first(measure(average.module, data, rows, validation, device) if ranks.first else None)
        record = EpochRecord(
            epoch, **dataclasses.asdict(measures), augmented_train_loss=augmented_loss,
            learning_rate=optimizer.param_groups[0]["lr"], seconds=time.perf_counter() - started,
            images_per_second=len(order) / seconds,
        )  # fmt: skip
        records.append(record)
        best = record.validation_loss <= min(r.validation_loss for r in records)
        if best:
            best_state = {name: tensor.detach().cpu().clone() for name, tensor in average.module.state_dict().items()}
            best_epoch = epoch
        if not ranks.first:
            continue
        if checkpoint is not None:
            # dropout draws where the model is; the GPUs of other ranks have drawn as often as this one's
            gpu_rng = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
            state = {
                "identity": identity, "model": model.state_dict(), "average": average.state_dict(),
                "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "rng": torch.get_rng_state(),
                "gpu_rng": gpu_rng, "records": [dataclasses.asdict(r) for r in records], "best_state": best_state,
                "best_epoch": best_epoch,
            }  # fmt: skip
            save_checkpoint(checkpoint, state)
        on_epoch(record, average.module, best)
    model.load_state_dict(best_state)
    return FitResult(model.cpu().eval(), best_epoch, records)


def running_mean(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """Update of an `AveragedModel`: a running mean that keeps `decay` of its value at each step, less in the beginning.

    After n steps the mean keeps (1 + n) / (10 + n) at most. With all of the decay from the start the random weights would
    stand in the mean for some 1 / (1 - decay) steps, which are epochs of a short training.
    """

    def update(averaged: list[Tensor], current: list[Tensor], n_averaged: Tensor | int) -> None:
        n = int(n_averaged)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, n_averaged)

    return update


def image_weights(labels: Tensor, balanced: bool) -> Tensor:
    """Weight of each image in the loss, 1 in the mean; `balanced` ones go by the inverse frequency of the class."""
    if not balanced:
        return torch.ones_like(labels)
    lenses = labels.mean()
    return 0.5 / torch.where(labels == 1, lenses, 1 - lenses)


def one_cycle(step: int, warmup: int, total: int, final: float) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to `final`.

    Without a warm-up and with a `final` of 1 the rate is constant.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min((step - warmup) / max(total - warmup, 1), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
