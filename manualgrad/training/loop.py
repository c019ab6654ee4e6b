"""The plain loop: what happens to a network in one epoch, and how well it does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

if TYPE_CHECKING:
    from manualgrad.training.watch import Watch

Batch = tuple[Tensor, Tensor]
LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Score:
    """Averages over examples, not over batches: a short last batch counts for what it holds."""

    loss: float
    accuracy: float


def train_epoch(
    model: Module,
    loss_function: LossFunction,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    watch: "Watch | None" = None,
) -> Score:
    """Train on each batch once.

    Parameters
    ----------
    model : Module
        Maps inputs (N, ...) to logits (N, C).
    loss_function : callable
        The mean loss of logits (N, C) and labels (N,).
    optimizer : Optimizer
        Over the model's parameters.
    batches : iterable of (Tensor, Tensor)
        Inputs (N, ...) and labels (N,), on the model's device.
    watch : Watch, optional
        Looks on, and changes nothing.

    Returns
    -------
    Score
        Over the epoch, each batch as it was before its own step.
    """
    tally = _Tally()
    if watch:
        watch.begin_epoch()
    for inputs, labels in batches:
        optimizer.zero_grad()
        logits = model(inputs)
        loss = loss_function(logits, labels)
        loss.backward()
        if watch:
            watch.after_backward(loss, inputs, labels)
        optimizer.step()
        if watch:
            watch.after_step()
        tally.add(loss, logits, labels)
    return tally.score()


@torch.no_grad()
def evaluate(model: Module, loss_function: LossFunction, batches: Iterable[Batch]) -> Score:
    """Measure the model without changing it.

    Parameters
    ----------
    model : Module
        Maps inputs (N, ...) to logits (N, C).
    loss_function : callable
        The mean loss of logits (N, C) and labels (N,).
    batches : iterable of (Tensor, Tensor)
        Inputs (N, ...) and labels (N,), on the model's device.

    Returns
    -------
    Score
        Over all examples.
    """
    tally = _Tally()
    for inputs, labels in batches:
        logits = model(inputs)
        tally.add(loss_function(logits, labels), logits, labels)
    return tally.score()


def gather_batches(
    inputs: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator | None = None
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

    Yields
    ------
    (Tensor, Tensor)
        Inputs (B, ...) and labels (B,).
    """
    if generator is None:
        yield from zip(inputs.split(batch_size), labels.split(batch_size), strict=True)
        return
    # By index, on the device: a DataLoader over the same tensors adds a fifth to MNIST's step.
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    for rows in order.split(batch_size):
        yield inputs.index_select(0, rows), labels.index_select(0, rows)


class _Tally:
    """Sums that stay on the device, so that no step waits for the one before to be read."""

    def __init__(self) -> None:
        self.examples = 0
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | int = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.examples += len(labels)
        self.loss = self.loss + loss.detach() * len(labels)
        self.correct = self.correct + (logits.detach().argmax(1) == labels).sum()

    def score(self) -> Score:
        return Score(float(self.loss) / self.examples, int(self.correct) / self.examples)
