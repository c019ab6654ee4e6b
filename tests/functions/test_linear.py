"""Linear by hand."""

import pytest
import torch

import manualgrad.functions as F


def leaf(*rows):
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def test_by_hand():
    x, weight, bias = (
        leaf([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]),
        leaf([1.0, 0.0], [2.0, -1.0]),
        leaf(10.0, 20.0),
    )
    y = F.linear(x, weight, bias)
    assert y.tolist() == [[11.0, 20.0], [13.0, 22.0], [15.0, 24.0]]
    y.backward(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64))
    assert x.grad.tolist() == [[1.0, 0.0], [2.0, -1.0], [3.0, -1.0]]
    assert weight.grad.tolist() == [[6.0, 8.0], [8.0, 10.0]]
    assert bias.grad.tolist() == [2.0, 2.0]


def test_a_row_of_weights_is_one_output_without_a_dimension():
    x, weight = leaf([1.0, 2.0], [3.0, 4.0]), leaf(10.0, 100.0)
    y = F.linear(x, weight)
    assert y.tolist() == [210.0, 430.0]
    y.sum().backward()
    assert weight.grad.tolist() == [4.0, 6.0]
    assert x.grad.tolist() == [[10.0, 100.0]] * 2


def test_one_bias_for_all_outputs():
    bias = torch.tensor(2.0, requires_grad=True)
    y = F.linear(torch.zeros(3, 4), torch.zeros(5, 4), bias)
    assert torch.equal(y, torch.full((3, 5), 2.0))
    y.sum().backward()
    assert bias.grad == 15


def test_nothing_in_and_something_out():
    y = F.linear(torch.zeros(3, 0), torch.zeros(2, 0), torch.tensor([1.0, 2.0]))
    assert y.tolist() == [[1.0, 2.0]] * 3


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (4,)])
def test_an_empty_sum_of_rows_gives_zeros(shape):
    weight = torch.randn(5, 4, requires_grad=True)
    F.linear(torch.randn(shape)[:0] if len(shape) > 1 else torch.zeros(4), weight).sum().backward()
    assert not weight.grad.any()
