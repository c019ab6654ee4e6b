"""Dropout by hand."""

import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn


def test_what_is_dropped_gets_no_gradient_and_the_rest_is_scaled():
    x = torch.arange(1.0, 1001, requires_grad=True)
    y = F.dropout(x, 0.2)
    kept = y != 0
    assert 150 < (~kept).sum() < 250
    torch.testing.assert_close(y[kept], x[kept] / 0.8)
    y.backward(torch.full_like(y, 4.0))
    torch.testing.assert_close(x.grad, torch.where(kept, 5.0, 0.0))


@pytest.mark.parametrize("kwargs", [{"training": False}, {"p": 0.0}])
def test_where_nothing_is_dropped_the_input_comes_back(kwargs):
    x = torch.randn(3, 4, requires_grad=True)
    assert F.dropout(x, **kwargs) is x
    assert nn.Dropout().eval()(x) is x


def test_everything_is_dropped():
    x = torch.tensor([1.0, float("inf")], requires_grad=True)
    F.dropout(x[:1], 1.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
