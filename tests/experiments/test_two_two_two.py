import re

import pytest
import torch

from experiments import two_two_two


@pytest.mark.slow
def test_the_documents_figures_and_the_long_training(perform, reproduces):
    performance = perform(two_two_two)
    assert reproduces(performance, "two_two_two")
    curve = performance.curve("E")
    assert curve[0] == pytest.approx(0.298371109)
    assert curve[10_000] == pytest.approx(3.51e-5, abs=5e-8)


@pytest.fixture
def short(perform):
    return perform(two_two_two, "--steps", "3")


def test_the_biases_follow_their_gradient(short):
    x, target = torch.tensor([[0.05, 0.1], [0.01, 0.99]], dtype=torch.float64)
    w1 = torch.tensor([[0.15, 0.2], [0.25, 0.3]], dtype=torch.float64)
    w2 = torch.tensor([[0.4, 0.45], [0.5, 0.55]], dtype=torch.float64)
    b1 = torch.tensor(0.35, dtype=torch.float64, requires_grad=True)
    b2 = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    output = torch.sigmoid(w2 @ torch.sigmoid(w1 @ x + b1) + b2)
    ((target - output) ** 2).sum().div(2).backward()
    updated = short.metrics["updated"]
    assert updated["b1"] == pytest.approx(0.35 - 0.5 * b1.grad.item(), rel=1e-13)
    assert updated["b2"] == pytest.approx(0.6 - 0.5 * b2.grad.item(), rel=1e-13)
    assert "0.175 and 0.3: a slip" in short.out


def test_every_derivative_is_there_factor_by_factor(short):
    for name in (f"w{number}" for number in range(1, 9)):
        # The first line of a weight is its factors; the update's comes later.
        line = re.search(rf"^ {name} +(.*)$", short.out, re.MULTILINE)
        grad_out, derivative, source, product, function = map(float, line[1].split())
        assert grad_out * derivative * source == pytest.approx(product, abs=2e-8)
        assert product == function
    assert re.search(r"^ b2, summed +0.10040033 +0.10040033 *$", short.out, re.MULTILINE)


def test_a_gradient_that_is_not_the_product_is_noticed(perform, monkeypatch):
    monkeypatch.setattr(two_two_two, "show_factors", lambda *arguments: False)
    performance = perform(two_two_two, "--steps", "0")
    assert performance.status == 1
    assert performance.err.startswith("two_two_two: error: a product of factors")
