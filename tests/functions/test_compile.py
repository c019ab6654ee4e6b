"""torch.compile and torch.export. The default run compiles a few graphs; the slow one every function."""

import shutil

import pytest
import torch
from torch.func import grad, vmap

import manualgrad.functions as F
import manualgrad.nn as nn
from tests.functions.tools import (
    assert_same,
    every_function,
    every_sample,
    scalar,
    value_and_gradients,
)
from tests.versions import COMPILE_TAKES_NO_GRAD_OF_A_FUNCTION

pytestmark = [  # all PyTorch's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*"),
]


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def loss(x, weight, bias, labels):
    """A loss of a small network: a matrix, elementwise functions, a row's and a loss's reduction."""
    hidden = F.relu(F.linear(x, weight, bias)) + F.gelu(F.linear(x, weight))
    return F.softmax_nll(hidden, labels, label_smoothing=0.1) + F.mse_loss(F.softmax(hidden, -1), x[:, :3])


def arguments():
    torch.manual_seed(0)
    values = [torch.randn(*shape, dtype=torch.float64) for shape in ((5, 4), (3, 4), (3,))]
    return values, torch.tensor([0, 2, 1, -100, 2])


def test_a_network_is_one_graph():
    values, labels = arguments()
    whole = torch.compile(loss, fullgraph=True, backend="aot_eager")
    ours = value_and_gradients(lambda *each: whole(*each, labels), values)
    assert_same(ours, value_and_gradients(lambda *each: loss(*each, labels), values))
    with torch.no_grad():
        assert_same(whole(*values, labels), ours[0].detach())


@pytest.mark.skipif(
    COMPILE_TAKES_NO_GRAD_OF_A_FUNCTION, reason="torch.compile cannot trace torch.func.grad of any Function"
)
def test_torch_func_inside_a_compiled_region():
    values, labels = arguments()

    def gradients(*each):
        return grad(loss, (0, 1, 2))(*each, labels)

    assert_same(torch.compile(gradients, fullgraph=True, backend="aot_eager")(*values), gradients(*values))


def test_dropout_in_one_graph():
    x = torch.ones(50, 40, requires_grad=True)
    y = torch.compile(F.dropout, fullgraph=True, backend="aot_eager")(x, 0.2)
    y.sum().backward()
    assert 0.1 < (y == 0).float().mean() < 0.3
    assert torch.equal(x.grad, y.detach())  # y = x m and x = 1: the gradient is the same mask


def test_sizes_may_change():
    compiled = torch.compile(
        lambda x, y: F.softmax_nll(F.relu(x), y), fullgraph=True, backend="aot_eager", dynamic=True
    )
    for rows in (3, 5, 8):
        x, y = torch.randn(rows, 4), torch.arange(rows) % 4
        torch.testing.assert_close(compiled(x, y), torch.nn.functional.cross_entropy(x.relu(), y))


def test_export_of_a_network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2), nn.Sigmoid()
    )
    inputs = torch.randn(3, 4)
    program = torch.export.export(model, (inputs,))
    torch.testing.assert_close(program.module()(inputs), model(inputs))


@pytest.mark.slow
@every_sample
def test_every_sample_is_one_graph(sample, ours, theirs, values):
    """Forward, backward, without gradients, and torch.func.grad inside."""
    if sample.seed is not None:
        return  # torch.compile traces no seed: see test_dropout_in_one_graph
    torch.compiler.reset()
    call = torch.compile(ours, fullgraph=True, backend="aot_eager")
    assert_same(value_and_gradients(call, values), value_and_gradients(theirs, values))
    with torch.no_grad():
        assert_same(call(*values), theirs(*values))
    if COMPILE_TAKES_NO_GRAD_OF_A_FUNCTION:
        return
    gradient = torch.compile(grad(scalar(ours)), fullgraph=True, backend="aot_eager")
    assert_same(gradient(*values), grad(scalar(theirs))(*values))


@pytest.mark.slow
@every_function
def test_every_function_exports(sample, ours, theirs, values):
    if sample.seed is not None:
        return

    class Layer(torch.nn.Module):
        def forward(self, *values):
            return ours(*values)

    assert_same(torch.export.export(Layer(), values).module()(*values), theirs(*values))


@pytest.mark.slow
@every_function
def test_every_function_under_vmap_and_autocast_inside_a_compiled_region(sample, ours, values):
    if sample.seed is not None:
        return
    stacks = [torch.stack([value, value.cos()]) for value in values]
    rows = vmap(ours)
    assert_same(torch.compile(rows, fullgraph=True, backend="aot_eager")(*stacks), rows(*stacks))

    def lower(*each):
        with torch.autocast("cpu", torch.bfloat16):
            return ours(*each)

    singles = [value.float() for value in values]
    compiled = torch.compile(lower, fullgraph=True, backend="aot_eager")
    assert_same(compiled(*singles), lower(*singles), rtol=0.02, atol=0.02)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("gcc", "clang", "cc"))), reason="inductor needs a C compiler")
def test_inductor():
    values, labels = arguments()
    whole = torch.compile(loss, fullgraph=True)
    ours = value_and_gradients(lambda *each: whole(*each, labels), values)
    assert_same(ours, value_and_gradients(lambda *each: loss(*each, labels), values), rtol=1e-8, atol=1e-10)
