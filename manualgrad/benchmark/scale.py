"""How a training step grows with the network: wider, deeper, and with larger batches.

Everyone trains the same ReLU network with plain gradient descent, which keeps no averages, so that the widest
ones fit into memory.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

import manualgrad.nn
from manualgrad.benchmark.race import Contender, Effort, Table, duration, race, spread
from manualgrad.by_hand import Classifier

CLASSES = 10
LEARNING_RATE = 1e-3
# What grows: (width, hidden layers, batch).
WIDTHS = [(width, 2, 128) for width in (128, 512, 2048, 8192)]
DEPTHS = [(256, depth, 128) for depth in (2, 8, 32, 64)]
BATCHES = [(512, 2, batch) for batch in (32, 128, 1024, 8192)]
SMALL = 10**10  # multiplications of a step; more of them are measured in fewer rounds, and not in quick runs


def measure(effort: Effort) -> Iterator[Table]:
    """Race one step at every size.

    Parameters
    ----------
    effort : Effort
        How long to measure.

    Yields
    ------
    Table
        One for each thing that grows.
    """
    for what, sizes in (("width", WIDTHS), ("depth", DEPTHS), ("batch", BATCHES)):
        rows: list[tuple[str, ...]] = []
        ratios: dict[str, float] = {}
        for width, depth, batch in sizes:
            work = 3 * batch * width * width * (depth + 1)
            if effort.quick and work > SMALL / 10:
                continue
            rounds = effort.rounds if work < SMALL else max(2, effort.rounds // 4)
            steps = max(1, round(min(20, SMALL / work) * effort.lap))
            functions, by_hand, native = race(_contenders(width, depth, batch, steps), rounds, baseline=2)
            rows.append(
                (
                    *(f"{width} × {depth}, {batch} rows", duration(native.seconds)),
                    *(duration(functions.seconds), *spread(functions)),
                    *(duration(by_hand.seconds), *spread(by_hand)),
                )
            )
            ratios |= {f"{what} {width}×{depth}×{batch} {r.name}": r.ratio for r in (functions, by_hand)}
        header = ("width × hidden layers", "torch.nn", "functions", "ratio", "quartiles")
        yield Table(
            f"scale: one step as the {what} grows", (*header, "by hand", "ratio", "quartiles"), rows, ratios
        )


def _contenders(width: int, depth: int, batch: int, steps: int) -> list[Contender]:
    torch.manual_seed(0)
    inputs, labels = torch.randn(batch, width), torch.randint(CLASSES, (batch,))
    sizes = [width] * (depth + 1) + [CLASSES]
    network = Classifier(sizes).load(_build(torch.nn, sizes))

    def by_hand() -> None:
        for _ in range(steps):
            network.forward(inputs, labels)
            network.backward()
            with torch.no_grad():
                network.parameters.sub_(network.grad, alpha=LEARNING_RATE)

    return [
        Contender("functions", _loop(manualgrad.nn, sizes, inputs, labels, steps), steps),
        Contender("by hand", by_hand, steps),
        Contender("torch.nn", _loop(torch.nn, sizes, inputs, labels, steps), steps),
    ]


def _build(nn: Any, sizes: list[int]) -> torch.nn.Sequential:
    layers = []
    for features, units in pairwise(sizes):
        layers += [nn.Linear(features, units), nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _loop(nn: Any, sizes: list[int], inputs: Tensor, labels: Tensor, steps: int) -> Callable[[], None]:
    model, loss_function = _build(nn, sizes), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def lap() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_function(model(inputs), labels).backward()
            optimizer.step()

    return lap
