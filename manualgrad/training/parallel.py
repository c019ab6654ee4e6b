"""Several processes that train one network together, started by ``torchrun --nproc-per-node 2``.

Each process has the whole network and computes its own rows of every batch; DistributedDataParallel averages
the gradients, so that each takes the same step. In a process alone these functions do nothing.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module

from manualgrad.errors import UserError

Thing = TypeVar("Thing")


def world_size() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return this process's number, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Return whether this is the process that prints, logs and saves."""
    return rank() == 0


def distribute(model: Module) -> Module:
    """Return the model for the training loop to call: in a process alone the model itself.

    It shares the model's parameters, and after ``backward`` every process has the mean of all gradients.
    """
    return torch.nn.parallel.DistributedDataParallel(model) if world_size() > 1 else model


def own_rows(rows: Tensor) -> Tensor:
    """Return this process's equal part of a batch's rows (N, ...)."""
    if len(rows) % world_size():
        raise UserError(
            f"a batch of {len(rows)} rows has no {world_size()} equal parts: choose another --batch-size"
        )
    return rows.tensor_split(world_size())[rank()]


def sum_over_ranks(numbers: Tensor) -> Tensor:
    """Return the sum of every process's numbers, in each process."""
    numbers = numbers.clone()
    if world_size() > 1:
        dist.all_reduce(numbers)
    return numbers


def any_rank(flag: bool) -> bool:
    """Return whether a flag is set in any process. All must ask."""
    return bool(sum_over_ranks(torch.tensor(int(flag)))) if world_size() > 1 else flag


def from_first(make: Callable[[], Thing]) -> Thing:
    """Have the first process make something, and return it in every process."""
    made: list[Any] = [make() if is_first() else None]
    if world_size() > 1:
        dist.broadcast_object_list(made)
    return made[0]
