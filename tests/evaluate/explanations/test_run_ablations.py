"""The ablation run of the study."""

import numpy as np
import pytest
import torch

from lensdream.evaluate.explanations.run_ablations import covered_at_once


def test_covered_at_once_hides_the_mask_and_nothing_else():
    images = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    left, row = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    left[:, :3], row[5] = True, True

    def total(images):
        return images.sum((1, 2, 3))

    found = covered_at_once(
        total, images, torch.full_like(images, 2.0), [{"target": left}, {"source_1": row, "neighbours": left}]
    )
    expected = [{"target": (0, left)}, {"source_1": (1, row), "neighbours": (1, left)}]
    assert [set(one) for one in found] == [set(one) for one in expected]
    for one, wanted in zip(found, expected, strict=True):
        for name, (k, mask) in wanted.items():
            assert one[name] == pytest.approx(float(images[k][:, ~mask].sum()) + 2.0 * 4 * mask.sum(), rel=1e-5)
