import pytest
import torch

import manualgrad.functions as F
from manualgrad.by_hand import train_many, train_xor
from manualgrad.data.xor import xor

ACTIVATIONS = {"sigmoid": F.sigmoid, "tanh": F.tanh}


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_the_functions(activation):
    inputs, targets = xor()
    hidden, output = draw(2, 5).requires_grad_(), draw(5, 1, seed=1).requires_grad_()
    answers = ACTIVATIONS[activation](
        F.linear(ACTIVATIONS[activation](F.linear(inputs, hidden.t())), output.t())
    )
    (F.mse_loss(answers, targets, reduction="sum") / 2).backward()
    after = [weight.detach().clone() for weight in (hidden, output)]
    # With a step of 1 what was subtracted is the gradient.
    returned = train_xor(*after, inputs, targets, 1.0, 1, activation)
    torch.testing.assert_close(returned, answers.detach(), rtol=0, atol=1e-12)
    for before, now in zip((hidden, output), after, strict=True):
        torch.testing.assert_close(before.detach() - now, before.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_many_networks_are_as_many_single_ones(activation):
    inputs, targets = xor()
    hidden, output = draw(2, 5, 7), draw(5, 7, seed=1)
    rates = torch.linspace(0.1, 0.5, 7, dtype=torch.float64)
    singles = [(hidden[:, :, k].clone(), output[:, k : k + 1].clone()) for k in range(7)]
    answers = train_many(hidden, output, inputs, targets, rates, 50, activation)
    for k, (single_hidden, single_output) in enumerate(singles):
        answer = train_xor(single_hidden, single_output, inputs, targets, rates[k].item(), 50, activation)
        torch.testing.assert_close(answers[:, k : k + 1], answer, rtol=0, atol=1e-12)
        torch.testing.assert_close(hidden[:, :, k], single_hidden, rtol=0, atol=1e-12)
        torch.testing.assert_close(output[:, k : k + 1], single_output, rtol=0, atol=1e-12)
