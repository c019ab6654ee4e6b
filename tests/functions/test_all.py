"""Every function against PyTorch's own function, over its samples."""

import inspect

import pytest
import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS
from tests.functions.tools import (
    assert_same,
    closed,
    every_device,
    every_function,
    every_sample,
    upstream,
    value_and_gradients,
)


@every_sample
@every_device
def test_value_and_gradients_equal_pytorchs(info, index, device):
    sample = info.samples(device=device)[index]
    ours, values = closed(info.function, sample)
    theirs, _ = closed(info.reference, sample)
    assert_same(value_and_gradients(ours, values), value_and_gradients(theirs, values))


@every_sample
@every_device
def test_two_calls_give_the_same_bits(info, index, device):
    call, values = closed(info.function, info.samples(device=device)[index])
    first, second = value_and_gradients(call, values), value_and_gradients(call, values)
    assert all(map(torch.equal, first, second))


@every_function
def test_arguments_have_pytorchs_names(info):
    sample = info.samples()[-1]
    arguments = inspect.signature(info.function).bind(*sample.args, **sample.kwargs).arguments
    assert_same(info.function(**arguments), info.reference(**arguments))


@every_function
def test_arguments_have_pytorchs_defaults(info):
    try:
        theirs = inspect.signature(info.reference).parameters
    except ValueError:
        pytest.skip("PyTorch's is written in C++ and has no signature")
    deprecated = {"size_average", "reduce"}
    for name, parameter in inspect.signature(info.function).parameters.items():
        assert theirs[name].default == parameter.default
    if info.name not in ("mse_loss", "softmax_cross_entropy"):  # a weight, labels: not theirs to have
        expected = [name for name in theirs if name not in deprecated | {"inplace"}]
        assert list(inspect.signature(info.function).parameters) == expected


@every_sample
def test_arguments_and_upstream_gradient_are_left_as_they_were(info, index):
    sample = info.samples()[index]
    tensors = [value for value in (*sample.args, *sample.kwargs.values()) if isinstance(value, Tensor)]
    before = [tensor.detach().clone() for tensor in tensors]
    output = info.function(*sample.args, **sample.kwargs)
    grad_output = upstream(output)
    grad_before = grad_output.clone()
    output.backward(grad_output)
    assert all(map(torch.equal, tensors, before))
    assert torch.equal(grad_output, grad_before)


@every_function
def test_no_gradient_is_recorded_where_none_is_wanted(info):
    sample = info.samples()[0]
    with torch.no_grad():
        assert not info.function(*sample.args, **sample.kwargs).requires_grad
    with torch.inference_mode():
        assert info.function(*sample.args, **sample.kwargs).is_inference()


@every_sample
def test_a_gradient_is_computed_only_where_it_is_asked_for(info, index, monkeypatch):
    """Look at what backward itself returns: autograd would drop a gradient that nobody wants."""
    returned = []
    for function_class in {each.function_class for each in FUNCTIONS.values()}:
        record_what_backward_returns(function_class, returned, monkeypatch)
    call, values = closed(info.function, info.samples()[index])
    for asked in range(len(values)):
        arguments = [value.clone().requires_grad_(i == asked) for i, value in enumerate(values)]
        returned.clear()
        call(*arguments).sum().backward()
        assert sum(gradient is not None for gradient in returned) == 1


def record_what_backward_returns(function_class, returned, monkeypatch):
    backward = function_class.backward

    def recorded(ctx, grad_output):
        gradients = backward(ctx, grad_output)
        returned.extend(gradients if isinstance(gradients, tuple) else [gradients])
        return gradients

    monkeypatch.setattr(function_class, "backward", staticmethod(recorded))


@every_function
def test_parameters_and_subclasses_are_tensors_too(info):
    class Tagged(Tensor):
        pass

    call, (first, *others) = closed(info.function, info.samples()[0])
    expected = call(first, *others)
    parameter = torch.nn.Parameter(first)
    output = call(parameter, *others)
    assert torch.equal(output, expected)
    output.backward(upstream(output))
    assert parameter.grad is not None
    assert torch.equal(call(first.as_subclass(Tagged), *others).as_subclass(Tensor), expected)
