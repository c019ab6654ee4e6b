"""Powers by hand."""

import math

import pytest
import torch

import manualgrad.functions as F


@pytest.mark.parametrize(
    ("number", "exponent", "value", "derivative"),
    [
        (2.0, 3, 8.0, 12.0),
        (2.0, 3.0, 8.0, 12.0),
        (-2.0, 3, -8.0, 12.0),
        (4.0, 0.5, 2.0, 0.25),
        (2.0, -1, 0.5, -0.25),
        (-2.0, 2, 4.0, -4.0),
        (5.0, 1, 5.0, 1.0),
        (5.0, True, 5.0, 1.0),
        (5.0, 0, 1.0, 0.0),
        (0.0, 0, 1.0, 0.0),
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 1, 0.0, 1.0),
        (0.0, 2, 0.0, 0.0),
        (0.0, 0.5, 0.0, math.inf),
        (-1.0, 0.5, math.nan, math.nan),
        (0.0, -1, math.inf, -math.inf),
    ],
)
def test_by_hand(number, exponent, value, derivative):
    x = torch.tensor([number], dtype=torch.float64, requires_grad=True)
    y = F.power(x, exponent)
    assert y.tolist() == pytest.approx([value], nan_ok=True)
    y.sum().backward()
    assert x.grad.tolist() == pytest.approx([derivative], nan_ok=True)


def test_nothing_passes_through_a_constant():
    x = torch.tensor([0.0, 2.0], requires_grad=True)
    F.power(x, 0).backward(torch.tensor([math.inf, math.nan]))
    assert x.grad.tolist() == [0.0, 0.0]


def test_whole_numbers_to_whole_powers():
    assert F.power(torch.tensor([2, 3]), 2).tolist() == [4, 9]
