"""Cross-entropy against a distribution by hand."""

import math

import pytest
import torch

import manualgrad.functions as F

LOG3 = math.log(3)


def test_by_hand():
    x = torch.tensor([[0.0, LOG3]], dtype=torch.float64, requires_grad=True)  # p = 1/4, 3/4
    target = torch.tensor([[0.5, 0.5]], dtype=torch.float64, requires_grad=True)
    loss = F.softmax_cross_entropy(x, target)
    assert loss.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
    loss.backward()
    torch.testing.assert_close(x.grad, torch.tensor([[-0.25, 0.25]], dtype=torch.float64))
    torch.testing.assert_close(
        target.grad, torch.tensor([[math.log(4), math.log(4 / 3)]], dtype=torch.float64)
    )


def test_a_target_that_is_no_distribution():
    """q need not sum to 1: the first term of the gradient is p times that sum."""
    x = torch.zeros(1, 2, requires_grad=True)
    F.softmax_cross_entropy(x, torch.tensor([[2.0, 4.0]])).backward()
    assert x.grad.tolist() == [[1.0, -1.0]]


def test_the_class_weights_are_learnt_from_every_row():
    x, target = torch.zeros(3, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weight = torch.ones(2, requires_grad=True)
    F.softmax_cross_entropy(x, target, weight, reduction="sum").backward()
    torch.testing.assert_close(weight.grad, torch.tensor([2.0, 1.0]) * math.log(2))


def test_the_mean_divides_by_rows_whatever_the_weights():
    x, target = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = F.softmax_cross_entropy(x, target, torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx(2 * math.log(2))
