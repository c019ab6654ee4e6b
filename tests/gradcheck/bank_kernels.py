"""What real kernels compute: WRONG and RIGHT.

Staircases, sums and windows, normalisations, solvers, domains, ties, memory that nobody wrote, native dtypes.
"""

from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor

from tests.gradcheck.bank import Entry, Exp, function, normal, one_hot, pair, right, table, uniform, wrong

ORDER = torch.tensor([2, 0, 3, 1])


def rotated(x):
    """A rotary embedding's turn, by one angle."""
    first, second = x.chunk(2, -1)
    return torch.cat([0.6 * first - 0.8 * second, 0.6 * second + 0.8 * first], -1)


def causal(x, weight):
    return TF.conv1d(TF.pad(x, (weight.shape[-1] - 1, 0)), weight)


WRONG: list[Entry] = [
    *wrong(function("Rotary", lambda q, k: (rotated(q), rotated(k))),
           lambda: (normal(3, 4), normal(3, 4, seed=1)), {
        "rotary: turned the same way": ("transposed", lambda g, h, *_: (rotated(g), rotated(h))),
    }),
    *wrong(function("Causal", causal), lambda: (normal(2, 1, 6), normal(1, 1, 3, seed=1, grad=False)), {
        "causal: padded on the wrong side": ("transposed", lambda g, x, w, y: causal(g, w.flip(-1))),
    }),
    *wrong(function("Mean", lambda x: x.mean(0)), table, {
        "mean: not divided": ("scale", lambda g, x, y: g.expand_as(x)),
        "mean: not expanded": ("wrong-shape", lambda g, x, y: g / len(x)),
    }),
    *wrong(function("Centred", lambda x: x - x.mean(-1, keepdim=True)), table, {
        "centred: the mean is a constant": ("missing-terms", lambda g, x, y: g.clone()),
    }),
    *wrong(function("SiLU", lambda x: TF.silu(x)), table, {
        "silu: second path forgotten": ("missing-terms", lambda g, x, y: g * x.sigmoid()),
    }),
    *wrong(function("Residual", lambda x: x + x.tanh()), table, {
        "residual: not returned": ("missing-terms", lambda g, x, y: g * (1 - x.tanh() ** 2)),
        "residual: mask of the upstream": ("wrong-region", lambda g, x, y: g * (g > 0)),
    }),
    *wrong(function("Permute", lambda x: 2 * x.permute(1, 2, 0)), lambda: (normal(3, 4, 5),), {
        "permuted again": ("transposed", lambda g, x, y: 2 * g.permute(1, 2, 0)),
    }),
    *wrong(function("Permute", lambda x: 2 * x.permute(1, 2, 0)), lambda: (normal(3, 3, 3),), {
        "permuted again in a cube": ("transposed", lambda g, x, y: 2 * g.permute(1, 2, 0)),
    }),
    *wrong(function("Reorder", lambda x: x[ORDER]), table, {
        "reordered again": ("transposed", lambda g, x, y: g[ORDER]),
    }),
    *wrong(function("RunningSum", lambda x: x.cumsum(1)), table, {
        "running sum: from the beginning again": ("transposed", lambda g, x, y: g.cumsum(1)),
    }),
    *wrong(function("Standardise", lambda x: (x - x.mean(1, True)) / x.std(1, keepdim=True)),
           lambda: (normal(3, 6, seed=1),), {
        "standardised: mean and deviation are constants": (
            "missing-terms",
            lambda g, x, y: g / x.std(1, keepdim=True),
        ),
        "standardised: not divided": (
            "missing-terms",
            lambda g, x, y: g - g.mean(1, True) - y * (g * y).sum(1, keepdim=True) / 5,
        ),
    }),
    *wrong(function("Lookup", lambda table, index: table[index]),
           lambda: (normal(4, 3, seed=1), torch.tensor([2, 0, 2, 1, 2])), {
        "lookup: written, not added": (
            "missing-terms",
            lambda g, x, i, y: torch.zeros_like(x).index_put((i,), g),
        ),
    }),
    *wrong(function("Convolve", lambda x, weight: TF.conv2d(x, weight)),
           lambda: (normal(2, 2, 4, 5, seed=1), normal(3, 2, 2, 3, seed=2)), {
        "convolution: kernel not flipped": (
            "transposed",
            lambda g, x, w, y: (
                TF.conv2d(g, w.transpose(0, 1), padding=(1, 2)),
                TF.conv2d(x.transpose(0, 1), g.transpose(0, 1)).transpose(0, 1),
            ),
        ),
    }),
]  # fmt: skip
RIGHT: list[Entry] = []

# --- 3. staircases, and no dependence at all


def grey() -> tuple[Any, ...]:
    return (uniform(4, 3),)


Quantise = function("Quantise", lambda x: torch.round(x * 255) / 255)
Spike = function("Spike", lambda x: (x > 0).to(x.dtype))
WRONG += [
    *wrong(Quantise, grey, {"quantised, a fifth more": ("unknown", lambda g, x, y: 1.2 * g)}),
    *wrong(Quantise, grey, {"quantised without a surrogate": ("unknown", lambda g, x, y: g.clone())}),
    *wrong(Quantise, grey, {"quantised beside its surrogate": ("scale", lambda g, x, y: 1.2 * g)},
           surrogate=lambda x: x),
    *wrong(function("Round", lambda x: x.round()), table, {"rounded": ("unknown", lambda g, x, y: 1 * g)}),
    *wrong(function("One", lambda x: 0 * x + 1), table, {"constant": ("unknown", lambda g, x, y: 1 * g)}),
]  # fmt: skip
RIGHT += [
    *right(Quantise, grey, {"straight through": lambda g, x, y: g.clone()}, surrogate=lambda x: x),
    *right(Spike, table, {"spike": lambda g, x, y: g / (1 + (2 * x) ** 2)},
           surrogate=lambda x: torch.atan(2 * x) / 2),
]  # fmt: skip

# --- 7. float32 inside, noise, gradients that are nothing but rounding


def root_by_newton(x: Tensor) -> Tensor:
    root = x.clone()
    for _ in range(40):
        new = (root + x / root) / 2
        done = float((new - root).abs().max()) < 1e-7
        root = new
        if done:
            break
    return root


def partly_float32(x: Tensor) -> Tensor:
    return x.sin() + (x.float() * 0.1).cos().to(x.dtype)


def attention_key_bias(bias: Tensor, input: Tensor) -> Tensor:
    """A bias that softmax takes away again: its gradient is nothing but rounding."""
    return torch.softmax(input @ input.t() + (bias.sum() + 0 * input[:, :1]), -1) @ input


ThroughFloat32 = function("ThroughFloat32", lambda x: x.float().tanh().to(x.dtype))
WRONG += wrong(ThroughFloat32, table, {
    "float32 inside, and twice": ("scale", lambda g, x, y: 2 * g * (1 - x.tanh() ** 2)),
})  # fmt: skip
RIGHT += [
    *right(function("Root", root_by_newton), grey, {"root by a solver": lambda g, x, y: g / (2 * y)},
           magnitudes=False),
    # 8. A probe leaves the domain: inputs below a tenth are clamped, and nobody has such.
    *right(function("Log", lambda x: x.clamp(0.1).log()), grey, {"log from 0.1 on": lambda g, x, y: g / x}),
    Entry("float32 in one term", partly_float32, table, options={"second_order": False}),
    Entry("a gradient of rounding alone", attention_key_bias, lambda: (normal(3, seed=1), *table())),
    Entry("a tolerance of its own", lambda x: x.erf().float().double(), table, options={"rtol": 1e-2}),
]  # fmt: skip

# --- 9. ties, memory, native dtypes


def distance_by_itself(g, a, b, y):
    grad = g * (a - b) / (a - b).abs()
    return grad, -grad


def first_maximum(g, x, y):
    return g.unsqueeze(1) * one_hot(x.argmax(1), x)


def every_maximum(g, x, y):
    return 2 * g.unsqueeze(1) * (x == y.unsqueeze(1)) - first_maximum(g, x, y)


def rows_left_out(g, x, y):
    grad = torch.empty_like(x)
    grad[1:] = g * x[1:].exp()
    return grad


def added_to_empty_memory(g, x, y):
    grad = g.new_empty(x.shape)
    return grad.add_(g * y) - grad


def distance(left: Tensor, right: Tensor) -> Tensor:
    return (left - right).abs()


def largest(x: Tensor) -> Tensor:
    return x.amax(1)


def wide() -> tuple[Any, ...]:
    return (normal(3, 6, seed=1),)


WRONG += [
    *wrong(function("Distance", distance), pair, {"by itself": ("non-finite", distance_by_itself)}, distance),
    *wrong(function("Max", largest), wide, {"every maximum gets all": ("kink", every_maximum)}, largest),
    *wrong(function("Tail", lambda x: x[1:].exp()), table, {"rows": ("uninitialized", rows_left_out)}),
    *wrong(Exp, table, {"empty": ("uninitialized", added_to_empty_memory)}),
]
RIGHT += [
    *right(function("Max", largest), wide, {"the first maximum": first_maximum}, largest),
    *right(function("Exp", lambda x: torch.empty_like(x).copy_(x.exp())), table, {
        "empty and filled": lambda g, x, y: torch.zeros_like(x) + g * y,
    }),
]  # fmt: skip


def rms_norm(input, weight):
    """RMS normalisation, in float32 inside as it should be."""
    x = input.float() if input.dtype != torch.float64 else input
    return (x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight).to(input.dtype)


def rms_norm_backward(g, input, weight, y):
    wide = torch.float64 if input.dtype == torch.float64 else torch.float32
    x, w, up = (t.to(wide) for t in (input, weight, g))
    r = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    grad = r * up * w - x * r**3 * (up * w * x).mean(-1, keepdim=True)
    return grad.to(input.dtype), (up * x * r).sum(0).to(weight.dtype)


def summed_in_bfloat16(g, x, w, y):
    grad_weight = torch.zeros_like(w)
    for row in g * x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt():  # rounds after each row
        grad_weight = grad_weight + row
    return rms_norm_backward(g, x, w, y)[0], grad_weight


def tall(dtype: torch.dtype) -> Any:
    return lambda: (normal(3000, 3, seed=1, dtype=dtype), normal(3, seed=2, dtype=dtype))


def half() -> tuple[Any, ...]:
    return (normal(4, 3, seed=1, dtype=torch.bfloat16),)


def of_bfloat16_alone(x: Tensor) -> Tensor:
    """A kernel that is compiled for one dtype."""
    if x.dtype != torch.bfloat16:
        raise TypeError("expected bfloat16")
    return x.sigmoid()


def sigmoid_in_float32(g, x, y):
    y = x.float().sigmoid()
    return (g.float() * y * (1 - y)).to(g.dtype)


RMSNorm, Kernel = function("RMSNorm", rms_norm), function("Kernel", of_bfloat16_alone)
WRONG += [
    *wrong(RMSNorm, tall(torch.bfloat16), {"rounded sums": ("imprecise", summed_in_bfloat16)}, rms_norm),
    *wrong(Kernel, half, {
        "kernel off by a tenth": ("imprecise", lambda g, x, y: 1.1 * sigmoid_in_float32(g, x, y)),
    }, torch.sigmoid),
]  # fmt: skip
RIGHT += [
    *right(RMSNorm, tall(torch.float32), {"rms norm, float32": rms_norm_backward}, rms_norm),
    *right(RMSNorm, tall(torch.bfloat16), {"rms norm, bfloat16": rms_norm_backward}, rms_norm),
    *right(Kernel, half, {"kernel of one dtype": sigmoid_in_float32}, torch.sigmoid, second_order=False),
]
