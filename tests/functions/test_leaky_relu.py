"""Leaky ReLU by hand, above all at its kink."""

import torch

import manualgrad.functions as F

INF, NAN = float("inf"), float("nan")


def test_by_hand():
    x = torch.tensor([-2.0, 3.0, 0.0, -0.0], requires_grad=True)
    y = F.leaky_relu(x, 0.5)
    assert y.tolist() == [-1.0, 3.0, 0.0, 0.0]
    y.backward(torch.tensor([5.0, 7.0, 4.0, 4.0]))
    assert x.grad.tolist() == [2.5, 7.0, 2.0, 2.0]


def test_a_slope_of_zero_is_relu_but_for_infinite_gradients():
    x = torch.tensor([-1.0, 2.0, -3.0], requires_grad=True)
    F.leaky_relu(x, 0.0).backward(torch.tensor([4.0, INF, -2.0]))
    assert x.grad.tolist() == [0.0, INF, 0.0]


def test_a_negative_slope_folds_the_line():
    x = torch.tensor([-2.0, 2.0], requires_grad=True)
    y = F.leaky_relu(x, -1.0)
    assert y.tolist() == [2.0, 2.0]
    y.sum().backward()
    assert x.grad.tolist() == [-1.0, 1.0]
