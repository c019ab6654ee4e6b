"""ReLU by hand, above all at its kink."""

import torch

import manualgrad.functions as F

INF, NAN = float("inf"), float("nan")


def test_by_hand():
    x = torch.tensor([-2.0, 3.0], requires_grad=True)
    y = F.relu(x)
    assert y.tolist() == [0.0, 3.0]
    y.backward(torch.tensor([5.0, 7.0]))
    assert x.grad.tolist() == [0.0, 7.0]


def test_no_gradient_at_zero_of_either_sign():
    x = torch.tensor([0.0, -0.0], requires_grad=True)
    F.relu(x).backward(torch.tensor([5.0, 5.0]))
    assert x.grad.tolist() == [0.0, 0.0]
    _, tangent = torch.func.jvp(F.relu, (x.detach(),), (torch.ones(2),))
    assert tangent.tolist() == [0.0, 0.0]


def test_the_smallest_numbers_beside_zero():
    smallest = torch.tensor([5e-324, -5e-324], dtype=torch.float64, requires_grad=True)
    F.relu(smallest).sum().backward()
    assert smallest.grad.tolist() == [1.0, 0.0]


def test_an_infinite_upstream_gradient_is_nan_where_the_unit_is_off():
    x = torch.tensor([-1.0, 1.0, 0.0, 2.0], requires_grad=True)
    F.relu(x).backward(torch.tensor([INF, INF, NAN, NAN]))
    torch.testing.assert_close(x.grad, torch.tensor([NAN, INF, NAN, NAN]), equal_nan=True)


def test_nan_comes_through():
    x = torch.tensor([NAN, INF, -INF], requires_grad=True)
    y = F.relu(x)
    assert y[0].isnan()
    assert y[1:].tolist() == [INF, 0.0]
    y.sum().backward()
    assert x.grad[1:].tolist() == [1.0, 0.0]
