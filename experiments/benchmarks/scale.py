"""How does a training step grow with the network's width, its depth and the batch?

    python -m experiments.benchmarks.scale

times the same ReLU network with plain gradient descent: with torch.nn, with our functions, and by hand
without autograd.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

import manualgrad.nn
from experiments.benchmarks.interleaved import (
    Candidate,
    compare,
    duration,
    parse_rounds,
    quartiles,
    ratio,
)
from manualgrad.by_hand.classifier import Classifier
from manualgrad.table import print_table

CLASSES = 10
LEARNING_RATE = 1e-3
# What grows: (width, hidden layers, batch).
SIZES = {
    "width": [(width, 2, 128) for width in (128, 512, 2048)],
    "depth": [(256, depth, 128) for depth in (2, 8, 32)],
    "batch": [(512, 2, batch) for batch in (32, 256, 2048)],
}
ROUND = 10**9  # multiplications a round, about: small steps are repeated


def main() -> None:
    """Print a table for each thing that grows."""
    rounds = parse_rounds("Time a training step as the network grows.", 7)
    for what, sizes in SIZES.items():
        rows = []
        for width, depth, batch in sizes:
            steps = max(1, min(20, ROUND // (3 * batch * width * width * (depth + 1))))
            native, functions, by_hand = compare(_candidates(width, depth, batch, steps), rounds)
            rows.append(
                (
                    *(f"{width} × {depth}, {batch} rows", duration(native.seconds)),
                    *(ratio(functions), quartiles(functions), ratio(by_hand), quartiles(by_hand)),
                )
            )
        header = ("width × hidden layers", "torch.nn", "functions", "quartiles", "by hand", "quartiles")
        print_table(
            f"one training step as the {what} grows: torch.nn's time, and the ratios to it", header, rows
        )


def _candidates(width: int, depth: int, batch: int, steps: int) -> list[Candidate]:
    """Return the three ways to train one network."""
    torch.manual_seed(0)
    inputs, labels = torch.randn(batch, width), torch.randint(CLASSES, (batch,))
    sizes = [width] * (depth + 1) + [CLASSES]
    network = Classifier(_build(torch.nn, sizes))

    gradient = network.parameters.grad
    assert gradient is not None  # it is always there

    def by_hand() -> None:
        for _ in range(steps):
            network.forward(inputs, labels)
            network.backward()
            with torch.no_grad():
                network.parameters.sub_(gradient, alpha=LEARNING_RATE)

    return [
        Candidate("torch.nn", _autograd(torch.nn, sizes, inputs, labels, steps), steps),
        Candidate("functions", _autograd(manualgrad.nn, sizes, inputs, labels, steps), steps),
        Candidate("by hand", by_hand, steps),
    ]


def _build(nn: Any, sizes: list[int]) -> torch.nn.Sequential:
    """Build the network from one library's layers."""
    layers = []
    for features, units in pairwise(sizes):
        layers += [nn.Linear(features, units), nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _autograd(nn: Any, sizes: list[int], inputs: Tensor, labels: Tensor, steps: int) -> Callable[[], None]:
    """Return the usual loop with one library's layers."""
    model, loss_function = _build(nn, sizes), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_function(model(inputs), labels).backward()
            optimizer.step()

    return run


if __name__ == "__main__":
    main()
