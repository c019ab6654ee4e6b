"""What the scripts that are yet to move need of the old loop."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Score:
    """Averages over examples, not over batches: a short last batch counts for what it holds."""

    loss: float
    accuracy: float


def gather_batches(
    inputs: Tensor,
    labels: Tensor,
    batch_size: int,
    generator: torch.Generator | None = None,
    skip: int = 0,
) -> Iterator[Batch]:
    """Cut data that already lies on its device into batches.

    Parameters
    ----------
    inputs, labels : Tensor
        (N, ...) and (N,).
    batch_size : int
        Rows a batch; the last one may be shorter.
    generator : torch.Generator, optional
        On the CPU; shuffles. Without one the order stays.
    skip : int
        Batches to leave out at the beginning: those that an interrupted epoch has done.

    Yields
    ------
    (Tensor, Tensor)
        Inputs (B, ...) and labels (B,).
    """
    if generator is None:
        yield from islice(zip(inputs.split(batch_size), labels.split(batch_size), strict=True), skip, None)
        return
    # By index, on the device: a DataLoader over the same tensors adds a fifth to MNIST's step.
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    for rows in order.split(batch_size)[skip:]:
        yield inputs.index_select(0, rows), labels.index_select(0, rows)
