"""The plain loop: what happens to a network in one epoch, and how well it does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

if TYPE_CHECKING:
    from manualgrad.training.finite import Guard
    from manualgrad.training.keeper import Keeper
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
    keeper: "Keeper | None" = None,
    guard: "Guard | None" = None,
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
    keeper : Keeper, optional
        Saves when it is time to, and stops when asked to.
    guard : Guard, optional
        Stops before a loss or a gradient that is not finite reaches the weights.

    Returns
    -------
    Score
        Over the epoch, each batch as it was before its own step.

    Raises
    ------
    Interrupted
        After a whole step, and once everything is saved.
    NotFiniteError
        Before the step's weights are changed.
    """
    tally = keeper.position.tally if keeper else Tally(_device(model))
    if watch:
        watch.begin_epoch()
    for step, (inputs, labels) in enumerate(batches, keeper.position.steps if keeper else 0):
        optimizer.zero_grad()
        logits = model(inputs)
        loss = loss_function(logits, labels)
        loss.backward()
        if guard:
            guard.check(loss, inputs, labels, step)
        if watch:
            watch.after_backward(loss, inputs, labels)
        optimizer.step()
        if watch:
            watch.after_step()
        tally.add(loss, logits, labels)
        if keeper:
            keeper.after_step()
    if guard:
        guard.settle()
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
    tally = Tally(_device(model))
    for inputs, labels in batches:
        logits = model(inputs)
        tally.add(loss_function(logits, labels), logits, labels)
    return tally.score()


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


class Tally:
    """Sums that stay on the device, so that no step waits for the one before to be read.

    Parameters
    ----------
    device : torch.device or str
        Where the losses and labels will lie.

    Attributes
    ----------
    sums : Tensor
        (3,): examples, the sum of their losses, and how many were classified rightly.
    """

    def __init__(self, device: torch.device | str) -> None:
        exact = torch.float32 if torch.device(device).type == "mps" else torch.float64  # MPS has no float64
        self.sums = torch.zeros(3, dtype=exact, device=device)
        self._examples, self._loss, self._correct = self.sums

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean loss (), logits (N, C) and labels (N,)."""
        self._examples += len(labels)
        self._loss.add_(loss.detach(), alpha=len(labels))
        self._correct += (logits.detach().argmax(1) == labels).sum()

    def clear(self) -> None:
        """Begin anew."""
        self.sums.zero_()

    def score(self) -> Score:
        """Return the averages over all examples."""
        examples, loss, correct = self.sums.tolist()
        return Score(loss / examples, correct / examples)


def _device(model: Module) -> torch.device:
    return next(model.parameters()).device
