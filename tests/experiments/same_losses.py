"""Train a script's network with our layers and with PyTorch's, and compare every loss."""

import torch

import manualgrad.nn
from tests.experiments.small_mnist import load_exact_set


def assert_same_losses(script, steps, monkeypatch, rows=50):
    """The one import changed, the same seed: float64 losses equal to 1e-9 relative."""
    losses = []
    for library in (manualgrad.nn, torch.nn):
        monkeypatch.setattr(script, "nn", library)
        losses.append(train(script.build_model, library.CrossEntropyLoss(), steps, rows))
    torch.testing.assert_close(*losses, rtol=1e-9, atol=0)
    assert losses[0][-1] < losses[0][0]


def train(build_model, loss_function, steps, rows):
    torch.manual_seed(0)
    model = build_model().double()
    optimizer = torch.optim.Adam(model.parameters(), 0.002)
    images, labels = load_exact_set()[:2]
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(images), (rows,))
        optimizer.zero_grad()
        loss = loss_function(model(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)
