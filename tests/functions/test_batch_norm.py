"""Batch normalisation by hand, and what it keeps between calls."""

import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn


def test_by_hand():
    x = torch.tensor([[1.0], [3.0]], dtype=torch.float64, requires_grad=True)  # mean 2, variance 1
    weight, bias = torch.tensor([[4.0], [10.0]], dtype=torch.float64)
    y = F.batch_norm(x, None, None, weight.requires_grad_(), bias, training=True, eps=3.0)  # 1 / √(1 + 3) = ½
    assert y.flatten().tolist() == [4 * -0.5 + 10, 4 * 0.5 + 10]
    y.backward(torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    assert weight.grad.item() == -0.5 * 1 + 0.5 * 2
    # sums 3 and ½ over M = 2: 4 · ½ · (G - 1.5 - x̂ · ¼)
    assert x.grad.flatten().tolist() == [2 * (1 - 1.5 + 0.125), 2 * (2 - 1.5 - 0.125)]


def test_in_evaluation_an_example_depends_on_itself_alone():
    x = torch.tensor([[1.0], [3.0]], requires_grad=True)
    y = F.batch_norm(x, torch.tensor([1.0]), torch.tensor([0.5]), torch.tensor([4.0]), eps=0.5)
    assert y.flatten().tolist() == [0.0, 8.0]
    y[1, 0].backward()
    assert x.grad.flatten().tolist() == [0.0, 4.0]


def test_running_statistics_move_in_training_alone():
    x = torch.tensor([[1.0], [3.0]])  # mean 2, variance 1, and 2 when divided by M - 1
    mean, var = torch.tensor([10.0]), torch.tensor([20.0])
    F.batch_norm(x, mean, var, training=True, momentum=0.5)
    assert (mean.item(), var.item()) == (6.0, 11.0)
    F.batch_norm(x, mean, var)
    assert (mean.item(), var.item()) == (6.0, 11.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile itself, on 2.8
@pytest.mark.parametrize("transform", ["compile", "grad"])
def test_running_statistics_move_under_transforms(transform):
    x, mean, var = torch.randn(5, 3), torch.zeros(3), torch.ones(3)
    expected = mean.clone(), var.clone()
    torch.nn.functional.batch_norm(x, *expected, training=True)

    def loss(x):
        return F.batch_norm(x, mean, var, training=True).sin().sum()

    if transform == "compile":
        torch.compile(loss, fullgraph=True, backend="aot_eager")(x.requires_grad_()).backward()
    else:
        torch.func.grad(loss)(x)
    torch.testing.assert_close((mean, var), expected)


def test_two_batches_before_their_backwards():
    """The statistics have moved on when the first backward comes: it does not need them."""
    layer, x = nn.BatchNorm1d(3), torch.randn(2, 5, 3, requires_grad=True)
    (layer(x[0]).sin().sum() + layer(x[1]).sin().sum()).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("track", [True, False])
def test_the_module_over_several_batches(momentum, track):
    outcomes = []
    for library in (nn, torch.nn):
        torch.manual_seed(0)
        layer = library.BatchNorm2d(3, momentum=momentum, track_running_stats=track)
        results = [layer(torch.randn(2, 3, 4, 5)) for _ in range(3)]
        results.append(layer.eval()(torch.randn(2, 3, 4, 5)))
        outcomes.append([*results, *layer.state_dict().values()])
    torch.testing.assert_close(*outcomes)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_with_weights_and_statistics_in_single(dtype, training):
    x = (torch.randn(50, 3) + 8).to(dtype).requires_grad_()
    layer = nn.BatchNorm1d(3).train(training)
    results = []
    for function in (F.batch_norm, torch.nn.functional.batch_norm):
        y = function(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, training)
        upstream = torch.linspace(-1, 3, y.numel()).reshape(y.shape).to(dtype)
        results.append([y, *torch.autograd.grad(y, (x, layer.weight, layer.bias), upstream)])
    torch.testing.assert_close(*results, rtol=0.02, atol=0.02)
