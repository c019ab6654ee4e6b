"""Average pooling by hand."""

import pytest
import torch

import manualgrad.functions as F


def image(*rows):
    return torch.tensor([rows], dtype=torch.float64, requires_grad=True)  # one channel


def test_by_hand():
    x = image([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0])
    y = F.avg_pool2d(x, 2)
    assert y.tolist() == [[[3.5, 5.5]]]
    y.backward(torch.tensor([[[4.0, 8.0]]], dtype=torch.float64))
    assert x.grad.tolist() == [[[1.0, 1.0, 2.0, 2.0]] * 2]


def test_shares_add_up_where_windows_overlap():
    x = image([1.0, 2.0, 3.0, 4.0])
    y = F.avg_pool2d(x, (1, 2), stride=1)
    assert y.tolist() == [[[1.5, 2.5, 3.5]]]
    y.backward(torch.tensor([[[2.0, 4.0, 6.0]]], dtype=torch.float64))
    assert x.grad.tolist() == [[[1.0, 3.0, 5.0, 3.0]]]


@pytest.mark.parametrize(
    ("options", "means", "gradient"),
    [
        ({"padding": 1}, [[[1.0]]], [[[1 / 9] * 2] * 2]),
        ({"padding": 1, "count_include_pad": False}, [[[2.25]]], [[[1 / 4] * 2] * 2]),
        ({"padding": 1, "divisor_override": -3}, [[[-3.0]]], [[[-1 / 3] * 2] * 2]),
    ],
)
def test_what_the_sum_is_divided_by(options, means, gradient):
    x = image([1.0, 2.0], [2.0, 4.0])
    y = F.avg_pool2d(x, 3, **options)
    torch.testing.assert_close(y, torch.tensor(means, dtype=torch.float64))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor(gradient, dtype=torch.float64))


def test_the_last_window_may_hang_over_and_counts_what_is_there():
    x = image([2.0, 4.0, 5.0])
    assert F.avg_pool2d(x, (1, 2)).tolist() == [[[3.0]]]
    y = F.avg_pool2d(x, (1, 2), ceil_mode=True)
    assert y.tolist() == [[[3.0, 5.0]]]
    y.backward(torch.tensor([[[1.0, 1.0]]], dtype=torch.float64))
    assert x.grad.tolist() == [[[0.5, 0.5, 1.0]]]


def test_pixels_between_the_windows_get_nothing():
    x = image([1.0, 2.0, 3.0, 4.0, 5.0])
    F.avg_pool2d(x, 1, stride=3).sum().backward()
    assert x.grad.tolist() == [[[1.0, 0.0, 0.0, 1.0, 0.0]]]
