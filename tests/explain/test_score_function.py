"""What an explanation asks of images and of a score function."""

import pytest
import torch

from lensdream.explain.score_function import check_images, scored


def test_finite_images_in_a_batch_pass_and_have_one_logit_each():
    images = torch.ones(3, 4, 5, 5)
    check_images(images)
    assert scored(lambda batch: batch.sum((1, 2, 3)), images).tolist() == [100.0] * 3


def test_an_image_without_a_batch_axis_is_refused():
    with pytest.raises(ValueError, match=r"shape \(B, band, y, x\), got \(4, 5, 5\); add the batch axis"):
        check_images(torch.ones(4, 5, 5))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_images_that_are_not_finite_are_counted_and_the_first_is_named(value):
    images = torch.ones(4, 4, 5, 5)
    images[2, 0, 1, 1] = images[3, 3, 0, 0] = value
    with pytest.raises(ValueError, match=r"2 of 4 images .* \(the first is image 2\): fill or drop them"):
        check_images(images)


@pytest.mark.parametrize("shape", [(3, 1), (1,), ()])
def test_a_score_function_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"the score of 3 images has the shape .*, expected \(3,\): a score function"):
        scored(lambda images: torch.zeros(shape), torch.ones(3, 4, 5, 5))
