"""Embedding by hand."""

import pytest
import torch

import manualgrad.functions as F


def table():
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


UPSTREAM = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]], dtype=torch.float64)


def test_by_hand():
    weight = table()
    y = F.embedding(torch.tensor([2, 0, 2]), weight)
    assert y.tolist() == [[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]
    y.backward(UPSTREAM)
    assert weight.grad.tolist() == [[2.0, 20.0], [0.0, 0.0], [5.0, 50.0]]


@pytest.mark.parametrize("padding_idx", [2, -1])
def test_the_row_of_the_padding_stays_as_it_is(padding_idx):
    weight = table()
    y = F.embedding(torch.tensor([2, 0, 2]), weight, padding_idx)
    assert y[0].tolist() == [5.0, 6.0]
    y.backward(UPSTREAM)
    assert weight.grad.tolist() == [[2.0, 20.0], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile itself, on 2.8
def test_the_padding_is_no_matter_of_data_for_vmap_and_compile():
    indices, weight = torch.tensor([[2, 0], [1, 2]]), table()
    expected = F.embedding(indices, weight)

    def look_up(indices):
        return F.embedding(indices, weight, 2)

    torch.testing.assert_close(torch.func.vmap(look_up)(indices), expected)
    compiled = torch.compile(look_up, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(indices), expected)


def test_a_gradient_divided_by_how_often_the_row_occurs():
    weight = table()
    F.embedding(torch.tensor([2, 0, 2]), weight, scale_grad_by_freq=True).backward(UPSTREAM)
    assert weight.grad.tolist() == [[2.0, 20.0], [0.0, 0.0], [2.5, 25.0]]


def test_rows_that_are_looked_up_are_shortened_in_the_table():
    weight = torch.tensor([[3.0, 4.0], [6.0, 8.0]])
    y = F.embedding(torch.tensor([1]), weight, max_norm=5.0)
    torch.testing.assert_close(y, torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(weight, torch.tensor([[3.0, 4.0], [3.0, 4.0]]))


def test_no_index_and_one_index():
    weight = table()
    assert F.embedding(torch.tensor([], dtype=torch.int64), weight).shape == (0, 2)
    assert F.embedding(torch.tensor(1, dtype=torch.int32), weight).tolist() == [3.0, 4.0]
