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


@pytest.mark.parametrize(
    ("shape", "args", "error", "message"),
    [
        ((3, 4), (2,), ValueError, r"avg_pool2d: input must have shape \(N, C, H, W\).*got \(3, 4\)"),
        ((1, 5, 5), (0,), ValueError, "kernel_size must be an int of at least 1 or two, got 0"),
        ((1, 5, 5), ((2, 2, 2),), ValueError, r"kernel_size must be .* got \(2, 2, 2\)"),
        ((1, 5, 5), (2, 0), ValueError, "stride must be an int of at least 1 or two, got 0"),
        ((1, 5, 5), (2, 1, -1), ValueError, "padding must be an int of at least 0 or two, got -1"),
        ((1, 5, 5), (2, 1, 2), ValueError, "padding must be at most half of the window's 2, got 2"),
        ((1, 5, 3), (4,), ValueError, r"a window of 4 does not fit into 3 \+ 2 · 0, got input \(1, 5, 3\)"),
        ((1, 5, 5), (2, 2, 0, False, True, 0), ValueError, "divisor_override must not be 0"),
    ],
)
def test_refused(shape, args, error, message):
    with pytest.raises(error, match=message):
        F.avg_pool2d(torch.randn(shape), *args)
