"""Training on several processes that `torchrun` starts: each takes its part of every batch, the first alone writes.

torchrun --nproc-per-node 4 --no-python lensdream train --scale poster
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ranks:
    """Processes that train together, from the position of one of them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """number of the process on this machine, and of its GPU"""

    @property
    def first(self) -> bool:
        """Whether this process is the one that validates, writes and tracks."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Device of this process."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def part(self, batch: Tensor) -> Tensor:
        """Part of a batch (B, ...) that this process takes."""
        return batch[self.rank :: self.size]

    def together(self, model: nn.Module) -> nn.Module:
        """Model with the gradients of all processes averaged; on GPUs the processes share the statistics of a batch."""
        if self.size == 1:
            return model
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
            return nn.parallel.DistributedDataParallel(model, device_ids=[self.local_rank])
        return nn.parallel.DistributedDataParallel(model)

    def mean(self, value: Tensor) -> Tensor:
        """Mean of a number over all processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value / self.size

    def of_first(self, value: Value) -> Value:
        """Value of the first process in all processes, which wait for it."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


ALONE = Ranks()
"""one process, as without `torchrun`"""
PATIENCE = timedelta(hours=3)
"""time that processes wait for the first one, which may be searching for hard negatives"""


@contextmanager
def started_ranks() -> Iterator[Ranks]:
    """Context of the processes that `torchrun` started together with this one, or of this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    ranks = Ranks(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    distributed.init_process_group("nccl" if ranks.device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()
