"""Every dtype: as exact as PyTorch's own, with its result's dtype, or one clear error."""

import itertools

import pytest
import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.cases import SampleInput, join_outputs
from tests.functions.tools import every_device, every_info, every_sample, leaves, upstream
from tests.versions import MSE_LOSS_MIXES_NO_DTYPES

LOW = [torch.float32, torch.bfloat16, torch.float16]
every_low = pytest.mark.parametrize("dtype", LOW, ids=str)
REDUCTIONS = ("none", "mean", "sum")


def in_float64(value):
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.detach().double().requires_grad_(value.requires_grad)
    return value


def exact(sample):
    """The same numbers, with room for every digit."""
    kwargs = {name: in_float64(value) for name, value in sample.kwargs.items()}
    return SampleInput(sample.name, tuple(map(in_float64, sample.args)), kwargs)


def results(function, sample, grad_output):
    call, values = sample.bind(function)
    values = leaves(values)
    output = call(*values)
    return [output, *torch.autograd.grad(output, values, grad_output.to(output.dtype))]


def assert_as_exact_as_pytorch(function, reference, sample, dtype):
    truth = exact(sample)
    grad_output = upstream(join_outputs(reference(*sample.args, **sample.kwargs)))
    for ours, theirs, right in zip(
        results(function, sample, grad_output),
        results(reference, sample, grad_output),
        results(reference, truth, grad_output),
        strict=True,
    ):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        our_error, their_error = ((each.double() - right).abs().max() for each in (ours, theirs))
        assert our_error <= 2 * their_error + 4 * torch.finfo(dtype).eps * right.abs().max()


@every_sample
@every_low
@every_device
def test_values_and_gradients_are_as_exact_as_pytorchs(info, sample, dtype, device):
    assert_as_exact_as_pytorch(info.function, info.reference, sample, dtype)


def relative_error(got, wanted):
    return ((got.double() - wanted).abs().mean() / wanted.abs().max()).item()


@every_info
@every_low
def test_the_mean_error_is_no_larger_than_pytorchs(info, dtype):
    """Over many numbers, where chance evens out: at most half as large again, and half a rounding."""
    errors = {}
    for seed in range(4):
        sample, *_ = info.samples(dtype, seed=seed)
        grad_output = upstream(join_outputs(info.reference(*sample.args, **sample.kwargs)), seed)
        right = results(info.reference, exact(sample), grad_output)
        for function in (info.function, info.reference):
            for got, wanted in zip(results(function, sample, grad_output), right, strict=True):
                errors.setdefault(function, []).append(relative_error(got, wanted))
    ours, theirs = (torch.tensor(errors[function]).mean() for function in (info.function, info.reference))
    assert ours <= 1.5 * theirs + torch.finfo(dtype).eps / 2


def test_whole_numbers_give_what_pytorch_gives():
    for dtype in (torch.int64, torch.uint8, torch.bool):
        numbers = torch.tensor([0, 1, 3]).to(dtype)
        for name in ("sigmoid", "tanh", "exp", "sin", "relu")[: 4 if dtype == torch.bool else 5]:
            ours, theirs = getattr(F, name)(numbers), getattr(torch, name)(numbers)
            assert torch.equal(ours, theirs)
            assert ours.dtype == theirs.dtype
    with pytest.raises(TypeError, match="relu: input must hold numbers"):
        F.relu(torch.tensor([True]))


def test_linear_and_powers_of_whole_numbers():
    input, weight = torch.arange(6).reshape(2, 3), torch.arange(12).reshape(4, 3)
    assert torch.equal(F.linear(input, weight), torch.nn.functional.linear(input, weight))
    assert F.power(torch.tensor([2, 3]), 2).tolist() == [4, 9]


def test_a_large_upstream_gradient_of_tanh_does_not_overflow_in_float16():
    x = torch.tensor(-4.0, dtype=torch.float16, requires_grad=True)
    F.tanh(x).backward(torch.tensor(60000.0, dtype=torch.float16))
    assert x.grad.isfinite()


@pytest.mark.parametrize("dtype", LOW[1:], ids=str)
@pytest.mark.parametrize("size", [1e3, 1e-3])
def test_squares_that_overflow_and_vanish_in_half_precision(dtype, size):
    x = (torch.tensor([1.0, 2.0, -2.0]) * size).to(dtype).requires_grad_()
    y = F.rms_norm(x, (3,))
    y[0].backward()
    for ours, exact in ((y, [1.0, 2.0, -2.0]), (x.grad.float() * size, [8 / 9, -2 / 9, 2 / 9])):
        torch.testing.assert_close(ours.float(), torch.tensor(exact) / 3**0.5, rtol=0.1, atol=0)


MIXED = [
    (F.mse_loss, torch.nn.functional.mse_loss, torch.float32, torch.float64),
    (F.mse_loss, torch.nn.functional.mse_loss, torch.float64, torch.float32),
    (F.mse_loss, torch.nn.functional.mse_loss, torch.float32, torch.int64),
    (F.mse_loss, torch.nn.functional.mse_loss, torch.float32, torch.bool),
    (F.mse_loss, torch.nn.functional.mse_loss, torch.int64, torch.float32),
    (F.mse_loss, torch.nn.functional.mse_loss, torch.float16, torch.bfloat16),
    (F.softmax_nll, torch.nn.functional.cross_entropy, torch.float32, torch.float64),
    (
        F.binary_cross_entropy_with_logits,
        torch.nn.functional.binary_cross_entropy_with_logits,
        torch.float32,
        torch.float64,
    ),
]


@pytest.mark.parametrize(("function", "reference", "input_dtype", "target_dtype"), MIXED)
def test_two_dtypes_are_promoted_as_in_pytorch(function, reference, input_dtype, target_dtype):
    if reference is torch.nn.functional.mse_loss and MSE_LOSS_MIXES_NO_DTYPES:
        pytest.skip("PyTorch's own mse_loss has no gradient for two dtypes")
    input = torch.tensor([[0.5, 2.0, 1.0], [3.0, 0.25, 0.5]]).to(input_dtype)
    target = torch.tensor([[0.25, 0.25, 0.5], [0.0, 1.0, 0.0]]).to(target_dtype)
    leaves = [each.requires_grad_() for each in (input, target) if each.is_floating_point()]
    ours, theirs = function(input, target), reference(input, target)
    torch.testing.assert_close(ours, theirs)
    for our, their in zip(
        torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), strict=True
    ):
        torch.testing.assert_close(our, their)


def test_a_double_pos_weight_does_not_make_the_loss_double():
    """It often comes from NumPy; PyTorch's result is float32 as well."""
    logits, target = torch.randn(3, 4), torch.rand(3, 4)
    loss = F.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.rand(4, dtype=torch.float64))
    assert loss.dtype == torch.float32


@every_sample
@pytest.mark.parametrize(
    ("dtype", "lower"),
    [*itertools.product([torch.float32, torch.float64], [torch.bfloat16, torch.float16])],
    ids=str,
)
@every_device
def test_autocast_gives_pytorchs_dtype(ours, theirs, values, lower, dtype, device):
    outputs = []
    for call in (ours, theirs):
        values = leaves(values)
        with torch.autocast(device, lower):
            output = call(*values)
        gradients = torch.autograd.grad(output, values, upstream(output))  # outside, as PyTorch recommends
        outputs.append([output, *gradients])
    torch.testing.assert_close(*outputs, rtol=8 * torch.finfo(lower).eps, atol=8 * torch.finfo(lower).eps)


def test_autocast_through_a_network():
    def loss(nn):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
        inputs, targets = torch.randn(6, 5), torch.randint(3, (6,))
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.CrossEntropyLoss(weight=torch.rand(3))(model(inputs), targets)
        loss.backward()
        return [loss, *[parameter.grad for parameter in model.parameters()]]

    import manualgrad.nn

    torch.testing.assert_close(loss(manualgrad.nn), loss(torch.nn), rtol=0.02, atol=0.02)
