"""Exclusive or, 2-5-1 in float64: the source document's NumPy against our ways to do the same.

Here the arithmetic is nothing and each call into a library is everything.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

import manualgrad.nn
from manualgrad.benchmark.race import Contender, Effort, Table, race, tabulate
from manualgrad.by_hand import train_many, train_xor
from manualgrad.data.xor import xor

LEARNING_RATE = 0.3
STEPS = 2000  # a lap
NETWORKS = 1000
Array = np.ndarray[Any, np.dtype[np.float64]]


def measure(effort: Effort) -> Iterator[Table]:
    """Race the ways to train on exclusive or.

    Parameters
    ----------
    effort : Effort
        How long to measure.

    Yields
    ------
    Table
        One row a way.
    """
    steps = max(200, round(STEPS * effort.lap))
    few = max(2, steps // 20)
    contenders = [
        Contender("NumPy", lambda: train_in_numpy(*_draw_arrays(), steps), steps, "as the document has it"),
        Contender("by hand", _by_hand(steps), steps, "tensors reused, no autograd"),
        Contender("functions", _modules(manualgrad.nn, _descend, few), few, "autograd, plain descent"),
        Contender("torch.nn", _modules(torch.nn, _descend, few), few, "autograd, plain descent"),
        Contender("torch.nn with SGD", _modules(torch.nn, None, few), few, "autograd, torch.optim"),
        Contender(f"by hand, {NETWORKS} at once", _many(few), few * NETWORKS, "time a network and step"),
    ]
    yield tabulate("xor: one step of 2-5-1 on four rows", race(contenders, effort.rounds), "step")


def train_in_numpy(hidden_weight: Array, output_weight: Array, steps: int) -> Array:
    """Train as the source document does, in its order of operations.

    Parameters
    ----------
    hidden_weight, output_weight : numpy.ndarray
        (2, H) and (H, 1). They are changed.
    steps : int
        Each over all four rows.

    Returns
    -------
    numpy.ndarray
        (4, 1): the outputs before the last step.
    """
    inputs, targets = (part.long().numpy() for part in xor())  # the document writes them as integers
    for _ in range(steps):
        hidden = 1 / (1 + np.exp(-np.dot(inputs, hidden_weight)))
        output = 1 / (1 + np.exp(-np.dot(hidden, output_weight)))
        delta_2 = (targets - output) * (output * (1 - output))
        delta_1 = delta_2.dot(output_weight.T) * (hidden * (1 - hidden))
        output_weight += hidden.T.dot(delta_2) * LEARNING_RATE
        hidden_weight += inputs.T.dot(delta_1) * LEARNING_RATE
    return output


def _draw_arrays() -> tuple[Array, Array]:
    numbers = np.random.RandomState(42)
    return numbers.uniform(-1, 1, (2, 5)), numbers.uniform(-1, 1, (5, 1))


def _by_hand(steps: int) -> Callable[[], Tensor]:
    inputs, targets = xor()
    hidden, output = (torch.from_numpy(weights) for weights in _draw_arrays())
    return lambda: train_xor(hidden, output, inputs, targets, LEARNING_RATE, steps)


def _many(steps: int) -> Callable[[], Tensor]:
    inputs, targets = xor()
    hidden = torch.rand(2, 5, NETWORKS, dtype=torch.float64) * 2 - 1
    output = torch.rand(5, NETWORKS, dtype=torch.float64) * 2 - 1
    rates = torch.full((NETWORKS,), LEARNING_RATE, dtype=torch.float64)
    return lambda: train_many(hidden, output, inputs, targets, rates, steps)


def _modules(nn: Any, update: "Callable[[torch.nn.Module], None] | None", steps: int) -> Callable[[], None]:
    """Return a lap of the usual loop with the layers of ``nn``; update None takes ``torch.optim.SGD``."""
    inputs, targets = xor()
    model = torch.nn.Sequential(
        nn.Linear(2, 5, bias=False), nn.Sigmoid(), nn.Linear(5, 1, bias=False), nn.Sigmoid()
    ).double()
    loss_function = nn.MSELoss(reduction="sum")
    optimizer = None if update else torch.optim.SGD(model.parameters(), lr=LEARNING_RATE / 2)

    def lap() -> None:
        for _ in itertools.repeat(None, steps):
            model.zero_grad()
            loss_function(model(inputs), targets).backward()
            if update:
                update(model)
            elif optimizer:
                optimizer.step()

    return lap


@torch.no_grad()
def _descend(model: torch.nn.Module) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.sub_(parameter.grad, alpha=LEARNING_RATE / 2)  # the loss is twice the document's
