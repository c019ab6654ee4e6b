"""Every function against PyTorch's own function, over its samples."""

import inspect

import pytest
import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS
from tests.functions.tools import (
    assert_same,
    every_device,
    every_function,
    every_sample,
    first_samples,
    leaves,
    upstream,
    value_and_gradients,
)


@every_sample
@every_device
def test_value_and_gradients_equal_pytorchs_and_repeat_to_the_bit(ours, theirs, values, device):
    first, second = value_and_gradients(ours, values), value_and_gradients(ours, values)
    assert_same(first, value_and_gradients(theirs, values))
    assert all(map(torch.equal, first, second))


@every_function
def test_arguments_have_pytorchs_names_and_defaults(info, sample):
    signature = inspect.signature(info.function)
    arguments = signature.bind(*sample.args, **sample.kwargs).arguments
    outputs = []
    for function in (info.function, info.reference):
        torch.manual_seed(0)  # for those that draw random numbers
        outputs.append(function(**arguments))
    assert_same(*outputs)
    try:
        theirs = inspect.signature(info.reference).parameters
    except ValueError:
        return  # written in C++, without a signature
    if "args" in theirs:
        return  # chooses between two functions
    for name, parameter in signature.parameters.items():
        assert theirs[name].default == parameter.default
    if info.name not in ("mse_loss", "softmax_cross_entropy"):  # a weight, labels: not theirs to have
        left_out = {"size_average", "reduce", "inplace"}
        assert list(signature.parameters) == [name for name in theirs if name not in left_out]


@every_sample
def test_arguments_and_upstream_gradient_are_left_as_they_were(sample, ours, values):
    tensors = [value for value in (*sample.args, *sample.kwargs.values()) if isinstance(value, Tensor)]
    before = [tensor.detach().clone() for tensor in tensors]
    output = ours(*[value.requires_grad_() for value in values])
    grad_output = upstream(output)
    grad_before = grad_output.clone()
    output.backward(grad_output)
    assert all(map(torch.equal, tensors, before))
    assert torch.equal(grad_output, grad_before)


@every_function
def test_no_gradient_is_recorded_where_none_is_wanted(ours, values):
    values = leaves(values)
    with torch.no_grad():
        assert not ours(*values).requires_grad
    with torch.inference_mode():
        assert ours(*values).is_inference()


@every_sample
def test_a_gradient_is_computed_only_where_it_is_asked_for(ours, values, monkeypatch):
    """Look at what backward itself returns: autograd would drop a gradient that nobody wants."""
    returned = []
    for function_class in {each.function_class for each in FUNCTIONS.values()}:
        record_what_backward_returns(function_class, returned, monkeypatch)
    for asked in range(len(values)):
        arguments = [value.clone().requires_grad_(i == asked) for i, value in enumerate(values)]
        returned.clear()
        ours(*arguments).sum().backward()
        assert sum(gradient is not None for gradient in returned) == 1


def record_what_backward_returns(function_class, returned, monkeypatch):
    backward = function_class.backward

    def recorded(ctx, *grad_outputs):
        gradients = backward(ctx, *grad_outputs)
        returned.extend(gradients if isinstance(gradients, tuple) else [gradients])
        return gradients

    monkeypatch.setattr(function_class, "backward", staticmethod(recorded))


@every_function
def test_parameters_and_subclasses_are_tensors_too(ours, values):
    class Tagged(Tensor):
        pass

    expected = ours(*values)
    parameters = [torch.nn.Parameter(value) for value in values]
    output = ours(*parameters)
    assert torch.equal(output, expected)
    output.backward(upstream(output))
    assert all(parameter.grad is not None for parameter in parameters)
    tagged = ours(*[value.as_subclass(Tagged) for value in values])
    assert torch.equal(tagged.as_subclass(Tensor), expected)


@every_function
def test_complex_numbers_are_refused(info, sample):
    args = (sample.args[0].detach().to(torch.complex128), *sample.args[1:])
    if not sample.args[0].is_floating_point():
        return  # integers
    with pytest.raises(TypeError, match=rf"{info.name}: \w+ must be real, got torch\.complex128"):
        info.function(*args, **sample.kwargs)


def transposed(tensor):
    return tensor.transpose(0, -1).contiguous().transpose(0, -1) if tensor.dim() > 1 else sliced(tensor)


def sliced(tensor):
    """Every second element of a larger tensor, behind an offset, so that no stride is 1."""
    larger = torch.full([2 * size + 1 for size in tensor.shape], 99.0, dtype=tensor.dtype)
    view = larger[tuple(slice(1, None, 2) for _ in tensor.shape)]
    return view.copy_(tensor)


def expanded(tensor):
    """The first row for all rows: stride 0 in the first dimension."""
    return tensor[:1].expand(tensor.shape) if tensor.dim() else tensor


def zero_strided(tensor):
    """One number everywhere, as ``.sum().backward()`` hands it on."""
    return torch.full((), 0.7, dtype=tensor.dtype).expand(tensor.shape)


LAYOUTS = [transposed, sliced, expanded, zero_strided]


@every_sample
def test_inputs_of_any_layout(info, ours, theirs, values):
    # Numbers that are all equal have the variance 0, and are divided by √ε, with their roundings.
    atol = 1e-10 if "norm" in info.name else 1e-12
    for layout in LAYOUTS:
        inputs = [layout(value) for value in values]
        # PyTorch gets plain copies: some of its own backwards refuse such layouts.
        copies = [value.clone(memory_format=torch.contiguous_format) for value in inputs]
        assert_same(value_and_gradients(ours, inputs), value_and_gradients(theirs, copies), atol=atol)


@first_samples
def test_upstream_gradients_of_any_layout(ours, values):
    for layout in LAYOUTS:
        grad_output = layout(upstream(ours(*values)))
        expected = value_and_gradients(ours, values, grad_output.clone(memory_format=torch.contiguous_format))
        assert_same(value_and_gradients(ours, values, grad_output), expected)


@first_samples
def test_the_gradient_is_linear_in_the_upstream_gradient(ours, values):
    values = leaves(values)
    output = ours(*values)
    one, other = torch.randn(2, *output.shape, dtype=torch.float64)
    together = torch.stack([one, other, 2 * one - 3 * other, torch.zeros_like(one)])
    for gradient in torch.autograd.grad(output, values, together, is_grads_batched=True):
        assert_same(gradient[2], 2 * gradient[0] - 3 * gradient[1])
        assert not gradient[3].any()
