"""Negative log-likelihood by hand."""

import math

import torch

import manualgrad.functions as F


def test_by_hand():
    x = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]], requires_grad=True)
    loss = F.nll_loss(x, torch.tensor([2, 0]), weight=torch.tensor([1.0, 9.0, 3.0]))
    assert loss.item() == (3 * 3 + 1 * 4) / (3 + 1)
    loss.backward()
    assert x.grad.tolist() == [[0.0, 0.0, -0.75], [-0.25, 0.0, 0.0]]


def test_an_ignored_row_may_hold_anything():
    x = torch.tensor([[-1.0, -2.0], [-math.inf, math.nan]], requires_grad=True)
    loss = F.nll_loss(x, torch.tensor([0, -100]))
    assert loss.item() == 1.0
    loss.backward()
    assert x.grad.tolist() == [[-1.0, 0.0], [0.0, 0.0]]
