"""Backwards that are right, in spellings, dtypes and layouts that a careless checker stumbles over."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor, nn
from torch.autograd import Function

from tests.gradcheck.bank import (
    BCE,
    MSE,
    Entry,
    Exp,
    Linear,
    LogSoftmax,
    MatMul,
    Mul,
    Power,
    ProbsCE,
    ReLU,
    Sigmoid,
    Sin,
    Softmax,
    SoftmaxNLL,
    Tanh,
    affine,
    binary,
    classes,
    distributions,
    labels,
    normal,
    one_hot,
    pair,
    positive,
    regression,
    square_affine,
    table,
    uniform,
)

BANK: list[Entry] = []


def right(
    base: type[Function], inputs: Callable[[], tuple[Any, ...]], reference: Callable[..., Any] | None = None
) -> Callable[[Any], Any]:
    """Enter a backward into the bank, as a subclass of a forward."""

    def enter(backward: Any) -> Any:
        function = type(
            backward.__name__, (base,), {"backward": staticmethod(backward), "__module__": __name__}
        )
        BANK.append(Entry(backward.__name__, function, inputs, None, reference))
        return backward

    return enter


def works(
    name: str, fn: Any, inputs: Callable[[], tuple[Any, ...]], reference: Callable[..., Any] | None = None
) -> None:
    """Enter a callable or module."""
    BANK.append(Entry(name, fn, inputs, None, reference))


def in_dtype(dtype: torch.dtype, inputs: Callable[[], tuple[Any, ...]]) -> Callable[[], tuple[Any, ...]]:
    def cast() -> tuple[Any, ...]:
        return tuple(
            a.detach().to(dtype).requires_grad_(a.requires_grad)
            if isinstance(a, Tensor) and a.is_floating_point()
            else a
            for a in inputs()
        )

    return cast


# --- the plain ones, and other spellings of them


@right(Sigmoid, table, torch.sigmoid)
def sigmoid_plain(ctx, g):
    _, y = ctx.saved_tensors
    return g * y * (1 - y)


@right(Sigmoid, table)
def sigmoid_from_two_exponentials(ctx, g):
    x, _ = ctx.saved_tensors
    return g / (2 + torch.exp(x) + torch.exp(-x))


@right(Sigmoid, table)
def sigmoid_as_a_difference(ctx, g):
    _, y = ctx.saved_tensors
    return torch.addcmul(g * y, g * y, y, value=-1)


@right(Sigmoid, table)
def sigmoid_recomputed(ctx, g):
    x, _ = ctx.saved_tensors
    return torch.sigmoid(x) * torch.sigmoid(-x) * g


@right(Sigmoid, table)
def sigmoid_through_tanh(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (1 - torch.tanh(x / 2) ** 2) / 4


@right(Sigmoid, table)
def sigmoid_in_place_on_own_temporary(ctx, g):
    _, y = ctx.saved_tensors
    grad = 1 - y
    grad = grad.mul(y)
    grad *= g
    return grad


@right(Sigmoid, table)
def sigmoid_one_tuple(ctx, g):
    _, y = ctx.saved_tensors
    return (g * (y - y.square()),)


@right(Tanh, table, torch.tanh)
def tanh_by_hyperbolic_cosine(ctx, g):
    x, _ = ctx.saved_tensors
    return g / torch.cosh(x) ** 2


@right(Tanh, table)
def tanh_as_product(ctx, g):
    _, y = ctx.saved_tensors
    return g * (1 + y) * (1 - y)


@right(Tanh, table)
def tanh_reshaped(ctx, g):
    _, y = ctx.saved_tensors
    return (g.reshape(-1) * (1 - y.reshape(-1) ** 2)).reshape(y.shape)


@right(ReLU, table, torch.relu)
def relu_by_where(ctx, g):
    x, _ = ctx.saved_tensors
    return torch.where(x > 0, g, torch.zeros_like(g))


@right(ReLU, table)
def relu_by_output_sign(ctx, g):
    _, y = ctx.saved_tensors
    return g * y.sign()


@right(ReLU, table)
def relu_clone_then_mask(ctx, g):
    x, _ = ctx.saved_tensors
    grad = g.clone()
    grad[x < 0] = 0
    return grad


@right(ReLU, table)
def relu_float32_mask(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x > 0).float()


@right(ReLU, lambda: (torch.tensor([[-1.0, 0.0], [-0.0, 2.0]], dtype=torch.float64),))
def relu_half_at_zero(ctx, g):
    x, _ = ctx.saved_tensors
    return g * torch.where(x == 0, 0.5, (x > 0).to(g))


@right(ReLU, lambda: (torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64),))
def relu_one_at_zero(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x >= 0)


@right(ReLU, lambda: (torch.tensor([-1.0, 0.0, -0.0, 2.0], dtype=torch.float64),), torch.relu)
def relu_zero_at_zero(ctx, g):
    x, _ = ctx.saved_tensors
    return g.masked_fill(x <= 0, 0)


@right(ReLU, lambda: (normal(40, 50, seed=3, grad=False) * 1e-3,))
def relu_close_to_the_corner(ctx, g):
    x, _ = ctx.saved_tensors
    return torch.where(x > 0, g, 0)


@right(Exp, table, torch.exp)
def exp_from_output(ctx, g):
    return ctx.saved_tensors[1] * g


@right(Exp, lambda: (torch.tensor([-40.0, -1.0, 0.0, 30.0], dtype=torch.float64),))
def exp_of_very_different_sizes(ctx, g):
    return torch.exp(ctx.saved_tensors[0]) * g


@right(Sin, table, torch.sin)
def sin_as_shifted_sine(ctx, g):
    return g * torch.sin(ctx.saved_tensors[0] + torch.pi / 2)


@right(Sin, lambda: (100 * normal(4, 3, seed=1, grad=False),))
def sin_of_large_numbers(ctx, g):
    return g * torch.cos(ctx.saved_tensors[0])


@right(Power, positive)
def power_by_output(ctx, g):
    x, y = ctx.saved_tensors
    return g * ctx.numbers[0] * y / x, None


@right(Power, lambda: (uniform(4, 3, seed=3), 0.5))
def power_root(ctx, g):
    _, y = ctx.saved_tensors
    return g / (2 * y), None


@right(Power, lambda: (normal(4, 3, seed=3), 2))
def power_integer_exponent(ctx, g):
    x, _ = ctx.saved_tensors
    return 2 * g * x, None


@right(Power, lambda: (normal(4, 3, seed=3), 0))
def power_zero_is_constant(ctx, g):
    return None, None


# --- linear, products


@right(Linear, affine, TF.linear)
def linear_plain(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g.sum(0)


@right(Linear, affine)
def linear_by_einsum(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return torch.einsum("no,oi->ni", g, w), torch.einsum("no,ni->oi", g, x), torch.einsum("no->o", g)


@right(Linear, affine)
def linear_weight_transposed_last(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return (w.t() @ g.t()).t(), (x.t() @ g).t(), torch.ones(len(g), dtype=g.dtype) @ g


@right(Linear, square_affine)
def linear_square(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g.matmul(w), g.t().matmul(x), g.sum(dim=0)


@right(Linear, lambda: (normal(1, 3, seed=6), normal(1, 3, seed=7), normal(1, seed=8)))
def linear_sizes_of_one(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g.sum(0)


@right(Linear, lambda: (normal(5, 3, seed=6).detach(), normal(2, 3, seed=7), normal(2, seed=8)))
def linear_skips_the_input(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return (g @ w if ctx.needs_input_grad[0] else None), g.t() @ x, g.sum(0)


@right(Mul, lambda: (normal(4, 3, seed=4), normal(3, seed=5)))
def mul_broadcast_summed(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g * b, (g * a).sum(0)


@right(Mul, lambda: (normal(4, 3, seed=4), normal(4, 1, seed=5)))
def mul_sum_to_size(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g * b, (g * a).sum_to_size(b.shape)


@right(Mul, lambda: (normal(4, 3, seed=4).t(), normal(3, 8, seed=5)[:, ::2]))
def mul_of_strided_inputs(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g * b, g * a


@right(MatMul, lambda: (normal(4, 3, seed=4), normal(3, 2, seed=5)), torch.matmul)
def matmul_plain(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g @ b.mT, a.mT @ g


@right(MatMul, lambda: (normal(2, 4, 3, seed=4), normal(2, 3, 5, seed=5)))
def matmul_batched(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g @ b.mT, a.mT @ g


# --- softmax and losses


@right(Softmax, table)
def softmax_plain(ctx, g):
    _, y = ctx.saved_tensors
    return y * (g - (g * y).sum(-1, keepdim=True))


@right(Softmax, table)
def softmax_by_jacobian(ctx, g):
    _, y = ctx.saved_tensors
    jacobian = torch.diag_embed(y) - y.unsqueeze(-1) * y.unsqueeze(-2)
    return (jacobian @ g.unsqueeze(-1)).squeeze(-1)


@right(LogSoftmax, table)
def log_softmax_plain(ctx, g):
    _, y = ctx.saved_tensors
    return g - y.exp() * g.sum(-1, keepdim=True)


@right(SoftmaxNLL, classes, TF.cross_entropy)
def nll_by_scatter(ctx, g):
    x, t, _ = ctx.saved_tensors
    ones = torch.ones_like(t, dtype=x.dtype).unsqueeze(1)
    return g / len(x) * x.softmax(1).scatter_add(1, t.unsqueeze(1), -ones), None


@right(SoftmaxNLL, lambda: (normal(1, 3, seed=1), labels(1, 3)))
def nll_one_example(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x.softmax(1) - one_hot(t, x)), None


@right(SoftmaxNLL, lambda: (1000 * normal(6, 4, seed=13, grad=False), labels(6, 4)))
def nll_of_huge_logits(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x.softmax(1) - one_hot(t, x)) / len(x), None


@right(MSE, pair, TF.mse_loss)
def mse_both_gradients(ctx, g):
    x, t, _ = ctx.saved_tensors
    grad = g * (x - t) * (2 / x.numel())
    return grad, -grad


@right(MSE, lambda: (lambda t: (t.clone().requires_grad_(), t))(normal(5, 3, seed=1, grad=False)))
def mse_at_the_minimum(ctx, g):
    x, t, _ = ctx.saved_tensors
    return 2 * g * (x - t) / x.numel(), None


@right(BCE, binary, TF.binary_cross_entropy_with_logits)
def bce_plain(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (torch.sigmoid(x) - t) / x.numel(), None


@right(ProbsCE, distributions)
def probs_plain(ctx, g):
    p, t, _ = ctx.saved_tensors
    return -g * t / p / len(p), None


# --- other forms of Function


class SigmoidApart(Function):
    """forward and setup_context apart, with a batching rule by itself."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input):
        return 1 / (1 + torch.exp(-input))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y * (1 - y)

    @staticmethod
    def jvp(ctx, tangent):
        raise NotImplementedError


class Vjp(Function):
    """The other name of backward."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input**3

    @staticmethod
    def vjp(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class SinCos(Function):
    @staticmethod
    def forward(ctx, input):
        sin, cos = input.sin(), input.cos()
        ctx.save_for_backward(sin, cos)
        return sin, cos

    @staticmethod
    def backward(ctx, gs, gc):
        sin, cos = ctx.saved_tensors
        return gs * cos - gc * sin


class MaxAndWhere(Function):
    """A result that is an integer, and not differentiable."""

    @staticmethod
    def forward(ctx, input):
        value, index = input.max(1)
        ctx.save_for_backward(index)
        ctx.mark_non_differentiable(index)
        ctx.size = input.shape[1]
        return value, index

    @staticmethod
    def backward(ctx, g, _):
        (index,) = ctx.saved_tensors
        return g.unsqueeze(1) * TF.one_hot(index, ctx.size)


class InPlaceScale(Function):
    """Works in place on its argument and says so."""

    @staticmethod
    def forward(ctx, input):
        ctx.mark_dirty(input)
        return input.mul_(3)

    @staticmethod
    def backward(ctx, g):
        return g * 3


class Unmaterialised(Function):
    """Asks for None where an output is unused."""

    @staticmethod
    def forward(ctx, input, scale, flag):
        ctx.set_materialize_grads(False)
        ctx.scale = scale
        return input * scale, input + 1

    @staticmethod
    def backward(ctx, first, second):
        total = 0
        if first is not None:
            total = total + first * ctx.scale
        if second is not None:
            total = total + second
        return total, None, None


class Constant(Function):
    """Does not depend on its argument."""

    @staticmethod
    def forward(ctx, input):
        return torch.ones_like(input)

    @staticmethod
    def backward(ctx, g):
        return torch.zeros_like(g)


class Embed(Function):
    @staticmethod
    def forward(ctx, index, table):
        ctx.save_for_backward(index)
        ctx.rows = len(table)
        return table[index]

    @staticmethod
    def backward(ctx, g):
        (index,) = ctx.saved_tensors
        return None, g.new_zeros(ctx.rows, g.shape[1]).index_add(0, index, g)


class SlowSquare(Function):
    """Branches on its data: it cannot be batched."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input * input if float(input.sum()) > -1e9 else input

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]


class ThroughFloat32(Function):
    """Computes in float32 whatever comes, and returns what came."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.float().tanh().to(input.dtype)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return (g.float() * (1 - x.float().tanh() ** 2)).to(g.dtype)


def plain(base: type[Function], **namespace: Any) -> type[Function]:
    return type(f"Right{base.__name__}", (base,), {k: staticmethod(v) for k, v in namespace.items()})


RightSigmoid = plain(Sigmoid, backward=sigmoid_plain)
RightTanh = plain(Tanh, backward=tanh_as_product)
RightReLU = plain(ReLU, backward=relu_by_where)
RightLinear = plain(Linear, backward=linear_plain)
RightSoftmax = plain(Softmax, backward=softmax_plain)
RightNLL = plain(SoftmaxNLL, backward=nll_by_scatter)
RightMSE = plain(MSE, backward=mse_both_gradients)
RightBCE = plain(BCE, backward=bce_plain)
RightExp = plain(Exp, backward=exp_from_output)
RightPower = plain(Power, backward=power_by_output)
RightSin = plain(Sin, backward=sin_as_shifted_sine)

works("setup_context_apart", SigmoidApart, table, torch.sigmoid)
works("vjp_by_its_other_name", Vjp, table)
works("two_results", SinCos, table)
works("integer_result", MaxAndWhere, table)
works("in_place_and_says_so", InPlaceScale, table)
works("unmaterialised", Unmaterialised, lambda: (normal(4, 3, seed=1), 2.5, True))
works("constant", Constant, table)
works("embedding", Embed, lambda: (torch.tensor([2, 0, 2, 1]), normal(4, 3, seed=1)))
works("not_batchable", SlowSquare, table)
works("internally_float32", ThroughFloat32, table)
works("a_single_number", RightSigmoid, lambda: (torch.tensor(0.3, dtype=torch.float64),))
works("a_bare_tensor", RightTanh, lambda: normal(3))
works("three_dimensions", RightSoftmax, lambda: (normal(2, 4, 3, seed=1),))
works("empty", RightSigmoid, lambda: (torch.zeros(0, 3, dtype=torch.float64),))
works("apply", RightSigmoid.apply, table)
works("zeros", RightTanh, lambda: (torch.zeros(4, 3, dtype=torch.float64),))
works("tiny_inputs", RightTanh, lambda: (1e-6 * normal(4, 3, seed=1, grad=False),))
works("saturated", RightSigmoid, lambda: (50 * normal(4, 3, seed=1, grad=False),))
works("big", RightTanh, lambda: (normal(60, 50, seed=1, grad=False),))
works("big_relu", RightReLU, lambda: (normal(100, 100, seed=1, grad=False) - 0.1,), torch.relu)
works("big_loss", RightMSE, lambda: (normal(60, 50, seed=1, grad=False), normal(60, 50, seed=2, grad=False)))

for title, function, inputs in [
    ("sigmoid", RightSigmoid, table),
    ("tanh", RightTanh, table),
    ("relu", RightReLU, table),
    ("exp", RightExp, table),
    ("sin", RightSin, table),
    ("power", RightPower, positive),
    ("linear", RightLinear, affine),
    ("softmax", RightSoftmax, table),
    ("nll", RightNLL, classes),
    ("mse", RightMSE, pair),
    ("bce", RightBCE, binary),
]:
    works(f"{title}_float32", function, in_dtype(torch.float32, inputs))
    works(f"{title}_bfloat16", function, in_dtype(torch.bfloat16, inputs))
    works(f"{title}_float16", function, in_dtype(torch.float16, inputs))

# --- callables and modules


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))
        self.register_buffer("shift", torch.ones(4, dtype=torch.float64))

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        hidden = RightTanh.apply(RightLinear.apply(input, self.first, self.bias) + self.shift)
        return RightNLL.apply(hidden, target)


weight = normal(3, 4, seed=7, grad=False)
works("module_with_parameters", Network(), lambda: (normal(5, 3, seed=1), labels(5, 4)))
works("module_of_torch", nn.Linear(3, 2).double(), lambda: (normal(5, 3, seed=1),))
works(
    "module_in_float32",
    nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
    in_dtype(torch.float32, table),
)
works("batch_norm_with_buffers", nn.BatchNorm1d(3).double(), lambda: (normal(6, 3, seed=1),))
works("dropout", nn.Dropout(0.4), lambda: (normal(4, 3, seed=1),))
works("layer_norm", nn.LayerNorm(5).double(), lambda: (normal(4, 5, seed=1),))
works("chain_with_natives", lambda x: RightSigmoid.apply(x @ weight).exp().sum(1), table)
works("used_twice", lambda x: RightSigmoid.apply(x) * RightTanh.apply(x) + x, table)
works("closure_float32_constant", lambda x: x @ weight.float(), in_dtype(torch.float32, table))
works("dictionary_result", lambda x: {"a": RightExp.apply(x), "b": [x.sum()]}, table)
works(
    "native_operations", lambda x, y: torch.atan2(x, y), lambda: (normal(4, 3, seed=1), normal(4, 3, seed=2))
)
works("absolute_value", torch.abs, table)
works("absolute_value_at_zero", torch.abs, lambda: (torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64),))
works("sort", lambda x: x.sort(1).values, table)
works("logarithm", torch.log, lambda: (uniform(4, 3),))
works("logarithm_near_zero", torch.log, lambda: (1e-4 * uniform(4, 3, grad=False),))
works("square_root_near_zero", torch.sqrt, lambda: (1e-5 * uniform(4, 3, grad=False),))
works("steep_exponential", lambda x: torch.exp(40 * x), table)
works("fast_oscillation", lambda x: torch.sin(200 * x), table)
works("division", lambda a, b: a / b, pair)
works("norm", lambda x: x.norm(dim=1), table)
works("cumulative_product", lambda x: x.cumprod(1), table)
works("large_offset", lambda x: x + 1e8, table)
works("huge_scale", lambda x: 1e12 * x.tanh(), table)
works("tiny_scale", lambda x: 1e-12 * x.tanh(), table)
works("regression_of_native", TF.mse_loss, regression, TF.mse_loss)
works("huber", TF.huber_loss, regression)
works("gelu", TF.gelu, table)
works("hard_tanh", TF.hardtanh, table)
works("max_pool", lambda x: TF.max_pool1d(x, 2), lambda: (normal(2, 3, 6, seed=1),))
works("convolution", TF.conv1d, lambda: (normal(2, 3, 6, seed=1), normal(4, 3, 2, seed=2), normal(4, seed=3)))
