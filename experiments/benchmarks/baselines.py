"""The MNIST network by hand in NumPy, for comparison."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float32]]


def train_in_numpy(
    sizes: Sequence[int], images: Tensor, labels: Tensor, batch_size: int
) -> Callable[[], None]:
    """Return an epoch of training by hand in NumPy, which reuses its buffers in every step."""
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
