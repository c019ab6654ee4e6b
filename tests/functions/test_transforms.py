"""torch.func: forward mode, Jacobians, Hessians, vmap, and gradients of single examples."""

import functools

import pytest
import torch
from torch.func import functional_call, grad, jacrev, jvp

import manualgrad.functions as F
import manualgrad.nn as nn
from tests.functions.tools import assert_same, every_function, every_sample, first_samples, scalar


def stacked(values):
    """Three examples of each value, one after another."""
    return [torch.stack([value, 2 * value, value.cos().abs()]) for value in values]


def one_by_one(call, stacks):
    return torch.stack([call(*values) for values in zip(*stacks, strict=True)])


# Dropout draws one mask for all examples; each alone is seeded to draw the same.
vmap = functools.partial(torch.func.vmap, randomness="same")
jacfwd = functools.partial(torch.func.jacfwd, randomness="same")


def hessian(call):
    return jacfwd(jacrev(call))


@every_sample
def test_jvp(ours, theirs, values):
    tangents = tuple(value.cos() for value in values)
    assert_same(jvp(ours, values, tangents), jvp(theirs, values, tangents))


@first_samples
def test_jacobians(ours, theirs, values):
    every = tuple(range(len(values)))
    expected = jacrev(theirs, every)(*values)
    assert_same(jacfwd(ours, every)(*values), expected)
    assert_same(jacrev(ours, every)(*values), expected)


@first_samples
def test_hessian_in_every_order_of_directions(ours, theirs, values):
    expected = hessian(scalar(theirs))(*values)
    for outer in (jacfwd, jacrev):
        for inner in (jacfwd, jacrev):
            assert_same(outer(inner(scalar(ours)))(*values), expected)


@first_samples
def test_vmap_over_each_argument_alone(ours, theirs, values):
    for chosen, stack in enumerate(stacked(values)):
        for dim in (0, -1):
            dims = tuple(dim if place == chosen else None for place in range(len(values)))
            args = [stack.movedim(0, dim) if place == chosen else value for place, value in enumerate(values)]
            stacks = [stack if place == chosen else [value] * 3 for place, value in enumerate(values)]
            assert_same(vmap(ours, dims)(*args), one_by_one(theirs, stacks))


@first_samples
def test_nested_vmap(ours, theirs, values):
    stacks = stacked(values)
    nested = [torch.stack([stack, -stack.abs()]) for stack in stacks]
    expected = torch.stack([one_by_one(theirs, [stack[row] for stack in nested]) for row in range(2)])
    assert_same(vmap(vmap(ours))(*nested), expected)


@first_samples
def test_vmap_of_grad(ours, theirs, values):
    every = tuple(range(len(values)))
    stacks = stacked(values)
    gradients = [grad(scalar(theirs), every)(*each) for each in zip(*stacks, strict=True)]
    expected = tuple(torch.stack(column) for column in zip(*gradients, strict=True))
    assert_same(vmap(grad(scalar(ours), every))(*stacks), expected)


@every_function
def test_vmap_of_hessian(ours, theirs, values):
    stacks = stacked(values)
    expected = torch.stack([hessian(scalar(theirs))(*each) for each in zip(*stacks, strict=True)])
    assert_same(vmap(hessian(scalar(ours)))(*stacks), expected)


@pytest.mark.parametrize("name", ["softmax_nll", "nll_loss"])
def test_vmap_over_labels_and_class_weights(name):
    ours, theirs = getattr(F, name), {"softmax_nll": "cross_entropy", "nll_loss": "nll_loss"}[name]
    theirs = getattr(torch.nn.functional, theirs)
    logits = torch.randn(5, 4, dtype=torch.float64)
    targets = torch.tensor([[0, 1, 2, 3, 0], [3, -100, 1, 0, 0]])
    weights = torch.rand(2, 4, dtype=torch.float64)
    expected = torch.stack([theirs(logits, *each) for each in zip(targets, weights, strict=True)])
    assert_same(vmap(ours, (None, 0, 0))(logits, targets, weights), expected)
    gradients = vmap(grad(ours), (None, 0, 0))(logits, targets, weights)
    assert_same(
        gradients, torch.stack([grad(theirs)(logits, *each) for each in zip(targets, weights, strict=True)])
    )
    with pytest.raises(RuntimeError, match="out of bounds"):
        vmap(ours, (None, 0))(logits, targets + 3)


def test_vmap_over_the_weights_of_a_binary_loss():
    loss, theirs = F.binary_cross_entropy_with_logits, torch.nn.functional.binary_cross_entropy_with_logits
    logits, targets = torch.randn(2, 3, 4, dtype=torch.float64).sigmoid()
    weights, pos_weights = torch.rand(2, 5, 4, dtype=torch.float64)

    def call(function):
        return lambda weight, pos_weight: function(logits, targets, weight=weight, pos_weight=pos_weight)

    assert_same(vmap(call(loss))(weights, pos_weights), one_by_one(call(theirs), [weights, pos_weights]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")  # PyTorch's own, too
@every_function
def test_linearize(sample, ours, values):
    if sample.seed is not None:
        return  # the traced program draws other numbers
    tangents = tuple(value.cos() for value in values)
    output, push = torch.func.linearize(ours, *values)
    assert_same((output, push(*tangents)), jvp(ours, values, tangents))


def network(nn):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()


def test_gradients_of_single_examples_through_a_network():
    inputs, targets = torch.randn(7, 4, dtype=torch.float64), torch.randint(3, (7,))
    model, theirs = network(nn), network(torch.nn)
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(parameters, input, target):
        return nn.CrossEntropyLoss()(functional_call(model, parameters, (input,)), target)

    gradients = vmap(grad(loss), (None, 0, 0))(parameters, inputs, targets)
    for row, (input, target) in enumerate(zip(inputs, targets, strict=True)):
        theirs.zero_grad()
        torch.nn.CrossEntropyLoss()(theirs(input), target).backward()
        for name, parameter in theirs.named_parameters():
            assert_same(gradients[name][row], parameter.grad)


def test_many_networks_at_once():
    models = [network(nn) for _ in range(3)]
    for shift, model in enumerate(models):
        torch.nn.init.constant_(model[0].bias, shift)
    parameters, buffers = torch.func.stack_module_state(models)
    inputs = torch.randn(7, 4, dtype=torch.float64)
    outputs = vmap(lambda *state: functional_call(models[0], state, (inputs,)))(parameters, buffers)
    assert_same(outputs, torch.stack([model(inputs) for model in models]))
