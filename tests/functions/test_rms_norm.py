"""RMS normalisation by hand."""

import pytest
import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([1.0, 7.0], dtype=torch.float64, requires_grad=True)  # the mean square is 25
    weight = torch.tensor([2.0, 5.0], dtype=torch.float64)
    y = F.rms_norm(x, (2,), weight, eps=75.0)  # 1 / √(25 + 75) = 0.1
    torch.testing.assert_close(y, torch.tensor([0.2, 3.5], dtype=torch.float64))
    y.backward(torch.tensor([1.0, 2.0], dtype=torch.float64))
    # g = [2, 10], x̂ = [0.1, 0.7], mean(g x̂) = 3.6
    torch.testing.assert_close(x.grad, 0.1 * torch.tensor([2 - 0.36, 10 - 2.52], dtype=torch.float64))


def test_the_gradient_stands_at_a_right_angle_to_the_row():
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    F.rms_norm(x, (5,)).sin().sum().backward()
    assert (x.grad * x).sum(1).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_whose_squares_overflow_and_vanish(dtype):
    for size in (1e3, 1e-3):
        x = (torch.tensor([[1.0, 2.0, -2.0]]) * size).to(dtype).requires_grad_()
        y = F.rms_norm(x, (3,))
        torch.testing.assert_close(y.float(), torch.tensor([[1.0, 2.0, -2.0]]) / 3**0.5, rtol=0.1, atol=0)
        y[0, 0].backward()
        torch.testing.assert_close(
            x.grad.float() * size, torch.tensor([[8.0, -2.0, 2.0]]) / 9 / 3**0.5, rtol=0.1, atol=0
        )
