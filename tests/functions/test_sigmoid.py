"""Sigmoid by hand."""

import math

import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, math.log(3), -math.log(3)], dtype=torch.float64, requires_grad=True)
    y = F.sigmoid(x)
    torch.testing.assert_close(y, torch.tensor([0.5, 0.75, 0.25], dtype=torch.float64))
    y.backward(torch.tensor([4.0, 16.0, 16.0], dtype=torch.float64))
    torch.testing.assert_close(x.grad, torch.tensor([1.0, 3.0, 3.0], dtype=torch.float64))


def test_saturated_units_pass_nothing_and_stay_finite():
    x = torch.tensor([1000.0, -1000.0, 1e4, -1e4], requires_grad=True)
    y = F.sigmoid(x)
    assert y.tolist() == [1.0, 0.0, 1.0, 0.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0] * 4
