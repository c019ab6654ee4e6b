"""Log-softmax by hand."""

import math

import pytest
import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, math.log(3)], dtype=torch.float64, requires_grad=True)  # p = 1/4, 3/4
    y = F.log_softmax(x)
    assert y.tolist() == pytest.approx([-math.log(4), math.log(3) - math.log(4)])
    y.backward(torch.tensor([8.0, 4.0], dtype=torch.float64))
    assert x.grad.tolist() == pytest.approx([8 - 12 / 4, 4 - 12 * 3 / 4])


def test_a_gradient_of_any_row_sums_to_zero():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    F.log_softmax(x, 1).backward(torch.randn(3, 4, dtype=torch.float64))
    assert x.grad.sum(1).abs().max() < 1e-14


def test_a_probability_that_rounds_to_zero_keeps_its_logarithm():
    x = torch.tensor([0.0, -1000.0], requires_grad=True)
    y = F.log_softmax(x)
    assert y.tolist() == [0.0, -1000.0]
    y[1].backward()
    assert x.grad.tolist() == [-1.0, 1.0]


def test_no_dimension_is_refused():
    with pytest.raises(TypeError, match="log_softmax: dim must be an int, got None"):
        F.log_softmax(torch.ones(2), None)
