"""Exp by hand."""

import math

import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, math.log(3)], dtype=torch.float64, requires_grad=True)
    y = F.exp(x)
    torch.testing.assert_close(y, torch.tensor([1.0, 3.0], dtype=torch.float64))
    y.backward(torch.tensor([2.0, 5.0], dtype=torch.float64))
    torch.testing.assert_close(x.grad, torch.tensor([2.0, 15.0], dtype=torch.float64))


def test_overflow_and_underflow():
    x = torch.tensor([89.0, -1000.0], requires_grad=True)
    F.exp(x).sum().backward()
    assert x.grad.tolist() == [float("inf"), 0.0]
