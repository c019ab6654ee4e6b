"""A step of gradient descent, for weights and biases.

Program
-------
Two inputs, two hidden and two output units, all sigmoid, and one bias for each layer. The network is trained
on one example, without autograd: forward, backward, update. Its numbers are those of a well-known worked
example that many notebooks have taken over. It prints the updated weights, but not the updated biases.

Symptom
-------
The loss falls, and the weights after one step are, digit for digit, those of the worked example. Something
else is not as it should be, and no printed figure shows it.

Print the biases before and after a step, and beside them their gradients. Does each move against its
gradient? By how much should it move, at this learning rate?

Cause
-----
Gradient descent moves every parameter p by -η · ∂L/∂p. Hold the four lines of the update side by side. Which
gradients are computed, and then read by nobody?
"""

import torch
from torch import Tensor

from manualgrad.data.documents import load

GIVEN = load("two_two_two").given


def start() -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return the example's input, its target, and the first parameters."""
    names = ("input", "target", "W1", "b1", "W2", "b2")
    values = [torch.tensor(GIVEN[name], dtype=torch.float64) for name in names]
    x, target, w1, b1, w2, b2 = values
    parameters = {"w1": w1, "b1": b1, "w2": w2, "b2": b2}
    return x.reshape(1, 2), target.reshape(1, 2), parameters


def train(
    x: Tensor,
    target: Tensor,
    parameters: dict[str, Tensor],
    learning_rate: float,
    steps: int,
) -> list[float]:
    """Change the parameters, and return the loss before each step."""
    w1, b1, w2, b2 = (parameters[name] for name in ("w1", "b1", "w2", "b2"))
    losses = []
    for _ in range(steps):
        h = torch.sigmoid(x @ w1.t() + b1)  # (N, 2)
        out = torch.sigmoid(h @ w2.t() + b2)  # (N, 2)
        losses.append(0.5 * float(((out - target) ** 2).sum()))

        grad_net2 = (out - target) * out * (1 - out)  # (N, 2)
        grad_w2 = grad_net2.t() @ h  # (2, 2)
        grad_b2 = grad_net2.sum()  # (): one bias, added in both units
        grad_net1 = grad_net2 @ w2 * h * (1 - h)  # (N, 2)
        grad_w1 = grad_net1.t() @ x  # (2, 2)
        grad_b1 = grad_net1.sum()  # ()

        w2 = w2 - learning_rate * grad_w2
        b2 = b2 - learning_rate * grad_b2
        w1 = w1 - learning_rate * grad_w1
        b1 = b1 - learning_rate * grad_b1
    parameters.update(w1=w1, b1=b1, w2=w2, b2=b2)
    return losses


if __name__ == "__main__":
    x, target, parameters = start()
    losses = train(x, target, parameters, GIVEN["learning_rate"], steps=5)
    print("losses", losses)
    print(parameters)
