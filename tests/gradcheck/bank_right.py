"""Backwards that are right, in spellings, dtypes and layouts that a careless checker stumbles over."""

from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor, nn

from tests.gradcheck.bank import (
    BCE,
    MSE,
    Entry,
    Exp,
    Inputs,
    Linear,
    LogSoftmax,
    MatMul,
    Mul,
    Power,
    ProbsCE,
    ReLU,
    Sigmoid,
    Sin,
    SinCos,
    Softmax,
    SoftmaxNLL,
    Tanh,
    affine,
    binary,
    classes,
    distributions,
    function,
    labels,
    normal,
    numbers,
    pair,
    positive,
    regression,
    right,
    square_affine,
    table,
    uniform,
    with_backward,
)


def own_temporary_changed(g, x, y):
    grad = 1 - y
    grad *= y * g
    return grad


def clone_masked(g, x, y):
    grad = g.clone()
    grad[x < 0] = 0
    return grad


def linear(g, x, w, b, y):
    return g @ w, g.t() @ x, g.sum(0)


def linear_by_einsum(g, x, w, b, y):
    return torch.einsum("no,oi->ni", g, w), torch.einsum("no,ni->oi", g, x), torch.einsum("no->o", g)


def by_jacobian(g, x, y):
    return ((torch.diag_embed(y) - y.unsqueeze(-1) * y.unsqueeze(-2)) @ g.unsqueeze(-1)).squeeze(-1)


def nll(g, x, t, y):
    ones = torch.ones_like(t, dtype=x.dtype).unsqueeze(1)
    return g / len(x) * x.softmax(1).scatter_add(1, t.unsqueeze(1), -ones)


def mse(g, x, t, y):
    grad = g * (x - t) * (2 / x.numel())
    return grad, -grad


FORMULAS = [
    *right(Sigmoid, table, {
        "sigmoid from two exponentials": lambda g, x, y: g / (2 + x.exp() + (-x).exp()),
        "sigmoid as a difference": lambda g, x, y: torch.addcmul(g * y, g * y, y, value=-1),
        "sigmoid computed again": lambda g, x, y: x.sigmoid() * (-x).sigmoid() * g,
        "sigmoid changes its own temporary": own_temporary_changed,
        "sigmoid returns a tuple": lambda g, x, y: (g * (y - y.square()),),
    }),
    *right(Tanh, table, {
        "tanh by the hyperbolic cosine": lambda g, x, y: g / x.cosh() ** 2,
        "tanh reshaped": lambda g, x, y: (g.reshape(-1) * (1 - y.reshape(-1) ** 2)).reshape(y.shape),
    }, torch.tanh),
    *right(ReLU, table, {
        "relu by the output's sign": lambda g, x, y: g * y.sign(),
        "relu masks a clone": clone_masked,
        "relu with a float32 mask": lambda g, x, y: g * (x > 0).float(),
    }),
    *right(ReLU, numbers([-1.0, 0.0], [-0.0, 2.0]), {
        "relu, half at zero": lambda g, x, y: g * torch.where(x == 0, 0.5, (x > 0).to(g)),
        "relu, one at zero": lambda g, x, y: g * (x >= 0),
    }),
    *right(ReLU, numbers(-1, 0, -0.0, 2), {
        "relu, zero at zero": lambda g, x, y: g.masked_fill(x <= 0, 0),
    }, torch.relu),
    *right(ReLU, lambda: (normal(40, 50, seed=3, grad=False) * 1e-3,), {
        "relu close to the corner": lambda g, x, y: torch.where(x > 0, g, 0),
    }),
    *right(Exp, numbers(-40, -1, 0, 30), {"exp of different sizes": lambda g, x, y: x.exp() * g}),
    *right(Sin, lambda: (100 * normal(4, 3, seed=1, grad=False),), {
        "sin of large numbers": lambda g, x, y: g * x.cos(),
    }),
    *right(Power, positive, {"power by its output": lambda g, x, y, k: g * k * y / x}),
    *right(Power, lambda: (uniform(4, 3, seed=3), 0.5), {"square root": lambda g, x, y, k: g / (2 * y)}),
    *right(Power, lambda: (normal(4, 3, seed=3), 2), {"integer exponent": lambda g, x, y, k: 2 * g * x}),
    *right(Power, lambda: (normal(4, 3, seed=3), 0), {"exponent zero": lambda g, x, y, k: None}),
    *right(Linear, affine, {"linear by einsum": linear_by_einsum}, TF.linear),
    *right(Linear, square_affine, {"linear, square": linear}),
    *right(Linear, lambda: (normal(1, 3, seed=6), normal(1, 3, seed=7), normal(1, seed=8)), {
        "linear, sizes of one": linear,
    }),
    *right(Linear, lambda: (normal(5, 3).detach(), normal(2, 3, seed=7), normal(2, seed=8)), {
        "linear, input is data": lambda g, x, w, b, y: (None, g.t() @ x, g.sum(0)),
    }),
    *right(Mul, lambda: (normal(4, 3, seed=4), normal(3, seed=5)), {
        "product, row summed": lambda g, a, b, y: (g * b, (g * a).sum(0)),
    }),
    *right(Mul, lambda: (normal(4, 3, seed=4), normal(4, 1, seed=5)), {
        "product, summed to size": lambda g, a, b, y: (g * b, (g * a).sum_to_size(b.shape)),
    }),
    *right(Mul, lambda: (normal(4, 3, seed=4).t(), normal(3, 8, seed=5)[:, ::2]), {
        "product of strided inputs": lambda g, a, b, y: (g * b, g * a),
    }),
    *right(MatMul, lambda: (normal(2, 4, 3, seed=4), normal(2, 3, 5, seed=5)), {
        "batched matrix product": lambda g, a, b, y: (g @ b.mT, a.mT @ g),
    }, torch.matmul),
    *right(Softmax, table, {"softmax by its jacobian": by_jacobian}),
    *right(LogSoftmax, table, {"log-softmax": lambda g, x, y: g - y.exp() * g.sum(-1, keepdim=True)}),
    *right(SoftmaxNLL, lambda: (normal(1, 3, seed=1), labels(1, 3)), {"nll of one example": nll}),
    *right(SoftmaxNLL, lambda: (1000 * normal(6, 4, seed=13, grad=False), labels(6, 4)), {
        "nll of huge logits": nll,
    }),
    *right(MSE, lambda: (normal(5, 3, seed=1), normal(5, 3, seed=1, grad=False)), {
        "mse at its minimum": lambda g, x, t, y: 2 * g * (x - t) / x.numel(),
    }),
    *right(ProbsCE, distributions, {"cross-entropy": lambda g, p, t, y: -g * t / p / len(p)}),
    *right(SinCos, table, {"two results": lambda g, h, x, s, c: g * c - h * s}),
    *right(function("Constant", lambda x: torch.ones_like(x)), table, {
        "constant": lambda g, x, y: torch.zeros_like(g),
    }),
    *right(function("Lookup", lambda index, rows: rows[index]),
           lambda: (torch.tensor([2, 0, 2, 1]), normal(4, 3, seed=1)), {
        "embedding": lambda g, i, rows, y: (None, torch.zeros_like(rows).index_add(0, i, g)),
    }),
    *right(function("Branches", lambda x: x * x if float(x.sum()) > -1e9 else x), table, {
        "not batchable": lambda g, x, y: 2 * g * x,
    }),
    *right(function("ThroughFloat32", lambda x: x.float().tanh().to(x.dtype)), table, {
        "float32 inside": lambda g, x, y: (g.float() * (1 - x.float().tanh() ** 2)).to(g.dtype),
    }),
]  # fmt: skip


RightSigmoid = with_backward(Sigmoid, "RightSigmoid", lambda g, x, y: g * y * (1 - y))
RightTanh = with_backward(Tanh, "RightTanh", lambda g, x, y: g * (1 + y) * (1 - y))
RightReLU = with_backward(ReLU, "RightReLU", lambda g, x, y: torch.where(x > 0, g, torch.zeros_like(g)))
RightLinear = with_backward(Linear, "RightLinear", linear)
RightSoftmax = with_backward(Softmax, "RightSoftmax", lambda g, x, y: y * (g - (g * y).sum(-1, keepdim=True)))
RightNLL = with_backward(SoftmaxNLL, "RightNLL", nll)
RightMSE = with_backward(MSE, "RightMSE", mse)
RightBCE = with_backward(BCE, "RightBCE", lambda g, x, t, y: g * (x.sigmoid() - t) / x.numel())
RightExp = with_backward(Exp, "RightExp", lambda g, x, y: y * g)
RightPower = with_backward(Power, "RightPower", lambda g, x, y, k: g * k * x ** (k - 1))
RightSin = with_backward(Sin, "RightSin", lambda g, x, y: g * torch.sin(x + torch.pi / 2))


def in_dtype(dtype: torch.dtype, inputs: Inputs) -> Inputs:
    def cast() -> tuple[Any, ...]:
        return tuple(
            a.detach().to(dtype).requires_grad_(a.requires_grad)
            if isinstance(a, Tensor) and a.is_floating_point()
            else a
            for a in inputs()
        )

    return cast


PLAIN = [
    (RightSigmoid, table, torch.sigmoid),
    (RightTanh, table, torch.tanh),
    (RightReLU, table, torch.relu),
    (RightExp, table, torch.exp),
    (RightSin, table, torch.sin),
    (RightPower, positive, torch.pow),
    (RightLinear, affine, TF.linear),
    (RightSoftmax, table, lambda x: x.softmax(-1)),
    (RightNLL, classes, TF.cross_entropy),
    (RightMSE, pair, TF.mse_loss),
    (RightBCE, binary, TF.binary_cross_entropy_with_logits),
]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(normal(4, 3, seed=7))
        self.bias = nn.Parameter(normal(4, seed=8))
        self.register_buffer("shift", torch.ones(4, dtype=torch.float64))

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        hidden = RightTanh.apply(RightLinear.apply(input, self.first, self.bias) + self.shift)
        return RightNLL.apply(hidden, target)


weight = normal(3, 4, seed=7, grad=False)

BANK = [
    *FORMULAS,
    *(Entry(fn.__name__, fn, inputs, None, reference) for fn, inputs, reference in PLAIN),
    *(
        Entry(f"{fn.__name__} in {dtype}", fn, in_dtype(dtype, inputs))
        for fn, inputs, _ in PLAIN
        for dtype in (torch.float32, torch.bfloat16, torch.float16)
    ),
    Entry("a single number", RightSigmoid, lambda: (torch.tensor(0.3, dtype=torch.float64),)),
    Entry("a bare tensor", RightTanh, lambda: normal(3)),
    Entry("three dimensions", RightSoftmax, lambda: (normal(2, 4, 3, seed=1),)),
    Entry("empty", RightSigmoid, lambda: (torch.zeros(0, 3, dtype=torch.float64),)),
    Entry("apply", RightSigmoid.apply, table),
    Entry("zeros", RightTanh, lambda: (torch.zeros(4, 3, dtype=torch.float64),)),
    Entry("tiny inputs", RightTanh, lambda: (1e-6 * normal(4, 3, seed=1, grad=False),)),
    Entry("saturated", RightSigmoid, lambda: (50 * normal(4, 3, seed=1, grad=False),)),
    Entry("big", RightTanh, lambda: (normal(60, 50, seed=1, grad=False),)),
    Entry("big relu", RightReLU, lambda: (normal(100, 100, seed=1) - 0.1,), None, torch.relu),
    Entry("big loss", RightMSE, lambda: (normal(60, 50, seed=1), normal(60, 50, seed=2))),
    Entry("module with parameters", Network(), lambda: (normal(5, 3, seed=1), labels(5, 4))),
    Entry("module in float32", nn.Sequential(nn.Linear(3, 4), nn.Tanh()), in_dtype(torch.float32, table)),
    Entry("batch norm with buffers", nn.BatchNorm1d(3).double(), lambda: (normal(6, 3, seed=1),)),
    Entry("dropout", nn.Dropout(0.4), table),
    Entry("layer norm", nn.LayerNorm(5).double(), lambda: (normal(4, 5, seed=1),)),
    Entry("chain with natives", lambda x: RightSigmoid.apply(x @ weight).exp().sum(1), table),
    Entry("used twice", lambda x: RightSigmoid.apply(x) * RightTanh.apply(x) + x, table),
    Entry("float32 constant", lambda x: x @ weight.float(), in_dtype(torch.float32, table)),
    Entry("dictionary result", lambda x: {"a": RightExp.apply(x), "b": [x.sum()]}, table),
    Entry("absolute value at zero", torch.abs, numbers(-1, 0, 2)),
    Entry("sort", lambda x: x.sort(1).values, table),
    Entry("logarithm near zero", torch.log, lambda: (1e-4 * uniform(4, 3, grad=False),)),
    Entry("square root near zero", torch.sqrt, lambda: (1e-5 * uniform(4, 3, grad=False),)),
    Entry("steep exponential", lambda x: torch.exp(40 * x), table),
    Entry("fast oscillation", lambda x: torch.sin(200 * x), table),
    Entry("division", lambda a, b: a / b, pair),
    Entry("norm", lambda x: x.norm(dim=1), table),
    Entry("cumulative product", lambda x: x.cumprod(1), table),
    Entry("large offset", lambda x: x + 1e8, table),
    Entry("huge scale", lambda x: 1e12 * x.tanh(), table),
    Entry("tiny scale", lambda x: 1e-12 * x.tanh(), table),
    Entry("huber", TF.huber_loss, regression),
    Entry("hard tanh", TF.hardtanh, table),
    Entry("max pool", lambda x: TF.max_pool1d(x, 2), lambda: (normal(2, 3, 6, seed=1),)),
    Entry("convolution", TF.conv1d, lambda: (normal(2, 3, 6), normal(4, 3, 2, seed=2), normal(4, seed=3))),
]
