"""How long does a training step of the MNIST network take, beside torch.nn and NumPy?

    python -m experiments.benchmarks.mnist

times 784-512-256-128-10 with ReLU, softmax and Adam, batches of 128 drawn by index, float32. The images are
made up, of MNIST's shape and four fifths of each black: what is compared is time. Denormals are flushed for
all.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector
from torch.utils.data import DataLoader, TensorDataset

import manualgrad.nn
from experiments.benchmarks.baselines import train_in_numpy
from experiments.benchmarks.interleaved import Candidate, compare, parse_rounds, print_timings
from manualgrad.by_hand.classifier import Classifier

SIZES = (784, 512, 256, 128, 10)
BATCH = 128
STEPS = 93  # a round: a quarter of an epoch

Step = Callable[[Tensor, Tensor], object]


def main() -> None:
    """Print one row for each way to train."""
    torch.set_flush_denormal(True)
    rounds = parse_rounds("Time a training step of the MNIST network.", 15)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(STEPS * BATCH, 28, 28, generator=generator)
    images *= images > 0.8
    labels = torch.randint(SIZES[-1], (len(images),), generator=generator)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(images)).split(BATCH):
            yield images[rows], labels[rows]

    def epoch(step: Step) -> Callable[[], None]:
        def run() -> None:
            for inputs, targets in batches():
                step(inputs, targets)

        return run

    ways: dict[str, Callable[[], object]] = {
        "torch.nn, fused Adam": epoch(_autograd(torch.nn, fused=True)),
        "our functions, fused Adam": epoch(_autograd(manualgrad.nn, fused=True)),
        "by hand, fused Adam": epoch(_by_hand()),
        "matrix products and Adam alone": epoch(_products(with_adam=True)),
        "matrix products alone": epoch(_products(with_adam=False)),
        "NumPy by hand": train_in_numpy(SIZES, images, labels, BATCH),
        "torch.nn, default Adam": epoch(_autograd(torch.nn, fused=None)),
        "torch.nn, default Adam, DataLoader": _with_loader(images, labels),
    }
    timings = compare([Candidate(name, run, STEPS) for name, run in ways.items()], rounds)
    print_timings("one training step, 784-512-256-128-10, batch 128, float32", "step", timings)


def _build(nn: Any) -> torch.nn.Sequential:
    """Build the network from one library's layers."""
    torch.manual_seed(0)
    layers = [nn.Flatten()]
    for features, units in pairwise(SIZES):
        layers += [nn.Linear(features, units), nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _autograd(nn: Any, fused: bool | None) -> Step:
    """Return the usual step with one library's layers and loss."""
    model, loss_function = _build(nn), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), fused=fused)

    def step(inputs: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        loss_function(model(inputs), labels).backward()
        optimizer.step()

    return step


def _by_hand() -> Step:
    """Return the step without autograd."""
    network = Classifier(_build(torch.nn))
    optimizer = torch.optim.Adam([network.parameters], fused=True)

    def step(inputs: Tensor, labels: Tensor) -> None:
        network.forward(inputs, labels)
        network.backward()
        optimizer.step()

    return step


def _with_loader(images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return an epoch of torch.nn as it comes, with a DataLoader over the same tensors."""
    step = _autograd(torch.nn, fused=None)
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH, shuffle=True)

    def run() -> None:
        for inputs, targets in loader:
            step(inputs, targets)

    return run


def _products(with_adam: bool) -> Step:
    """Return the matrix products alone, into tensors that are there, or with Adam: the limits."""
    calls = []
    parameters = torch.nn.Parameter(parameters_to_vector(_build(torch.nn).parameters()).detach())
    parameters.grad = torch.rand_like(parameters)
    optimizer = torch.optim.Adam([parameters], fused=True)
    for index, (features, units) in enumerate(pairwise(SIZES)):
        below, above = torch.rand(BATCH, features), torch.rand(BATCH, units)
        weight = torch.rand(units, features)
        calls.append((below, weight.t(), torch.empty_like(above)))
        calls.append((above.t(), below, torch.empty_like(weight)))
        if index:
            calls.append((above, weight, torch.empty_like(below)))

    def step(inputs: Tensor, labels: Tensor) -> None:
        for left, right, out in calls:
            torch.mm(left, right, out=out)
        if with_adam:
            optimizer.step()

    return step


if __name__ == "__main__":
    main()
