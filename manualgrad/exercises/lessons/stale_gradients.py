"""Gradient descent with autograd, and whose gradients those are.

Program
-------
A line is fitted to five points: y = x Wᵀ + b, mean squared error, gradients by autograd, and the update
written out, as ``torch.optim.SGD`` does it.

Symptom
-------
The first step is right. Those after it are not: the loss falls, overshoots, and swings. With a smaller
learning rate it looks like training again, only never quite as it should.

Print ``weight.grad`` in each step, just before and just after ``loss.backward()``. What is in it before?

Cause
-----
``backward`` does not set ``.grad``: it *adds* to it, so that the gradients of several losses can be
collected. What the step before has left there is still there.
"""

import torch
from torch import Tensor

import manualgrad.functions as F


def start() -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return five points, their targets, and the parameters to begin with."""
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).reshape(5, 1)
    parameters = {
        "weight": torch.zeros(1, 1, dtype=torch.float64),
        "bias": torch.zeros(1, dtype=torch.float64),
    }
    return x, 3 * x + 2, parameters


def train(
    x: Tensor,
    target: Tensor,
    parameters: dict[str, Tensor],
    learning_rate: float,
    steps: int,
) -> list[float]:
    """Change the parameters in place, and return the loss before each step."""
    for parameter in parameters.values():
        parameter.requires_grad_()
    losses = []
    for _ in range(steps):
        y = F.linear(x, parameters["weight"], parameters["bias"])
        loss = F.mse_loss(y, target)
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for parameter in parameters.values():
                if parameter.grad is not None:
                    parameter -= learning_rate * parameter.grad
                parameter.grad = None
    return losses


if __name__ == "__main__":
    x, target, parameters = start()
    print("losses", train(x, target, parameters, learning_rate=0.3, steps=10))
    print(parameters)
