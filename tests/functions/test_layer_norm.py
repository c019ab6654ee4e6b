"""Layer normalisation by hand."""

import pytest
import torch

import manualgrad.functions as F


def test_what_an_upstream_gradient_of_ones_does_not_tell():
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    F.layer_norm(x, (5,)).sum().backward()
    assert x.grad.abs().max() < 1e-13
    x.grad = None
    F.layer_norm(x, (5,), eps=1e-12).square().sum().backward()
    assert x.grad.abs().max() < 1e-8


def test_a_row_of_equal_numbers_is_finite():
    x = torch.full((2, 3), 7.0, requires_grad=True)
    y = F.layer_norm(x, (3,))
    assert not y.any()
    y[0, 0].backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_far_from_zero(dtype):
    """A mean in half precision would be off by more than the numbers differ."""
    x = torch.tensor([[100.0, 101.0, 102.0, 105.0]]).to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    upstream = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    F.layer_norm(x, (4,)).backward(upstream.to(dtype))
    torch.nn.functional.layer_norm(exact, (4,)).backward(upstream.double())
    torch.testing.assert_close(x.grad.double(), exact.grad, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_with_weights_in_single(dtype):
    """As autocast has them: each gradient in the dtype of what it belongs to."""
    x = torch.randn(3, 4).to(dtype).requires_grad_()
    weight, bias = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    results = []
    for function in (F.layer_norm, torch.nn.functional.layer_norm):
        y = function(x, (4,), weight, bias)
        results.append([y, *torch.autograd.grad(y, (x, weight, bias), torch.ones_like(y).cumsum(1))])
    torch.testing.assert_close(*results, rtol=0.02, atol=0.02)
