"""Softplus by hand."""

import math

import pytest
import torch

import manualgrad.functions as F


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_by_hand(beta):
    x = torch.tensor([0.0, math.log(3) / beta], dtype=torch.float64, requires_grad=True)
    y = F.softplus(x, beta)
    assert y.tolist() == pytest.approx([math.log(2) / beta, math.log(4) / beta])
    y.backward(torch.tensor([2.0, 4.0], dtype=torch.float64))
    assert x.grad.tolist() == pytest.approx([1.0, 3.0])


def test_above_the_threshold_it_is_the_identity():
    x = torch.tensor([0.9, 1.1], dtype=torch.float64, requires_grad=True)
    y = F.softplus(x, threshold=1.0)
    assert y[0] > 1
    assert y[1] == 1.1
    y.sum().backward()
    assert x.grad.tolist() == [pytest.approx(1 / (1 + math.exp(-0.9))), 1.0]


def test_large_numbers_keep_their_digits():
    x = torch.tensor([1000.0, -1000.0, -40.0], dtype=torch.float64, requires_grad=True)
    y = F.softplus(x)
    assert y.tolist() == [1000.0, 0.0, pytest.approx(math.exp(-40))]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, pytest.approx(math.exp(-40))]
