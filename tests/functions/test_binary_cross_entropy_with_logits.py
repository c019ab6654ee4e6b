"""Binary cross-entropy on logits by hand."""

import math

import pytest
import torch

import manualgrad.functions as F

loss = F.binary_cross_entropy_with_logits


def test_by_hand():
    x = torch.tensor([0.0, math.log(3)], dtype=torch.float64, requires_grad=True)  # p = 1/2, 3/4
    target = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    losses = loss(x, target, reduction="none")
    torch.testing.assert_close(losses, torch.tensor([math.log(2), math.log(4)], dtype=torch.float64))
    losses.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([-0.5, 0.75], dtype=torch.float64))
    torch.testing.assert_close(target.grad, -x.detach())


def test_weights_by_hand():
    x, target = torch.zeros(2, 2, requires_grad=True), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    value = loss(
        x, target, weight=torch.tensor([[1.0], [10.0]]), pos_weight=torch.tensor([3.0, 5.0]), reduction="sum"
    )
    assert value.item() == pytest.approx((3 + 1 + 30 + 10) * math.log(2))
    value.backward()
    torch.testing.assert_close(x.grad, torch.tensor([[-1.5, 0.5], [-15.0, 5.0]]))


@pytest.mark.parametrize(
    ("logit", "target", "value", "derivative"),
    [
        (1000.0, 1.0, 0.0, 0.0),
        (1000.0, 0.0, 1000.0, 1.0),
        (-1000.0, 0.0, 0.0, 0.0),
        (-1000.0, 1.0, 1000.0, -1.0),
        (1e4, 0.5, 5000.0, 0.5),
    ],
)
def test_sure_and_right_or_sure_and_wrong(logit, target, value, derivative):
    x = torch.tensor(logit, requires_grad=True)
    result = loss(x, torch.tensor(target))
    result.backward()
    assert (result.item(), x.grad.item()) == (value, derivative)


def test_a_small_probability_keeps_its_digits():
    """σ(-40) = 4e-18: 1 - (1 - σ) would be 0."""
    x = torch.tensor(-40.0, dtype=torch.float64, requires_grad=True)
    loss(x, torch.zeros((), dtype=torch.float64)).backward()
    assert x.grad.item() == pytest.approx(math.exp(-40))


def test_the_mean_counts_elements_whatever_the_weights():
    x, target = torch.randn(3, 4), torch.rand(3, 4)
    heavy = loss(x, target, weight=torch.full((4,), 6.0))
    torch.testing.assert_close(heavy, 6 * loss(x, target))
