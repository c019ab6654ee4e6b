"""Any shape, layout, dtype and number: what comes out is what PyTorch gives, NaN and infinities included."""

import itertools

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional
from hypothesis import HealthCheck, given, settings

import manualgrad.functions as F
from manualgrad.cases import join_outputs
from tests.functions.tools import every_info

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
INF, NAN = float("inf"), float("nan")
BCE = "binary_cross_entropy_with_logits"
# PyTorch's rounding; in half precision its own results are off by some roundings as well
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 0.1, torch.float16: 0.02}


def special(dtype):
    smallest = torch.finfo(dtype).smallest_normal / 4  # a subnormal
    return [0.0, -0.0, 1.0, -0.5, 1e4, -1e4, 1000.0, -1000.0, smallest, -smallest, INF, -INF, NAN]


@st.composite
def tensors(draw, dtype, shape, numbers=None):
    """Draw numbers, ordinary and extreme, and a layout for them."""
    if numbers is None:
        numbers = st.one_of(st.floats(-3, 3), st.sampled_from(special(dtype)))
    count = torch.Size(shape).numel()
    flat = torch.tensor(draw(st.lists(numbers, min_size=count, max_size=count)), dtype=torch.float64)
    tensor = flat.reshape(shape).to(dtype)
    layout = draw(st.sampled_from(["contiguous", "transposed", "gaps", "expanded"]))
    if layout == "transposed" and tensor.dim() > 1:
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "gaps" and tensor.dim():
        return tensor.repeat_interleave(2, -1)[..., ::2]
    if layout == "expanded" and tensor.dim() and tensor.shape[0]:
        return tensor[:1].expand(tensor.shape)
    return tensor


shapes = st.lists(st.integers(0, 4), max_size=3)
dtypes = st.sampled_from(DTYPES)
reductions = st.sampled_from(["none", "mean", "sum"])
ordinary = st.floats(-2, 2)
usual = st.one_of(ordinary, st.sampled_from([0.0, INF, -INF, NAN]))


@st.composite
def calls(draw, name):
    """Draw arguments for a function, and an upstream gradient's seed."""
    dtype, shape, kwargs = draw(dtypes), draw(shapes), {}
    if name == "linear":
        inner, outer = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        args = [draw(tensors(dtype, [*shape, inner])), draw(tensors(dtype, [outer, inner], ordinary))]
        if draw(st.booleans()):
            args.append(draw(tensors(dtype, [outer])))
    elif name == "power":
        args = [
            draw(tensors(dtype, shape)),
            draw(st.sampled_from([0, 1, 2, 3, -1, -2, 0.5, -0.5, 2.5, 0.0, INF])),
        ]
    elif name in ("softmax", "log_softmax"):
        shape = [*shape, draw(st.integers(1, 4))]
        args = [draw(tensors(dtype, shape)), draw(st.integers(-len(shape), len(shape) - 1))]
    elif name == "gelu":  # at ∞ PyTorch's own depends on the layout
        finite = st.one_of(st.floats(-3, 3), st.sampled_from([0.0, -0.0, 100.0, -100.0, NAN]))
        args = [draw(tensors(dtype, shape, finite))]
        kwargs = {"approximate": draw(st.sampled_from(["none", "tanh"]))}
    elif name == "conv2d":
        groups = draw(st.integers(1, 2))
        shape = [draw(st.integers(0, 2)), 3 * groups, draw(st.integers(3, 5)), 4]
        args = [draw(tensors(dtype, shape)), draw(tensors(dtype, [2 * groups, 3, 3, 2], ordinary))]
        args += [None, draw(st.integers(1, 3)), draw(st.integers(0, 2)), 1, groups]
    elif name in ("avg_pool2d", "max_pool2d"):
        kernel = draw(st.integers(1, 3))
        options = [kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2))]
        args = [draw(tensors(dtype, [draw(st.integers(0, 2)), 2, draw(st.integers(3, 5)), 4])), *options]
        kwargs = {"ceil_mode": draw(st.booleans())}
    elif name == "embedding":
        indices = st.lists(st.integers(0, 3), min_size=(count := torch.Size(shape).numel()), max_size=count)
        args = [torch.tensor(draw(indices), dtype=torch.int64).reshape(shape), draw(tensors(dtype, [4, 3]))]
    elif name == "batch_norm":
        training, channels = draw(st.booleans()), draw(st.integers(1, 3))
        shape = [draw(st.integers(2, 3)), channels, *[size + 1 for size in shape[:2]]]
        ones = torch.ones(channels, dtype=dtype)
        args = [draw(tensors(dtype, shape, usual))]
        kwargs = {"running_mean": ones, "running_var": ones, "training": training, "eps": 0.1}
    elif name == "group_norm":
        channels = draw(st.sampled_from([2, 4]))
        size = [
            draw(st.integers(0, 3)),
            channels,
            *[size + 1 for size in shape[:1]],
        ]  # PyTorch takes no empty image
        args = [draw(tensors(dtype, size, usual)), channels // 2]
        args += [draw(tensors(dtype, [channels], ordinary)), None, 0.1]
    elif name == "rms_norm":
        row = [draw(st.integers(1, 4)) for _ in range(draw(st.integers(1, 2)))]
        args = [draw(tensors(dtype, [*shape, *row], usual)), tuple(row)]
        args += [draw(tensors(dtype, row, ordinary)), 0.1]
    elif name == "layer_norm":
        row = [draw(st.integers(1, 4)) for _ in range(draw(st.integers(1, 2)))]
        args = [draw(tensors(dtype, [*shape, *row], usual)), tuple(row)]
        args += [draw(tensors(dtype, row, ordinary)), None, 0.1]  # by less, equal numbers blow roundings up
    elif name in ("lstm_gates", "gru_gates"):
        blocks, units = [4, 1] if name == "lstm_gates" else [3, 3, 1], draw(st.integers(0, 2))
        args = [draw(tensors(dtype, [*shape[:2], units * block])) for block in blocks]
    elif name == "scaled_dot_product_attention":
        queries, keys, width, values = (draw(st.integers(1, 4)) for _ in range(4))
        sizes = (queries, width), (keys, width), (keys, values)
        batch = [max(1, size) for size in shape[:2]]  # torch 2.11's own ends the process if one is empty
        args = [draw(tensors(dtype, [*batch, *size], ordinary)) for size in sizes]
        kwargs = {"is_causal": draw(st.booleans()), "scale": draw(st.sampled_from([None, 0.3]))}
    elif name == "mse_loss":
        args = [draw(tensors(dtype, shape)), draw(tensors(dtype, shape))]
        kwargs = {"reduction": draw(reductions)}
    elif name == BCE:
        args = [draw(tensors(dtype, shape)), draw(tensors(dtype, shape, st.floats(0, 1)))]
        kwargs = {"reduction": draw(reductions)}
        for factor in ("weight", "pos_weight"):
            if draw(st.booleans()):
                kwargs[factor] = draw(
                    tensors(dtype, shape[draw(st.integers(0, len(shape))) :], st.floats(0.1, 2))
                )
    elif name in ("softmax_nll", "nll_loss", "softmax_cross_entropy"):
        classes = draw(st.integers(1, 4))
        outer = shape[:1] if not shape else [shape[0], *shape[1:]]
        input = draw(tensors(dtype, [*outer[:1], classes, *outer[1:]]))
        kwargs = {"reduction": draw(reductions)}
        if draw(st.booleans()):
            kwargs["weight"] = draw(tensors(dtype, [classes], st.floats(0.1, 2))).contiguous()
        if name != "nll_loss":
            kwargs["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0]))
        if name == "softmax_cross_entropy":
            target = draw(tensors(dtype, input.shape, st.floats(0, 1)))
        else:
            count = torch.Size(outer).numel()
            numbers = st.lists(st.sampled_from([*range(classes), -100]), min_size=count, max_size=count)
            target = torch.tensor(draw(numbers), dtype=torch.int64).reshape(outer)
        args = [input, target]
    else:
        args = [draw(tensors(dtype, shape))]
    return args, kwargs, draw(st.integers(0, 99))


def outcome(function, args, kwargs, seed):
    torch.manual_seed(seed)
    args = [
        value.detach().requires_grad_()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
        else value
        for value in args
    ]
    leaves = [value for value in args if isinstance(value, torch.Tensor) and value.requires_grad]
    output = join_outputs(function(*args, **kwargs))
    numbers = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return [output.detach(), *torch.autograd.grad(output, leaves, numbers.to(output.dtype))]


@every_info
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_call_gives_what_pytorch_gives(info, data):
    args, kwargs, seed = data.draw(calls(info.name))
    # On plain copies: some of PyTorch's own backwards refuse some layouts.
    plain = [value.contiguous() if isinstance(value, torch.Tensor) else value for value in args]
    ours = outcome(info.function, args, kwargs, seed)
    theirs = outcome(info.reference, plain, kwargs, seed)
    tolerance = TOLERANCE[theirs[0].dtype]
    for our, their in zip(ours, theirs, strict=True):
        size = their[their.isfinite()].abs().max().item() if their.isfinite().any() else 1.0
        # Where terms cancel, what is left over is some roundings of an upstream gradient of at most 3.
        atol = tolerance * size + 12 * torch.finfo(their.dtype).eps
        torch.testing.assert_close(our, their, rtol=tolerance, atol=atol, equal_nan=True)


UPSTREAMS = [1.0, 0.0, INF, -INF, NAN]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp", "sin"])
def test_every_extreme_number_meets_every_extreme_upstream_gradient(name):
    for dtype, upstream in itertools.product(DTYPES, UPSTREAMS):
        numbers = torch.tensor(special(dtype), dtype=dtype)
        assert_outcomes_agree(getattr(F, name), getattr(torch, name), numbers, upstream)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, 0.5, -0.5, 0.0, INF, -INF, NAN])
def test_powers_of_every_extreme_number(exponent):
    numbers = torch.tensor(special(torch.float64), dtype=torch.float64)
    for upstream in UPSTREAMS:
        assert_outcomes_agree(lambda x: F.power(x, exponent), lambda x: x**exponent, numbers, upstream)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses_of_every_pair_of_extreme_numbers(reduction, upstream):
    pairs = torch.tensor(list(itertools.product(special(torch.float64), repeat=2)), dtype=torch.float64)
    labels = torch.tensor([0, 1, -100]).repeat(len(pairs))[: len(pairs)]
    distribution = torch.tensor([[0.0, 1.0], [0.25, 0.75]], dtype=torch.float64).repeat(len(pairs), 1)[
        : len(pairs)
    ]
    functional = torch.nn.functional
    for ours, theirs, target in (
        (F.softmax_nll, functional.cross_entropy, labels),
        (F.softmax_nll, functional.cross_entropy, distribution),
        (F.nll_loss, functional.nll_loss, labels),
        (F.mse_loss, functional.mse_loss, distribution),
        (F.mse_loss, functional.mse_loss, pairs.flip(1)),
        (F.binary_cross_entropy_with_logits, functional.binary_cross_entropy_with_logits, distribution),
    ):
        for row in range(0, len(pairs), 13):
            rows = slice(row, row + 3)
            assert_outcomes_agree(
                lambda x, ours=ours, target=target[rows]: ours(x, target, reduction=reduction),
                lambda x, theirs=theirs, target=target[rows]: theirs(x, target, reduction=reduction),
                pairs[rows],
                upstream,
            )


def assert_outcomes_agree(ours, theirs, numbers, upstream):
    results = []
    for function in (ours, theirs):
        leaf = numbers.clone().requires_grad_()
        output = function(leaf)
        results.append([output, *torch.autograd.grad(output, leaf, torch.full_like(output, upstream))])
    tolerance = max(1e-12, 2 * torch.finfo(numbers.dtype).eps)
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance, equal_nan=True)
