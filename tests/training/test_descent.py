"""Gradient descent beside PyTorch's."""

import torch

from manualgrad.training import GradientDescent


def test_it_is_pytorch_s():
    torch.manual_seed(0)
    ours, theirs = (
        torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)) for _ in range(2)
    )
    theirs.load_state_dict(ours.state_dict())
    optimizers = GradientDescent(ours.parameters(), 0.3), torch.optim.SGD(theirs.parameters(), 0.3)
    for _ in range(3):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(torch.ones(4, 2)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()))
