"""Tanh by hand."""

import math

import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor(
        [0.0, math.log(2)], dtype=torch.float64, requires_grad=True
    )  # tanh(log 2) = (4 - 1) / (4 + 1)
    y = F.tanh(x)
    torch.testing.assert_close(y, torch.tensor([0.0, 0.6], dtype=torch.float64))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([1.0, 0.64], dtype=torch.float64))


def test_small_inputs_tell_output_from_input():
    """1 - y² and 1 - x² agree to 1e-8 at 0.01; only a tight tolerance sees which one it is."""
    x = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
    F.tanh(x).backward()
    assert abs(x.grad.item() - 1 / math.cosh(0.01) ** 2) < 1e-15


def test_a_large_upstream_gradient_does_not_overflow_in_float16():
    x = torch.tensor(-4.0, dtype=torch.float16, requires_grad=True)
    y = F.tanh(x)
    y.backward(torch.tensor(60000.0, dtype=torch.float16))
    assert x.grad.isfinite()


def test_saturated():
    x = torch.tensor([1000.0, -1000.0], requires_grad=True)
    F.tanh(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
