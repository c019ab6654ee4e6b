"""The whole network by hand: two inputs, two hidden units, one output, line by line.

Forward
-------
Sigmoid in both layers, σ(z) = 1 / (1 + exp(-z)), a bias for every unit, and the mean squared error:

    z1 = x w1ᵀ + b1      h1 = σ(z1)      z2 = h1 w2ᵀ + b2      y = σ(z2)      loss = mean (y - t)²

Backward
--------
grad_v stands for ∂loss/∂v and has v's shape. Walk back from the loss. What has arrived at a line's result is
handed on to everything that the line reads. At the loss it begins with

    grad_y = 2 (y - t) / N                      N: the number of elements of y

A sigmoid's slope needs only its output, so z2 gets

    grad_z2 = grad_y · y · (1 - y)

z2 = h1 w2ᵀ + b2 reads three things. Each entry's gradient is a sum over every index that the entry lacks:

    grad_w2[o,i] = Σ_n grad_z2[n,o] h1[n,i]      grad_b2[o] = Σ_n grad_z2[n,o]

    grad_h1[n,i] = Σ_o grad_z2[n,o] w2[o,i]

The first layer repeats the last three steps, with z1, h1 and x in the places of z2, y and h1.

Pitfalls
--------
- w2 is (1, 2) and w1 is (2, 2): in the first layer a transposed product has the right shape and is wrong.
- σ'(z) = y (1 - y) is in y = σ(z), not in z.
- A bias gradient that is not summed over the rows has one number for each row, where there is one bias.
"""

import torch
from torch import Tensor


def by_hand(
    x: Tensor, t: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    # Forward
    z1 = x @ w1.t() + b1  # (N, 2)
    h1 = torch.sigmoid(z1)  # (N, 2)
    z2 = h1 @ w2.t() + b2  # (N, 1)
    y = torch.sigmoid(z2)  # (N, 1)
    loss = ((y - t) ** 2).mean()  # ()

    # Backward
    grad_y = 2 * (y - t) / y.numel()  # (N, 1)
    grad_z2 = grad_y * y * (1 - y)  # (N, 1)
    grad_w2 = grad_z2.t() @ h1  # (1, N) @ (N, 2) -> (1, 2)
    grad_b2 = grad_z2.sum(0)  # (1,)
    grad_h1 = grad_z2 @ w2  # (N, 1) @ (1, 2) -> (N, 2)
    grad_z1 = grad_h1 * h1 * (1 - h1)  # (N, 2)
    grad_w1 = grad_z1.t() @ x  # (2, N) @ (N, 2) -> (2, 2)
    grad_b1 = grad_z1.sum(0)  # (2,)
    return grad_w1, grad_b1, grad_w2, grad_b2, loss
