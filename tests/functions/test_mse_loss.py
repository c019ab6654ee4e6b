"""The mean squared error by hand."""

import pytest
import torch

import manualgrad.functions as F


@pytest.mark.parametrize(
    ("reduction", "value", "gradients"),
    [("mean", 3.5, [-0.5, 1.5, -1.0, 0.0]), ("sum", 14.0, [-2.0, 6.0, -4.0, 0.0])],
)
def test_by_hand(reduction, value, gradients):
    x = torch.tensor([[0.0, 5.0], [1.0, 7.0]], requires_grad=True)
    target = torch.tensor([[1.0, 2.0], [3.0, 7.0]], requires_grad=True)
    loss = F.mse_loss(x, target, reduction)
    assert loss.item() == value
    loss.backward()
    assert x.grad.flatten().tolist() == gradients
    assert torch.equal(target.grad, -x.grad)


def test_each_loss_by_itself():
    x = torch.tensor([1.0, 4.0], requires_grad=True)
    losses = F.mse_loss(x, torch.tensor([3.0, 1.0]), reduction="none")
    assert losses.tolist() == [4.0, 9.0]
    losses.backward(torch.tensor([1.0, 10.0]))
    assert x.grad.tolist() == [-4.0, 60.0]


def test_an_empty_mean_is_nan_and_its_gradient_empty():
    x = torch.zeros(0, 3, requires_grad=True)
    loss = F.mse_loss(x, torch.zeros(0, 3))
    assert loss.isnan()
    loss.backward()
    assert x.grad.shape == (0, 3)
