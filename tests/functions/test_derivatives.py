"""Every function in every direction, and to the third order."""

import torch
from torch.autograd import forward_ad

from tests.functions.tools import (
    assert_same,
    every_device,
    every_sample,
    first_samples,
    leaves,
    scalar,
)


@first_samples
@every_device
def test_first_order_by_finite_differences(sample, ours, values, device):
    assert torch.autograd.gradcheck(
        ours,
        leaves(values),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=sample.seed is None,
        fast_mode=True,
    )


@first_samples
@every_device
def test_second_order_by_finite_differences(ours, values, device):
    assert torch.autograd.gradgradcheck(
        ours, leaves(values), check_fwd_over_rev=True, check_batched_grad=True, fast_mode=True
    )


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    dims = tuple(range(-len(normalized_shape), 0))
    variance, mean = torch.var_mean(input, dims, correction=0, keepdim=True)
    return scaled((input - mean) / (variance + eps).sqrt(), weight, bias)


def batch_norm(input, mean, variance, weight, bias, training=False, momentum=0.1, eps=1e-5):
    rows = input.movedim(1, -1)  # the channels last
    if training:
        variance, mean = torch.var_mean(rows, tuple(range(rows.dim() - 1)), correction=0)
    return scaled((rows - mean) / (variance + eps).sqrt(), weight, bias).movedim(-1, 1)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    rows = input.reshape(len(input), num_groups, -1)
    normalized = layer_norm(rows, rows.shape[-1:], eps=eps).reshape(input.shape).movedim(1, -1)
    return scaled(normalized, weight, bias).movedim(-1, 1)


def scaled(normalized, weight, bias):
    output = normalized if weight is None else normalized * weight
    return output if bias is None else output + bias


# PyTorch's third derivative of layer_norm takes mean and variance for constants (2.15), batch_norm has none.
FORMULAS = {"layer_norm": layer_norm, "batch_norm": batch_norm, "group_norm": group_norm}


@every_sample
def test_second_and_third_order_equal_pytorchs(info, sample, ours, values):
    theirs, _ = sample.bind(FORMULAS.get(info.name, info.reference))
    assert_same(derivatives(ours, values), derivatives(theirs, values), rtol=1e-9)


def derivatives(call, values):
    """The gradients of a curved result, of a curved sum of those, and of one of these again."""
    values = leaves(values)
    result, gradients = scalar(call)(*values), []
    for _ in range(3):
        # A constant has no graph to go back through.
        result = result + 0 * sum(value.sum() for value in values)
        gradients.append(torch.autograd.grad(result, values, create_graph=True))
        result = sum(gradient.sin().sum() for gradient in gradients[-1])
    return gradients


@every_sample
def test_forward_mode_of_autograd(ours, theirs, values):
    """Dual tensors, as torch.autograd.forward_ad has them; torch.func's are in test_transforms."""
    tangents = []
    for call in (ours, theirs):
        with forward_ad.dual_level():
            duals = [forward_ad.make_dual(value, value.cos()) for value in values]
            tangents.append(forward_ad.unpack_dual(call(*duals)).tangent)
    assert_same(*tangents)
