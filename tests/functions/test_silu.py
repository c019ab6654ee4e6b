"""SiLU by hand."""

import math

import pytest
import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, math.log(3)], dtype=torch.float64, requires_grad=True)  # σ = 1/2, 3/4
    y = F.silu(x)
    assert y.tolist() == pytest.approx([0.0, 0.75 * math.log(3)])
    y.backward(torch.tensor([4.0, 16.0], dtype=torch.float64))
    assert x.grad.tolist() == pytest.approx([2.0, 16 * 0.75 * (1 + math.log(3) / 4)])


def test_the_gradient_is_negative_on_the_far_side_of_the_minimum():
    x = torch.tensor([-3.0, -1.278464542761074], dtype=torch.float64, requires_grad=True)
    F.silu(x).sum().backward()
    assert x.grad[0] < -0.05
    assert abs(x.grad[1]) < 1e-15


def test_large_numbers():
    x = torch.tensor([1000.0, -1000.0], requires_grad=True)
    y = F.silu(x)
    assert y.tolist() == [1000.0, 0.0]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0]
