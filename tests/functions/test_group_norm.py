"""Group normalisation by hand, and its two extremes."""

import torch

import manualgrad.functions as F
from tests.functions.tools import assert_same, upstream, value_and_gradients


def test_by_hand():
    x = torch.tensor([[1.0, 3.0, 5.0, 5.0]], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([2.0, 10.0, 1.0, 1.0], dtype=torch.float64)
    y = F.group_norm(x, 2, weight, eps=3.0)  # mean 2, variance 1, so 1 / √(1 + 3) = ½; then 5 and 0
    torch.testing.assert_close(y, torch.tensor([[2 * -0.5, 10 * 0.5, 0.0, 0.0]], dtype=torch.float64))
    y.backward(torch.tensor([[1.0, 1.0, 0.0, 0.0]], dtype=torch.float64))
    # g = [2, 10], x̂ = [-½, ½]: ½ (g - 6 - x̂ · 2)
    expected = torch.tensor([[0.5 * (2 - 6 + 1), 0.5 * (10 - 6 - 1), 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(x.grad, expected)


def test_one_group_is_layer_norm_and_a_channel_a_group_is_instance_norm():
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    for ours, theirs in (
        (lambda x: F.group_norm(x, 1), lambda x: F.layer_norm(x, (3, 4))),
        (lambda x: F.group_norm(x, 3), torch.nn.functional.instance_norm),
    ):
        grad_output = upstream(x)
        assert_same(
            value_and_gradients(ours, [x], grad_output), value_and_gradients(theirs, [x], grad_output)
        )
