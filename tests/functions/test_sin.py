"""Sine by hand."""

import math

import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, math.pi / 6, math.pi / 2, math.pi], dtype=torch.float64, requires_grad=True)
    y = F.sin(x)
    torch.testing.assert_close(y, torch.tensor([0.0, 0.5, 1.0, 0.0], dtype=torch.float64))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([1.0, math.sqrt(3) / 2, 0.0, -1.0], dtype=torch.float64))


def test_the_fourth_derivative_is_the_function_again():
    derivative = F.sin
    for _ in range(4):
        derivative = torch.func.grad(derivative)
    x = torch.tensor(0.7, dtype=torch.float64)
    torch.testing.assert_close(derivative(x), torch.sin(x))
