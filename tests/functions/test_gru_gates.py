"""The GRU cell by hand, and against PyTorch's."""

import math

import pytest
import torch

import manualgrad.functions as F
from tests.functions.tools import assert_same


def leaf(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def cell_arguments(bias=True):
    torch.manual_seed(0)
    return leaf(3, 4), leaf(3, 5), leaf(15, 4), leaf(15, 5), *((leaf(15), leaf(15)) if bias else ())


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_by_hand():
    """With a gate at 0 the sigmoid is a half, and its derivative a quarter."""
    input_gates, hidden_gates, hidden = numbers(0.0, 0.0, 0.0), numbers(0.0, 0.0, 2.0), numbers(3.0)
    output = F.gru_gates(input_gates, hidden_gates, hidden)
    n = math.tanh(1)  # the reset gate lets half of 2 through
    assert output.item() == pytest.approx((n + 3) / 2)
    output.backward()
    candidate = (1 - n * n) / 2
    expected = [candidate * 2 / 4, (3 - n) / 4, candidate]
    assert input_gates.grad.tolist() == pytest.approx(expected)
    assert hidden_gates.grad.tolist() == pytest.approx([*expected[:2], candidate / 2])
    assert hidden.grad.item() == 0.5


def test_an_update_gate_at_one_keeps_the_memory_and_its_gradient_whole():
    hidden = numbers(0.7)
    output = F.gru_gates(numbers(0.1, 1000.0, 0.2), numbers(0.0, 0.0, 0.3), hidden)
    assert output.item() == 0.7
    output.backward()
    assert hidden.grad.item() == 1.0


@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_pytorchs(bias):
    results = []
    for function in (F.gru_cell, torch.gru_cell):
        arguments = cell_arguments(bias)
        output = function(*arguments)
        results.append([output, *torch.autograd.grad(output.sin().sum(), arguments)])
    assert_same(*results)
