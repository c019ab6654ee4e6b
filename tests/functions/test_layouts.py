"""Tensors as they come: transposed, sliced, expanded, empty, without a batch; upstream gradients as well."""

import pytest
import torch
import torch.nn.functional
from torch import Tensor

import manualgrad.functions as F
from tests.functions.tools import (
    assert_same,
    closed,
    every_sample,
    upstream,
    value_and_gradients,
)


def transposed(tensor):
    return tensor.transpose(0, -1).contiguous().transpose(0, -1) if tensor.dim() > 1 else sliced(tensor)


def sliced(tensor):
    """Every second element of a larger tensor, so that no stride is 1."""
    larger = torch.full([2 * size for size in tensor.shape], 99.0, dtype=tensor.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in tensor.shape)]
    return view.copy_(tensor)


def with_offset(tensor):
    return torch.cat([torch.zeros(3, dtype=tensor.dtype), tensor.flatten()])[3:].reshape(tensor.shape)


def expanded(tensor):
    """The first row for all rows: stride 0 in the first dimension."""
    return tensor[:1].expand(tensor.shape) if tensor.dim() else tensor


def zero_strided(tensor):
    """One number everywhere, as ``.sum().backward()`` hands it on."""
    return torch.full((), 0.7, dtype=tensor.dtype).expand(tensor.shape)


LAYOUTS = [transposed, sliced, with_offset, expanded, zero_strided]
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)


@every_layout
@every_sample
def test_inputs_of_any_layout(info, index, layout):
    sample = info.samples()[index]
    ours, values = closed(info.function, sample)
    theirs, _ = closed(info.reference, sample)
    values = [layout(value) for value in values]
    # PyTorch gets plain copies: some of its own backwards refuse such layouts.
    copies = [value.clone(memory_format=torch.contiguous_format) for value in values]
    assert_same(value_and_gradients(ours, values), value_and_gradients(theirs, copies))


@every_layout
@every_sample
def test_upstream_gradients_of_any_layout(info, index, layout):
    sample = info.samples()[index]
    call, values = closed(info.function, sample)
    grad_output = layout(upstream(call(*values)))
    expected = value_and_gradients(call, values, grad_output.clone(memory_format=torch.contiguous_format))
    assert_same(value_and_gradients(call, values, grad_output), expected)


def double(*shape):
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def labels(*shape, classes=4):
    return torch.randint(classes, shape)


PYTORCHS = {
    F.sigmoid: torch.sigmoid,
    F.tanh: torch.tanh,
    F.relu: torch.nn.functional.relu,
    F.exp: torch.exp,
    F.sin: torch.sin,
    F.power: torch.pow,
    F.linear: torch.nn.functional.linear,
    F.mse_loss: torch.nn.functional.mse_loss,
    F.softmax_nll: torch.nn.functional.cross_entropy,
    F.softmax_cross_entropy: torch.nn.functional.cross_entropy,
    F.binary_cross_entropy_with_logits: torch.nn.functional.binary_cross_entropy_with_logits,
}
ELEMENTWISE = (F.sigmoid, F.tanh, F.relu, F.exp, F.sin)
REDUCTIONS = ("none", "mean", "sum")

SHAPES = [
    *(
        (function, (double(*shape),), {})
        for function in ELEMENTWISE
        for shape in ((0,), (3, 0, 2), (1,), (7,))
    ),
    *((F.power, (double(*shape), 3), {}) for shape in ((0,), (3, 0, 2), ())),
    *(
        (F.linear, (double(*batch, 4), double(5, 4), double(5)), {})
        for batch in ((), (0,), (2, 0), (2, 3, 1, 2))
    ),
    *((F.linear, (double(*batch, 4), double(5, 4)), {}) for batch in ((), (0,), (2, 0), (2, 3, 1, 2))),
    *((F.linear, (double(*batch, 4), double(4)), {}) for batch in ((), (3,), (2, 3), (0,))),
    (F.linear, (double(3, 0), double(5, 0), double(5)), {}),
    (F.linear, (double(3, 4), double(0, 4), double(0)), {}),
    (F.linear, (double(3, 4), double(5, 4), double()), {}),
    (F.linear, (double(2, 3, 4), double(5, 4), double()), {}),
    (F.linear, (double(1, 4), double(1, 4), double(1)), {}),
    *(
        (function, (double(*shape), double(*shape)), {"reduction": reduction})
        for function in (F.mse_loss, F.binary_cross_entropy_with_logits)
        for shape in ((0,), (0, 3), (1,), (), (2, 3, 4, 5))
        for reduction in REDUCTIONS
    ),
    *(
        (
            F.binary_cross_entropy_with_logits,
            (double(2, 3, 4), double(2, 3, 4).detach().sigmoid()),
            {"weight": double(*weight).detach(), "pos_weight": double(*pos_weight).detach().exp()},
        )
        for weight in ((), (1,), (4,), (3, 1), (2, 1, 1), (2, 3, 4))
        for pos_weight in ((), (4,), (3, 1), (2, 3, 4))
    ),
    *(
        (
            F.softmax_nll,
            (double(*shape), labels(*target)),
            {"reduction": reduction, "label_smoothing": smoothing},
        )
        for shape, target in (
            ((4,), ()),
            ((3, 4), (3,)),
            ((0, 4), (0,)),
            ((2, 4, 5), (2, 5)),
            ((2, 4, 3, 5), (2, 3, 5)),
            ((2, 4, 0, 5), (2, 0, 5)),
            ((2, 4, 3, 1, 5), (2, 3, 1, 5)),
            ((1, 4), (1,)),
        )
        for reduction in REDUCTIONS
        for smoothing in (0.0, 0.3)
    ),
    *(
        (
            function,
            (double(*shape), double(*shape)),
            {"reduction": reduction, "label_smoothing": smoothing, "weight": weight},
        )
        for function in (F.softmax_nll, F.softmax_cross_entropy)
        for shape in ((4,), (3, 4), (0, 4), (2, 4, 5), (2, 4, 3, 5), (2, 4, 0))
        for reduction in REDUCTIONS
        for smoothing in (0.0, 0.3)
        for weight in (None, torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64))
    ),
    (F.softmax_nll, (double(3, 1), labels(3, classes=1)), {}),
    (F.softmax_nll, (double(0, 0), labels(0)), {}),
    (F.softmax_nll, (double(3, 4), labels(3).to(torch.uint8)), {}),
    (F.softmax_nll, (double(3, 4), torch.tensor([0, 255, 2], dtype=torch.uint8)), {"ignore_index": 255}),
    (F.softmax_nll, (double(3, 4), torch.tensor([-1, -1, 2])), {"ignore_index": -1}),
    *(
        (
            F.softmax_nll,
            (double(3, 4), torch.full((3,), -100)),
            {"reduction": reduction, "label_smoothing": smoothing},
        )
        for reduction in REDUCTIONS
        for smoothing in (0.0, 0.3)
    ),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), SHAPES)
def test_every_shape_that_pytorch_takes(function, args, kwargs):
    wanted = [value for value in args if isinstance(value, Tensor) and value.requires_grad]
    results = []
    for each in (function, PYTORCHS[function]):
        output = each(*args, **kwargs)
        results.append([output, *torch.autograd.grad(output, wanted, upstream(output))])
    assert_same(*results)


def test_channels_last():
    images = (
        torch.randn(2, 4, 3, 5, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    )
    target = labels(2, 3, 5)
    for function in (F.softmax_nll, torch.nn.functional.cross_entropy):
        images.grad = None
        function(images, target).backward()
        if function is F.softmax_nll:
            ours = images.grad
    assert_same(ours, images.grad)
    assert F.relu(images).is_contiguous(memory_format=torch.channels_last)


def test_a_weights_gradient_is_contiguous():
    """As DistributedDataParallel wants it: else it warns of strides and copies."""
    weight = torch.randn(5, 4, requires_grad=True)
    F.linear(torch.randn(3, 4), weight).sum().backward()
    assert weight.grad.is_contiguous()
