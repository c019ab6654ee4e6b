"""What the tests over all functions share."""

import functools
import inspect

import pytest
import torch

from manualgrad.cases import FUNCTIONS

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]

every_device = pytest.mark.parametrize("device", DEVICES)
every_info = pytest.mark.parametrize("info", FUNCTIONS.values(), ids=FUNCTIONS)


def _over_samples(*parts):
    """Decorate a test of one sample: run it on a function's samples in turn; a failure names the sample.

    The test asks by name for the function's ``info``, the ``sample``, the tensors to differentiate
    (``values``, which want no gradient yet), the function of these alone (``ours``) and PyTorch's
    (``theirs``). A parameter ``dtype`` or ``device`` is that of the samples.
    """

    def decorate(test):
        asked = inspect.signature(test).parameters

        @pytest.mark.parametrize(("info", "part"), parts)
        @functools.wraps(test)
        def over_samples(info, part, **fixtures):
            tensors = {name: fixtures[name] for name in ("dtype", "device") if name in fixtures}
            for sample in info.samples(**tensors)[part]:
                (ours, values), (theirs, _) = map(sample.bind, (info.function, info.reference))
                given = {"info": info, "sample": sample, "ours": ours, "theirs": theirs, "values": values}
                try:
                    test(**{name: {**fixtures, **given}[name] for name in asked})
                except Exception as error:
                    error.add_note(f"sample: {sample.name}")
                    raise

        own = [name for name in asked if name not in ("info", "sample", "ours", "theirs", "values")]
        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("info", "part", *own)
        ]
        over_samples.__signature__ = inspect.Signature(parameters)
        return over_samples

    return decorate


def _part(part, suffix="", marks=()):
    return [pytest.param(info, part, id=name + suffix, marks=marks) for name, info in FUNCTIONS.items()]


every_function = _over_samples(*_part(slice(1)))  # on its first sample
every_sample = _over_samples(*_part(slice(None)))
first_samples = _over_samples(  # the first by default, the others when slow tests run
    *_part(slice(1)), *_part(slice(1, None), "-others", pytest.mark.slow)
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
