"""A training step of the source document's MNIST network, by everyone who can do it.

784-512-256-128-10, ReLU, softmax, Adam, batches of 128 drawn at random, float32. The images are made up: of
MNIST's shape, four fifths of each paper. What is compared is time; what a mode costs in accuracy, a whole
run of ``experiments/mnist.py`` tells. Denormal numbers are flushed for everyone.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import manualgrad.nn
from manualgrad.benchmark.opponents import Keras, train_in_numpy
from manualgrad.benchmark.race import Contender, Effort, Result, Table, missing, race, tabulate
from manualgrad.by_hand import Classifier, Trainer
from manualgrad.training import gather_batches, train_epoch
from manualgrad.training.finite import Guard

SIZES = (784, 512, 256, 128, 10)
BATCH = 128
STEPS = 93  # a lap: a quarter of an epoch

Step = Callable[[Tensor, Tensor], object]
Batches = Iterator[tuple[Tensor, Tensor]]


def measure(effort: Effort) -> Iterator[Table]:
    """Race the ways to train on MNIST, first in float32, then with the products in medium precision.

    Parameters
    ----------
    effort : Effort
        How long to measure.

    Yields
    ------
    Table
        One row a way; the matrix products alone are a row, too.
    """
    steps = max(2, round(STEPS * effort.lap))
    images, labels = _draw(steps * BATCH)

    def batches() -> Batches:
        return gather_batches(images, labels, BATCH, torch.Generator().manual_seed(0))

    def ours(name: str, step: Step, settings: str) -> Contender:
        def lap() -> None:
            for batch in batches():
                step(*batch)

        return Contender(name, lap, steps, settings)

    native, functions = _build(torch.nn), _build(manualgrad.nn)
    contenders = [
        ours("torch.nn", _step(native, _adam(native)), "fused Adam, batches by index: the baseline"),
        ours("functions", _step(functions, _adam(functions)), "the same"),
        ours("by hand", _by_hand(), "the same"),
    ]
    products = ours("products alone", _products(), "torch.mm with out=, nothing else")
    others = [
        Contender("functions, mnist.py's loop", _whole_loop(batches), steps, "with its guard and its sums"),
        Contender("by hand, mnist.py's loop", _whole_loop_by_hand(batches), steps, "the same"),
        ours("torch.nn as it comes", _step(_build(torch.nn), None), "default Adam, batches by index"),
        _with_loader(images, labels, steps),
        products,
        Contender("NumPy", train_in_numpy(SIZES, images, labels, BATCH), steps, "by hand, float32, out="),
    ]
    if not effort.quick:
        compiled = _step(_build(manualgrad.nn), None, compiled=True)
        others.append(ours("functions compiled", compiled, "torch.compile, fused Adam"))
    with ExitStack() as stack:
        if not missing("tensorflow", "Keras"):
            keras = stack.enter_context(closing(Keras(SIZES, len(images), BATCH)))
            others.append(Contender("Keras", keras.train_epoch, steps, "as the document has it: fit"))
        results = race([*contenders, *others], effort.rounds)
    yield tabulate("mnist: one step in float32", results, "step")

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        results = race([*contenders, products], effort.rounds)
    finally:
        torch.set_float32_matmul_precision(before)
    title = 'mnist: one step with set_float32_matmul_precision("medium") for all'
    yield tabulate(title, [_rename(result) for result in results], "step")


def _rename(result: Result) -> Result:
    name = f"{result.name}, medium"
    return Result(name, result.seconds, result.ratio, result.low, result.high, result.settings)


def _draw(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 28, 28, generator=generator)
    return images * (images > 0.8), torch.randint(SIZES[-1], (count,), generator=generator)


def _build(nn: Any) -> torch.nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Flatten()]
    for features, units in pairwise(SIZES):
        layers += [nn.Linear(features, units), nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _adam(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), fused=True)


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer | None, compiled: bool = False) -> Step:
    """Return the usual step with the loss that belongs to the model's layers."""
    ours = type(model[-1]).__module__ == "manualgrad.nn"  # type: ignore[index]
    loss_function: Any = manualgrad.nn.CrossEntropyLoss() if ours else torch.nn.CrossEntropyLoss()
    adam = optimizer or torch.optim.Adam(model.parameters(), fused=compiled or None)

    def compute_loss(inputs: Tensor, labels: Tensor) -> Tensor:
        return loss_function(model(inputs), labels)

    if compiled:
        compute_loss = torch.compile(compute_loss)

    def step(inputs: Tensor, labels: Tensor) -> None:
        adam.zero_grad()
        compute_loss(inputs, labels).backward()
        adam.step()

    return step


def _by_hand() -> Step:
    network = Classifier(SIZES).load(_build(torch.nn))
    adam = torch.optim.Adam([network.parameters], fused=True)

    def step(inputs: Tensor, labels: Tensor) -> None:
        network.forward(inputs, labels)
        network.backward()
        adam.step()

    return step


def _whole_loop(batches: Callable[[], Batches]) -> Callable[[], object]:
    """Return a lap of the training loop itself, which also guards the weights and keeps score."""
    model, loss_function = _build(manualgrad.nn), manualgrad.nn.CrossEntropyLoss()
    adam = _adam(model)
    guard = Guard(adam, replay=lambda inputs, labels: None)
    return lambda: train_epoch(model, loss_function, adam, batches(), guard=guard)


def _whole_loop_by_hand(batches: Callable[[], Batches]) -> Callable[[], object]:
    network = Classifier(SIZES).load(_build(torch.nn))
    adam = torch.optim.Adam([network.parameters], fused=True)
    trainer = Trainer(network, adam, guard=Guard(adam, replay=lambda inputs, labels: None))
    return lambda: trainer.train_epoch(batches())


def _with_loader(images: Tensor, labels: Tensor, steps: int) -> Contender:
    step = _step(_build(torch.nn), None)
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH, shuffle=True)

    def lap() -> None:
        for inputs, targets in loader:
            step(inputs, targets)

    return Contender(
        "torch.nn and DataLoader", lap, steps, "default Adam, a DataLoader over the same tensors"
    )


def _products() -> Step:
    """Return the step's matrix products alone, each on tensors that are there."""
    calls = []
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

    return step
