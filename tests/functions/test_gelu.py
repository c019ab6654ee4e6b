"""GELU by hand."""

import math

import pytest
import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    y = F.gelu(x)
    probability, density = 0.8413447460685429, 0.24197072451914337  # of the normal distribution at 1
    assert y.tolist() == pytest.approx([0.0, probability])
    y.backward(torch.tensor([2.0, 3.0], dtype=torch.float64))
    assert x.grad.tolist() == pytest.approx([1.0, 3 * (probability + density)])


def test_the_approximation_has_its_own_derivative():
    """The two forms differ by 5e-4 at most: a check with a loose tolerance takes one for the other."""
    x = torch.linspace(-4, 4, 81, dtype=torch.float64)
    exact, approximate = (torch.func.vmap(torch.func.grad(form))(x) for form in (F.gelu, by_tanh))
    assert 1e-4 < (exact - approximate).abs().max() < 2e-3
    step = 1e-6
    numeric = (by_tanh(x + step) - by_tanh(x - step)) / (2 * step)
    torch.testing.assert_close(approximate, numeric, rtol=1e-8, atol=1e-8)


def by_tanh(x):
    return F.gelu(x, "tanh")


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_far_out(approximate):
    x = torch.tensor([40.0, -40.0], requires_grad=True)
    y = F.gelu(x, approximate)
    assert y.tolist() == [40.0, 0.0]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0]
    assert F.gelu(torch.tensor(math.inf), approximate) == math.inf


def test_an_unknown_approximation_is_refused():
    with pytest.raises(ValueError, match="gelu: approximate must be one of none, tanh, got 'sigmoid'"):
        F.gelu(torch.ones(2), "sigmoid")
