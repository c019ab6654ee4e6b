"""What the tests over all functions share. The fixtures for one call are in conftest."""

import pytest
import torch

from manualgrad.cases import FUNCTIONS

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]

every_device = pytest.mark.parametrize("device", DEVICES)


def _samples(slow_from=None):
    """Parametrize over the samples of every function; those from a number on are slow tests."""
    return pytest.mark.parametrize(
        ("info", "index"),
        [
            pytest.param(
                *(info, index),
                id=f"{name}-{sample.name.replace(' ', '_')}",
                marks=[pytest.mark.slow] * (slow_from is not None and index >= slow_from),
            )
            for name, info in FUNCTIONS.items()
            for index, sample in enumerate(info.samples())
        ],
    )


every_sample = _samples()
first_samples = _samples(slow_from=1)  # the first by default, the others when slow tests run
every_function = pytest.mark.parametrize(
    ("info", "index"), [pytest.param(info, 0, id=name) for name, info in FUNCTIONS.items()]
)


def leaves(values):
    return tuple(value.detach().clone().requires_grad_() for value in values)


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


def assert_as_pytorch(function, reference, *args, **kwargs):
    """Compare values and gradients of one call; tensors that require a gradient are differentiated."""
    wanted = [value for value in args if isinstance(value, torch.Tensor) and value.requires_grad]
    results = []
    for each in (function, reference):
        output = each(*args, **kwargs)
        results.append([output, *torch.autograd.grad(output, wanted, upstream(output))])
    assert_same(*results)


def scalar(call):
    """Turn a function into one with a single, curved result, for derivatives of any order."""
    return lambda *values: call(*values).sin().sum()
