"""Softmax and negative log-likelihood by hand."""

import math

import pytest
import torch

import manualgrad.functions as F

LOG3 = math.log(3)


def test_by_hand():
    x = torch.tensor(
        [[0.0, LOG3], [0.0, 0.0]], dtype=torch.float64, requires_grad=True
    )  # p = 1/4, 3/4; 1/2, 1/2
    loss = F.softmax_nll(x, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((math.log(4) + math.log(2)) / 2)
    loss.backward()
    torch.testing.assert_close(x.grad, torch.tensor([[-0.375, 0.375], [0.25, -0.25]], dtype=torch.float64))


def test_class_weights_divide_the_mean():
    x = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([1.0, 3.0], dtype=torch.float64)
    loss = F.softmax_nll(x, torch.tensor([0, 1]), weight)
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    torch.testing.assert_close(x.grad, torch.tensor([[-1.0, 1.0], [3.0, -3.0]], dtype=torch.float64) / 8)


def test_label_smoothing_gives_every_class_a_share():
    x = torch.tensor([[0.0, LOG3]], dtype=torch.float64, requires_grad=True)
    loss = F.softmax_nll(x, torch.tensor([1]), label_smoothing=0.4)  # q = 0.2, 0.8
    assert loss.item() == pytest.approx(0.2 * math.log(4) + 0.8 * math.log(4 / 3))
    loss.backward()
    torch.testing.assert_close(x.grad, torch.tensor([[0.05, -0.05]], dtype=torch.float64))


@pytest.mark.parametrize("scale", [1e3, 1e4])
def test_large_logits(scale):
    x = torch.tensor([[scale, 0.0], [-scale, 0.0]], requires_grad=True)
    losses = F.softmax_nll(x, torch.tensor([0, 0]), reduction="none")
    assert losses.tolist() == [0.0, scale]
    losses.sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [-1.0, 1.0]]


def test_every_row_of_the_gradient_sums_to_zero():
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    F.softmax_nll(x, torch.tensor([0, 1, 2, 3, 0]), label_smoothing=0.1).backward()
    assert x.grad.sum(1).abs().max() < 1e-15


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_an_ignored_row_counts_for_nothing(label_smoothing):
    x = torch.tensor([[1.0, 2.0], [-math.inf, 3.0]], requires_grad=True)
    loss = F.softmax_nll(x, torch.tensor([1, -100]), label_smoothing=label_smoothing)
    alone = F.softmax_nll(x[:1], torch.tensor([1]), label_smoothing=label_smoothing)
    torch.testing.assert_close(loss, alone)
    loss.backward()
    assert x.grad[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_with_every_row_ignored_the_mean_is_nan_and_the_gradient_zero(label_smoothing):
    x = torch.randn(2, 3, requires_grad=True)
    loss = F.softmax_nll(x, torch.tensor([-100, -100]), label_smoothing=label_smoothing)
    assert loss.isnan()
    loss.backward()
    assert not x.grad.any()


def test_an_empty_batch():
    x = torch.zeros(0, 3, requires_grad=True)
    loss = F.softmax_nll(x, torch.zeros(0, dtype=torch.int64))
    assert loss.isnan()
    loss.backward()
    assert x.grad.shape == (0, 3)


def test_a_label_as_a_distribution_is_the_same_loss():
    x, target = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    one_hot = torch.nn.functional.one_hot(target, 4).double()
    torch.testing.assert_close(F.softmax_nll(x, one_hot), F.softmax_nll(x, target))
