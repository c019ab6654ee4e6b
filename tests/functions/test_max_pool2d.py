"""Max pooling by hand."""

import torch

import manualgrad.functions as F

INF, NAN = float("inf"), float("nan")


def image(*rows):
    return torch.tensor([rows], dtype=torch.float64, requires_grad=True)  # one channel


def row(*numbers):
    return torch.tensor([[numbers]], dtype=torch.float64)


def test_by_hand():
    x = image([1.0, 8.0, 3.0, 4.0], [5.0, 6.0, 7.0, 2.0])
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[8.0, 7.0]]]
    assert indices.tolist() == [[[1, 6]]]
    y.backward(row(2.0, 3.0))
    assert x.grad.tolist() == [[[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]]]


def test_windows_that_share_their_largest_number_add_up():
    x = image([1.0, 9.0, 3.0, 4.0])
    y = F.max_pool2d(x, (1, 2), stride=1)
    assert y.tolist() == [[[9.0, 9.0, 4.0]]]
    y.backward(row(2.0, 4.0, 8.0))
    assert x.grad.tolist() == [[[0.0, 6.0, 0.0, 8.0]]]


def test_the_first_of_equal_numbers_gets_all():
    x = image([0.0, 0.0, 7.0, 1.0], [0.0, 0.0, 7.0, 7.0])
    F.max_pool2d(x, 2).backward(row(2.0, 3.0))
    assert x.grad.tolist() == [[[2.0, 0.0, 3.0, 0.0], [0.0] * 4]]


def test_the_padding_never_wins():
    x = image([-1.0, -2.0], [-3.0, -INF])
    y, indices = F.max_pool2d(x, 2, padding=1, return_indices=True)
    assert y.tolist() == [[[-1.0, -2.0], [-3.0, -INF]]]
    assert indices.tolist() == [[[0, 1], [2, 3]]]


def test_gaps_in_a_window_and_a_window_over_the_edge():
    x = image([1.0, 9.0, 3.0, 4.0, 5.0, 6.0])
    assert F.max_pool2d(x, (1, 2), 1, dilation=2).tolist() == [[[3.0, 9.0, 5.0, 6.0]]]
    assert F.max_pool2d(x, (1, 2), 3).tolist() == [[[9.0, 5.0]]]
    y = F.max_pool2d(x, (1, 4), 4, ceil_mode=True)
    y.backward(row(1.0, 2.0))
    assert x.grad.tolist() == [[[0.0, 1.0, 0.0, 0.0, 0.0, 2.0]]]


def test_a_number_that_is_none_comes_through():
    x = image([1.0, NAN, 3.0, 4.0])
    y = F.max_pool2d(x, (1, 2))
    assert y.isnan().tolist() == [[[True, False]]]
    y.backward(row(2.0, 5.0))
    assert x.grad.tolist() == [[[0.0, 2.0, 0.0, 5.0]]]


def test_the_indices_have_no_gradient_and_a_loss_on_the_numbers_alone_may_use_both():
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64, requires_grad=True)
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    assert y.requires_grad
    assert not indices.requires_grad
    unpooled = torch.nn.functional.max_unpool2d(y, indices, 2)
    (gradient,) = torch.autograd.grad(unpooled.square().sum(), x)
    torch.testing.assert_close(gradient, 2 * unpooled.detach())
