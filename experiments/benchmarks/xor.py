"""How long does a step of the XOR network take, where the arithmetic is nothing and each call is everything?

    python -m experiments.benchmarks.xor

times 2-5-1 in float64 on four rows: the source notebook's NumPy, by hand with reused tensors, a thousand
networks at once, and autograd with our functions and with torch.nn.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import manualgrad.nn
from experiments.benchmarks.interleaved import Candidate, compare, parse_rounds, print_timings
from manualgrad.by_hand.many import train_many
from manualgrad.by_hand.xor import train_xor
from manualgrad.data.xor import xor

LEARNING_RATE = 0.3
STEPS, FEW = 2000, 100  # a round; few for what takes ten times as long
NETWORKS = 1000

Array = np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    """Print one row for each way to train."""
    rounds = parse_rounds("Time a training step of the XOR network.", 15)
    candidates = [
        Candidate(
            "NumPy, as the source notebook has it", lambda: train_in_numpy(*_draw_weights(), STEPS), STEPS
        ),
        Candidate("by hand", _by_hand, STEPS),
        Candidate(f"by hand, {NETWORKS} networks at once, a network", _many, FEW * NETWORKS),
        Candidate("our functions, plain gradient descent", _autograd(manualgrad.nn), FEW),
        Candidate("torch.nn, plain gradient descent", _autograd(torch.nn), FEW),
    ]
    print_timings("one training step, 2-5-1 on four rows, float64", "step", compare(candidates, rounds))


def train_in_numpy(hidden_weight: Array, output_weight: Array, steps: int) -> Array:
    """Train by the source notebook's operations, in its order; return the last outputs."""
    inputs, targets = (part.long().numpy() for part in xor())  # the notebook writes them as integers
    for _ in range(steps):
        hidden = 1 / (1 + np.exp(-np.dot(inputs, hidden_weight)))
        output = 1 / (1 + np.exp(-np.dot(hidden, output_weight)))
        delta_2 = (targets - output) * (output * (1 - output))
        delta_1 = delta_2.dot(output_weight.T) * (hidden * (1 - hidden))
        output_weight += hidden.T.dot(delta_2) * LEARNING_RATE
        hidden_weight += inputs.T.dot(delta_1) * LEARNING_RATE
    return output


def _draw_weights() -> tuple[Array, Array]:
    """Draw the notebook's initial weights."""
    numbers = np.random.RandomState(42)
    return numbers.uniform(-1, 1, (2, 5)), numbers.uniform(-1, 1, (5, 1))


def _by_hand() -> Tensor:
    """Train by hand, one network."""
    hidden, output = (torch.from_numpy(weight) for weight in _draw_weights())
    return train_xor(hidden, output, *xor(), LEARNING_RATE, STEPS)


def _many() -> Tensor:
    """Train many networks by hand at once."""
    hidden = torch.rand(2, 5, NETWORKS, dtype=torch.float64) * 2 - 1
    output = torch.rand(5, NETWORKS, dtype=torch.float64) * 2 - 1
    rates = torch.full((NETWORKS,), LEARNING_RATE, dtype=torch.float64)
    return train_many(hidden, output, *xor(), rates, FEW)


def _autograd(nn: Any) -> Callable[[], None]:
    """Return the usual loop with one library's layers."""
    inputs, targets = xor()
    model = torch.nn.Sequential(
        nn.Linear(2, 5, bias=False), nn.Sigmoid(), nn.Linear(5, 1, bias=False), nn.Sigmoid()
    ).double()
    loss_function = nn.MSELoss(reduction="sum")
    parameters = list(model.parameters())

    def run() -> None:
        for _ in range(FEW):
            model.zero_grad()
            loss_function(model(inputs), targets).backward()
            with torch.no_grad():
                for parameter in parameters:
                    assert parameter.grad is not None
                    parameter.sub_(
                        parameter.grad, alpha=LEARNING_RATE / 2
                    )  # the loss is twice the notebook's

    return run


if __name__ == "__main__":
    main()
