"""Loss and accuracy on training and validation images."""

import dataclasses
import math

import pytest
import torch

from conftest import Brightness, blobs, lensnet
from lensdream.dataset.labelled import LabelledImages
from lensdream.train.measure import loss_and_accuracy, measure, parting_epoch, spread_rows

CPU = torch.device("cpu")


@pytest.mark.parametrize(("n", "wanted"), [(96, 32), (8000, 1000), (97, 32), (33, 32), (3, 2)])
def test_rows_are_distinct_and_one_of_each_part(n, wanted):
    rows = spread_rows(n, wanted, 1)
    assert len(rows) == wanted
    for k, row in enumerate(rows.tolist()):
        assert k * n // wanted <= row < (k + 1) * n // wanted


def test_rows_are_all_where_no_more_are_wanted():
    assert spread_rows(5, 5, 1).tolist() == spread_rows(5, 9, 1).tolist() == [0, 1, 2, 3, 4]


def test_rows_are_chosen_by_the_seed_alone():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert torch.equal(spread_rows(8000, 1000, 1), spread_rows(8000, 1000, 1))
    assert not torch.equal(spread_rows(8000, 1000, 1), spread_rows(8000, 1000, 2))
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_have_both_labels_where_labels_take_turns():
    labels = torch.arange(8000.0) % 2
    assert 0.4 < labels[spread_rows(8000, 1000, 1)].mean() < 0.6


def test_loss_and_accuracy_are_those_of_probabilities():
    logits, labels = torch.tensor([math.log(3), math.log(3), -1e-6, 0.0]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    loss, accuracy = loss_and_accuracy(logits, labels)
    assert loss == pytest.approx(-(math.log(0.75) + math.log(0.25) + 2 * math.log(0.5)) / 4, abs=1e-6)
    assert accuracy == 0.5  # a logit of 0 is no lens


def test_a_weight_counts_as_so_many_images():
    logits, labels = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 1.0, 0.0])
    repeated = torch.tensor([0, 1, 1, 1, 2])
    expected = loss_and_accuracy(logits[repeated], labels[repeated])
    for scale in (1.0, 0.1):
        found = loss_and_accuracy(logits, labels, scale * torch.tensor([1.0, 3.0, 1.0]))
        assert found == pytest.approx(expected, rel=1e-6)
    assert expected[1] == pytest.approx(1 / 5)


def test_training_images_weigh_what_they_do_in_the_loss_and_only_the_rows_count():
    images = torch.tensor([1.0, 1.0, -1.0, 5.0])[:, None, None, None].expand(-1, 4, 8, 8)
    train = LabelledImages(images, torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([1.0, 0.5, 2.5, 9.0]))
    validation = LabelledImages(images[:2], torch.tensor([1.0, 0.0]))
    found = measure(Brightness(), train, torch.arange(3), validation, CPU)
    assert found.train_accuracy == pytest.approx(3.5 / 4)
    assert found.train_loss == pytest.approx((1.0 * 0.3133 + 0.5 * 1.3133 + 2.5 * 0.3133) / 4, abs=1e-4)
    assert (found.validation_accuracy, found.validation_auroc) == (0.5, 0.5)


def test_measures_are_the_same_for_the_same_images_also_in_many_parts():
    data = blobs(1100, 1)  # of more images than are scored at once
    weighted = dataclasses.replace(data, weights=torch.full((1100,), 0.25))
    found = measure(lensnet(), data, torch.arange(1100), weighted, CPU)
    assert found.train_loss == pytest.approx(found.validation_loss, rel=1e-6)
    assert found.train_accuracy == found.validation_accuracy


N = 1000
"""images: the standard error of a difference of accuracies near 0.9 is 0.013"""


@pytest.mark.parametrize(
    ("train", "validation", "epoch"),
    [
        ([0.7, 0.8, 0.85, 0.9, 0.95], [0.7, 0.8, 0.84, 0.85, 0.85], 3),
        ([0.7, 0.8], [0.7, 0.8], None),
        ([0.9, 0.7, 0.9], [0.8, 0.7, 0.8], 2),  # they had met again
        ([0.9, 0.9, 0.85], [0.8, 0.8, 0.84], None),  # they meet in the end
        ([0.8, 0.8], [0.9, 0.9], None),  # fewer of the training images
        ([0.9, 0.9], [0.8, 0.8], 0),
    ],
)
def test_accuracies_part_where_they_stay_apart_to_the_end(train, validation, epoch):
    assert parting_epoch(train, validation, N, N) == epoch


def test_of_few_images_a_difference_is_chance():
    assert parting_epoch([0.9], [0.8], 1000, 1000) == 0
    assert parting_epoch([0.9], [0.8], 1000, 20) is None
