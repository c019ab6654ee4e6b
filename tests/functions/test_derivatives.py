"""Every function in every direction, and to the third order."""

import pytest
import torch

from tests.functions.tools import assert_same, closed, every_device, every_function, every_sample, scalar


def leaves(values):
    return tuple(value.clone().requires_grad_() for value in values)


@every_sample
@every_device
def test_first_order_by_finite_differences(info, index, device):
    call, values = closed(info.function, info.samples(device=device)[index])
    assert torch.autograd.gradcheck(
        call, leaves(values), check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )


@every_sample
@every_device
def test_second_order_by_finite_differences(info, index, device):
    call, values = closed(info.function, info.samples(device=device)[index])
    assert torch.autograd.gradgradcheck(
        call, leaves(values), check_fwd_over_rev=True, check_batched_grad=True
    )


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    dims = tuple(range(-len(normalized_shape), 0))
    variance, mean = torch.var_mean(input, dims, correction=0, keepdim=True)
    output = (input - mean) / (variance + eps).sqrt() * (1 if weight is None else weight)
    return output if bias is None else output + bias


# PyTorch's third derivatives of these are wrong: they take the mean and the variance for constants (2.15).
FORMULAS = {"layer_norm": layer_norm}


@every_sample
def test_second_and_third_order_equal_pytorchs(info, index):
    sample = info.samples()[index]
    functions = info.function, FORMULAS.get(info.name, info.reference)
    ours, theirs = (derivatives(closed(function, sample)) for function in functions)
    assert_same(ours, theirs, rtol=1e-9)


def derivatives(closed_call):
    """The gradients of a curved result, of a curved sum of those, and of one of these again."""
    call, values = closed_call
    values = leaves(values)
    result, gradients = scalar(call)(*values), []
    for _ in range(3):
        result = result + 0 * sum(
            value.sum() for value in values
        )  # a constant has no graph to go back through
        gradients.append(torch.autograd.grad(result, values, create_graph=True))
        result = sum(gradient.sin().sum() for gradient in gradients[-1])
    return gradients


@every_sample
def test_forward_mode_of_autograd(info, index):
    """Dual tensors, as torch.autograd.forward_ad has them; torch.func's are in test_transforms."""
    sample = info.samples()[index]
    tangents = []
    for function in (info.function, info.reference):
        call, values = closed(function, sample)
        with torch.autograd.forward_ad.dual_level():
            duals = [torch.autograd.forward_ad.make_dual(value, value.cos()) for value in values]
            tangents.append(torch.autograd.forward_ad.unpack_dual(call(*duals)).tangent)
    assert_same(*tangents)


@every_function
def test_hessian_of_autograd(info):
    """torch.autograd.functional's, which silently gave zeros if backward could not be differentiated."""
    sample = info.samples()[0]
    ours, values = closed(info.function, sample)
    theirs, _ = closed(info.reference, sample)
    assert_same(
        torch.autograd.functional.hessian(scalar(ours), values),
        torch.autograd.functional.hessian(scalar(theirs), values),
        rtol=1e-9,
    )


@pytest.mark.parametrize("is_grads_batched", [False, True])
@every_sample
def test_the_gradient_is_linear_in_the_upstream_gradient(info, index, is_grads_batched):
    call, values = closed(info.function, info.samples()[index])
    values = leaves(values)
    output = call(*values)
    one, other = torch.randn(2, *output.shape, dtype=torch.float64)
    together = torch.stack([one, other, 2 * one - 3 * other, torch.zeros_like(one)])
    if is_grads_batched:
        gradients = torch.autograd.grad(output, values, together, is_grads_batched=True)
    else:
        rows = [torch.autograd.grad(output, values, row, retain_graph=True) for row in together]
        gradients = [torch.stack(columns) for columns in zip(*rows, strict=True)]
    for gradient in gradients:
        assert_same(gradient[2], 2 * gradient[0] - 3 * gradient[1])
        assert not gradient[3].any()
