"""What the tests over all functions share."""

import pytest
import torch

from manualgrad.cases import FUNCTIONS

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
    ),
]
SAMPLES = [
    pytest.param(info, index, id=f"{info.name}-{sample.name.replace(' ', '_')}")
    for info in FUNCTIONS.values()
    for index, sample in enumerate(info.samples())
]

every_function = pytest.mark.parametrize("info", FUNCTIONS.values(), ids=FUNCTIONS)
every_sample = pytest.mark.parametrize(("info", "index"), SAMPLES)
every_device = pytest.mark.parametrize("device", DEVICES)


def closed(function, sample):
    """Return the call as a function of its differentiable tensors alone, and those tensors."""
    return sample.bind(function)


def upstream(output, seed=7):
    """Return a random upstream gradient for an output, the same for every function."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    return numbers.to(output.device, output.dtype)


def value_and_gradients(call, values, grad_output=None):
    """Return the output, and the gradient of each value for a random upstream gradient."""
    values = [value.detach().requires_grad_() for value in values]
    output = call(*values)
    return [
        output,
        *torch.autograd.grad(output, values, upstream(output) if grad_output is None else grad_output),
    ]


def assert_same(ours, theirs, rtol=1e-10, atol=1e-12):
    """Compare tensors or nests of them; NaN and infinities must be in the same places."""
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)


def scalar(call):
    """Turn a function into one with a single, curved result, for derivatives of any order."""
    return lambda *values: call(*values).sin().sum()
