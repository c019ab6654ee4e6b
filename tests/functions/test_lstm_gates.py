"""The LSTM cell by hand, and against PyTorch's."""

import math

import pytest
import torch

import manualgrad.functions as F
from tests.functions.tools import assert_same

OPEN, SHUT = 1000.0, -1000.0


def leaf(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def cell_arguments(bias=True):
    torch.manual_seed(0)
    biases = (leaf(20), leaf(20)) if bias else ()
    return leaf(3, 4), leaf(3, 5), leaf(3, 5), leaf(20, 4), leaf(20, 5), *biases


def gates(i, f, g, o):
    return torch.tensor([i, f, g, o], dtype=torch.float64, requires_grad=True)


def test_by_hand():
    """With a gate at 0 the sigmoid is a half, and its derivative a quarter."""
    before, cell = gates(0.0, 0.0, 0.0, 0.0), torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    hidden, next_cell = F.lstm_gates(before, cell)
    assert next_cell.item() == 1.0
    assert hidden.item() == pytest.approx(math.tanh(1) / 2)
    (hidden + next_cell).backward()
    through = 1 + (1 - math.tanh(1) ** 2) / 2  # the memory's two paths
    assert cell.grad.item() == pytest.approx(through / 2)
    assert before.grad.tolist() == pytest.approx([0.0, through * 2 / 4, through / 2, math.tanh(1) / 4])


def test_an_open_forget_gate_passes_the_memory_and_its_gradient_on_whole():
    cell = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    _, next_cell = F.lstm_gates(gates(SHUT, OPEN, 0.3, SHUT), cell)
    assert next_cell.item() == 0.7
    next_cell.backward()
    assert cell.grad.item() == 1.0


@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_pytorchs(bias):
    results = []
    for function in (F.lstm_cell, torch.lstm_cell):
        input, hidden, cell, *weights = arguments = cell_arguments(bias)
        outputs = function(input, (hidden, cell), *weights)
        loss = outputs[0].sin().sum() + outputs[1].cos().sum()
        results.append([*outputs, *torch.autograd.grad(loss, arguments)])
    assert_same(*results)


def test_only_one_of_the_outputs_may_be_used():
    for used in (0, 1):
        gradients = []
        for function in (F.lstm_cell, torch.lstm_cell):
            input, hidden, cell, *weights = arguments = cell_arguments()
            output = function(input, (hidden, cell), *weights)[used]
            gradients.append(torch.autograd.grad(output.sum(), arguments))
        assert_same(*gradients)
