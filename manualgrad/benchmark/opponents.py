"""Opponents from outside PyTorch, each with its best honest settings."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from manualgrad.errors import UserError

Array = np.ndarray[Any, np.dtype[np.float32]]


# TensorFlow and PyTorch do not bear each other in one process: both bring an LLVM.
KERAS = """
import sys
import keras
import numpy as np
sizes, rows, batch_size = {sizes}, {rows}, {batch_size}
model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten()])
for units in sizes[1:-1]:
    model.add(keras.layers.Dense(units, activation="relu"))
model.add(keras.layers.Dense(sizes[-1], activation="softmax"))
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
numbers = np.random.default_rng(0)
images = numbers.random((rows, 28, 28), dtype=np.float32)
images *= images > 0.8
labels = np.eye(sizes[-1], dtype=np.float32)[numbers.integers(sizes[-1], size=rows)]
for line in sys.stdin:
    model.fit(images, labels, epochs=1, batch_size=batch_size, verbose=0)
    print("done", flush=True)
"""


class Keras:
    """Keras training as the source document has it, in a process of its own.

    Parameters
    ----------
    sizes : sequence of int
        Features, units, classes.
    rows : int
        Images of an epoch.
    batch_size : int
        Rows a step.
    """

    def __init__(self, sizes: Sequence[int], rows: int, batch_size: int) -> None:
        code = KERAS.format(sizes=tuple(sizes), rows=rows, batch_size=batch_size)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def train_epoch(self) -> None:
        """Train once on everything, and wait until it is done."""
        assert self._process.stdin
        assert self._process.stdout
        print("go", file=self._process.stdin, flush=True)
        if self._process.stdout.readline() != "done\n":
            raise UserError("Keras is installed, but does not train; uninstall tensorflow to leave it out")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def train_in_numpy(
    sizes: Sequence[int], images: Tensor, labels: Tensor, batch_size: int
) -> Callable[[], None]:
    """Return an epoch of training by hand in NumPy, with the same memory trodden in every step.

    Parameters
    ----------
    sizes : sequence of int
        Features, units, classes.
    images, labels : Tensor
        (N, ...) and (N,).
    batch_size : int
        Rows a step; it divides N.

    Returns
    -------
    callable
        Trains once on everything.
    """
    inputs, targets = images.flatten(1).numpy(), labels.numpy()
    shuffle, rows = np.random.default_rng(0), np.arange(batch_size)
    count = sum((features + 1) * units for features, units in pairwise(sizes))
    values, grads, scratch, mean, square = np.zeros((5, count), np.float32)
    weights, grad_weights = _cut(values, sizes), _cut(grads, sizes)
    for weight, _ in weights:
        weight[:] = shuffle.uniform(-1, 1, weight.shape) / weight.shape[0] ** 0.5
    outputs = [np.empty((batch_size, units), np.float32) for units in sizes[1:]]
    deltas = [np.empty((batch_size, units), np.float32) for units in sizes[1:]]
    steps = 0

    def step(batch: Array, answers: Array) -> None:
        nonlocal steps
        below = batch
        for (weight, bias), output in zip(weights, outputs, strict=True):
            np.matmul(below, weight, out=output)
            output += bias
            if output is not outputs[-1]:
                np.maximum(output, 0, out=output)
            below = output
        delta = deltas[-1]
        np.subtract(below, below.max(1, keepdims=True), out=delta)
        np.exp(delta, out=delta)
        delta /= delta.sum(1, keepdims=True)
        delta[rows, answers] -= 1
        delta /= batch_size
        for index in reversed(range(len(weights))):
            below = outputs[index - 1] if index else batch
            np.matmul(below.T, delta, out=grad_weights[index][0])
            np.sum(delta, axis=0, out=grad_weights[index][1])
            if index:
                delta = np.matmul(delta, weights[index][0].T, out=deltas[index - 1])
                delta *= below > 0
        # Adam, all parameters at once.
        steps += 1
        np.subtract(grads, mean, out=scratch)
        np.multiply(scratch, 0.1, out=scratch)
        np.add(mean, scratch, out=mean)
        np.multiply(grads, grads, out=grads)
        np.subtract(grads, square, out=grads)
        np.multiply(grads, 0.001, out=grads)
        np.add(square, grads, out=square)
        np.sqrt(square, out=scratch)
        np.add(scratch, 1e-8, out=scratch)
        np.divide(mean, scratch, out=scratch)
        rate = 0.001 * (1 - 0.999**steps) ** 0.5 / (1 - 0.9**steps)
        np.multiply(scratch, rate, out=scratch)
        np.subtract(values, scratch, out=values)

    def epoch() -> None:
        order = shuffle.permutation(len(inputs))
        for start in range(0, len(order), batch_size):
            drawn = order[start : start + batch_size]
            step(inputs[drawn], targets[drawn])

    return epoch


def _cut(vector: Array, sizes: Sequence[int]) -> list[tuple[Array, Array]]:
    """Return each layer's weight (I, O) and bias (O,) as views into the vector."""
    layers, start = [], 0
    for features, units in pairwise(sizes):
        middle, end = start + features * units, start + (features + 1) * units
        layers.append((vector[start:middle].reshape(features, units), vector[middle:end]))
        start = end
    return layers
