"""Softmax by hand."""

import math

import pytest
import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, math.log(3)], dtype=torch.float64, requires_grad=True)
    p = F.softmax(x)
    torch.testing.assert_close(p, torch.tensor([0.25, 0.75], dtype=torch.float64))
    p[0].backward()  # p0 (1 - p0) on the diagonal, -p0 p1 beside it
    torch.testing.assert_close(x.grad, torch.tensor([3 / 16, -3 / 16], dtype=torch.float64))


def test_a_uniform_upstream_gradient_gives_none():
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    F.softmax(x).sum().backward()
    assert x.grad.abs().max() < 1e-15


@pytest.mark.parametrize("scale", [1e3, 1e4, 3e38])
def test_large_logits(scale):
    p = F.softmax(torch.tensor([scale, 0.0, scale, -scale]))
    assert p.tolist() == [0.5, 0.0, 0.5, 0.0]


def test_a_class_that_is_ruled_out():
    assert F.softmax(torch.tensor([0.0, -math.inf, 0.0])).tolist() == [0.5, 0.0, 0.5]


def test_a_single_number_is_a_row_of_one():
    assert F.softmax(torch.tensor(3.0), 0).item() == 1.0
    assert F.softmax(torch.tensor(3.0), -1).shape == ()
