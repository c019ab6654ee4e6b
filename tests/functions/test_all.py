"""Every function against PyTorch's counterpart, over its cases."""

import inspect

import pytest
import torch
from torch import Tensor

from tests.functions.tools import (
    FUNCTIONS,
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
def test_value_and_gradients_equal_pytorchs(cases, index, device):
    sample = cases.samples(device=device)[index]
    ours, values = closed(cases.function, sample)
    theirs, _ = closed(cases.counterpart, sample)
    assert_same(value_and_gradients(ours, values), value_and_gradients(theirs, values))


@every_sample
@every_device
def test_two_calls_give_the_same_bits(cases, index, device):
    call, values = closed(cases.function, cases.samples(device=device)[index])
    first, second = value_and_gradients(call, values), value_and_gradients(call, values)
    assert all(map(torch.equal, first, second))


@every_function
def test_arguments_have_pytorchs_names(cases):
    sample = cases.samples()[-1]
    arguments = inspect.signature(cases.function).bind(*sample.args, **sample.kwargs).arguments
    assert_same(cases.function(**arguments), cases.counterpart(**arguments))


@every_function
def test_arguments_have_pytorchs_defaults(cases):
    try:
        theirs = inspect.signature(cases.counterpart).parameters
    except ValueError:
        pytest.skip("PyTorch's is written in C++ and has no signature")
    deprecated = {"size_average", "reduce"}
    for name, parameter in inspect.signature(cases.function).parameters.items():
        assert theirs[name].default == parameter.default
    if cases.name not in ("mse_loss", "softmax_cross_entropy"):  # a weight, labels: not theirs to have
        expected = [name for name in theirs if name not in deprecated | {"inplace"}]
        assert list(inspect.signature(cases.function).parameters) == expected


@every_sample
def test_arguments_and_upstream_gradient_are_left_as_they_were(cases, index):
    sample = cases.samples()[index]
    tensors = [value for value in (*sample.args, *sample.kwargs.values()) if isinstance(value, Tensor)]
    before = [tensor.detach().clone() for tensor in tensors]
    output = cases.function(*sample.args, **sample.kwargs)
    grad_output = upstream(output)
    grad_before = grad_output.clone()
    output.backward(grad_output)
    assert all(map(torch.equal, tensors, before))
    assert torch.equal(grad_output, grad_before)


@every_function
def test_no_gradient_is_recorded_where_none_is_wanted(cases):
    sample = cases.samples()[0]
    with torch.no_grad():
        assert not cases.function(*sample.args, **sample.kwargs).requires_grad
    with torch.inference_mode():
        assert cases.function(*sample.args, **sample.kwargs).is_inference()


@every_sample
def test_a_gradient_is_computed_only_where_it_is_asked_for(cases, index, monkeypatch):
    """Look at what backward itself returns: autograd would drop a gradient that nobody wants."""
    returned = []
    for function_class in {each.function_class for each in FUNCTIONS}:
        record_what_backward_returns(function_class, returned, monkeypatch)
    call, values = closed(cases.function, cases.samples()[index])
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
def test_parameters_and_subclasses_are_tensors_too(cases):
    class Tagged(Tensor):
        pass

    sample = cases.samples()[0]
    first, *others = sample.args
    expected = cases.function(*sample.args, **sample.kwargs)
    parameter = torch.nn.Parameter(first.detach())
    output = cases.function(parameter, *others, **sample.kwargs)
    assert torch.equal(output, expected)
    output.backward(upstream(output))
    assert parameter.grad is not None
    tagged = first.detach().as_subclass(Tagged)
    assert torch.equal(cases.function(tagged, *others, **sample.kwargs).as_subclass(Tensor), expected)
