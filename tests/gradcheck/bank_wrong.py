"""Formulas that are wrong as people really get them wrong, each with the kind the checker should name.

Threads that a slip was seen in: pytorch#995 (an upstream gradient not multiplied by, a sign lost with it),
pytorch#4355 (ISRLU without its upstream gradient), libnd4j#440 and zhuozhiyongde's PKU-2024Spring#1
(softmax by its diagonal), Odyssey#2134 (softmax without the dot product), fromscratchtoml#65 (softmax off
by two), cs231n#10 of mantasu (s (s − 1) for s (1 − s)), extension-cpp#10 and pytorch#28583 (bias gradients
of shape (1, O) and ()), pytorch#30454 (``grad_output *= 2``), pytorch-image-comp-rnn#4 (a gradient too
few), pytorch#13886 (a constant of a quotient), stackoverflow 65275522 (the division by the batch),
newbe.dev's softmax (input where the value belongs), pytorch#58509, #76185 and #104040 (saved
intermediates), mlpack#3469 (log-softmax), pytorch#81417 (in-place upstream).
"""

import torch

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
    SinCos,
    Softmax,
    SoftmaxNLL,
    Tanh,
    affine,
    binary,
    classes,
    distributions,
    labels,
    normal,
    numbers,
    one_hot,
    pair,
    positive,
    regression,
    square_affine,
    table,
    uniform,
    wrong,
)


def masked_in_place(g, x, y):
    g[x < 0] = 0
    return g


def index_assigned(g, x, t, y):
    with torch.no_grad():
        probs = x.softmax(1)
        probs[torch.arange(len(x)), t] -= 1
    return g * probs / len(x)


def naive_softmax(g, x, t, y):
    return g * (x.exp() / x.exp().sum(1, keepdim=True) - one_hot(t, x)) / len(x)


def strides_read(g, x, w, b, y):
    g = g.as_strided(g.shape, (g.shape[1], 1))
    return g @ w, g.t() @ x, g.sum(0)


calls = []


def fading(g, x, y):
    calls.append(None)
    return g * y * (1 - y) / len(calls)


def with_dot_product(g, y, dim=-1):
    return y * (g - (g * y).sum(dim, keepdim=True))


BANK: list[Entry] = [
    *wrong(Sigmoid, table, {
        "sigmoid: factor reversed": ("sign", lambda g, x, y: g * y * (y - 1)),
        "sigmoid: of the input": ("input-for-output", lambda g, x, y: g * x * (1 - x)),
        "sigmoid: one factor from the input": ("input-for-output", lambda g, x, y: g * y * (1 - x)),
        "sigmoid: applied again": ("input-for-output", lambda g, x, y: g * y.sigmoid() * (1 - y.sigmoid())),
        "sigmoid: local derivative only": ("ignores-upstream", lambda g, x, y: y * (1 - y)),
        "sigmoid: upstream added": ("ignores-upstream", lambda g, x, y: g + y * (1 - y)),
        "sigmoid: upstream changed": ("mutates", lambda g, x, y: g.mul_(y).mul_(1 - y)),
        "sigmoid: zeros": ("missing-gradient", lambda g, x, y: torch.zeros_like(g)),
        "sigmoid: None": ("missing-gradient", lambda g, x, y: None),
        "sigmoid: detached": ("second-order", lambda g, x, y: g * y.detach() * (1 - y.detach())),
        "sigmoid: in float32": ("wrong-dtype", lambda g, x, y: (g * y * (1 - y)).float()),
        "sigmoid: noise": ("nondeterministic", lambda g, x, y: g * y * (1 - y) + 0.01 * torch.randn_like(g)),
        "sigmoid: fades from call to call": ("nondeterministic", fading),
        "sigmoid: second factor forgotten": ("missing-terms", lambda g, x, y: g * y),
        "sigmoid: unpacked wrongly": ("raises", lambda g, y: g * y * (1 - y)),
        "sigmoid: returns a number": ("raises", lambda g, x, y: 1.0),
    }),
    *wrong(Tanh, table, {
        "tanh: of the input": ("input-for-output", lambda g, x, y: g * (1 - x**2)),
        "tanh: squared minus one": ("sign", lambda g, x, y: g * (y**2 - 1)),
        "tanh: one forgotten": ("missing-terms", lambda g, x, y: -g * y**2),
        "tanh: not squared": ("missing-terms", lambda g, x, y: g * (1 - y)),
        "tanh: viewed": ("layout", lambda g, x, y: (g.view(-1) * (1 - y.view(-1) ** 2)).view(y.shape)),
        "tanh: twice": ("scale", lambda g, x, y: 2 * g * (1 - y**2)),
        "tanh: off by little": ("scale", lambda g, x, y: 1.0004 * g * (1 - y * y)),
        "tanh: output changed": ("mutates", lambda g, x, y: g * y.pow_(2).neg_().add_(1)),
    }),
    *wrong(Tanh, lambda: (0.01 * normal(4, 3, seed=1).detach(),), {
        "tanh: of a small input": ("input-for-output", lambda g, x, y: g * (1 - x * x)),
    }),
    *wrong(ReLU, table, {
        "relu: passes everything": ("wrong-region", lambda g, x, y: g.clone()),
        "relu: leaks": ("wrong-region", lambda g, x, y: torch.where(x > 0, g, 0.01 * g)),
        "relu: mask reversed": ("wrong-region", lambda g, x, y: g * (x < 0)),
        "relu: mask drawn anew": ("wrong-region", lambda g, x, y: g * (x.roll(1) > 0)),
        "relu: masked in place": ("mutates", masked_in_place),
        "relu: mask alone": ("ignores-upstream", lambda g, x, y: (x > 0).to(g)),
        "relu: slope of a square": ("missing-terms", lambda g, x, y: g * (y > 0) / (1 + y)),
        "relu: mask of the upstream too": ("wrong-region", lambda g, x, y: g * (x > 0) * (g > 0)),
    }),
    *wrong(ReLU, lambda: (3 * normal(4, 3, seed=1).detach(),), {
        "relu: mask at one": ("wrong-region", lambda g, x, y: g * (x > 1)),
    }),
    *wrong(ReLU, table, {"relu: one at zero": ("kink", lambda g, x, y: g * (x >= 0))}, torch.relu),
    *wrong(ReLU, numbers(-1, 0, 2), {
        "relu: three at zero": ("kink", lambda g, x, y: g * (x > 0) + 3 * g * (x == 0)),
    }),
    *wrong(Exp, table, {
        "exp: times the input": ("input-for-output", lambda g, x, y: g * x),
        "exp: passes the upstream": ("missing-terms", lambda g, x, y: g.clone()),
        "exp: of the output": ("input-for-output", lambda g, x, y: g * y.exp()),
        "exp: upstream twice": ("ignores-upstream", lambda g, x, y: g * g * y),
        "exp: squared": ("missing-terms", lambda g, x, y: g * y * y),
    }),
    *wrong(Sin, table, {
        "sin: minus cosine": ("sign", lambda g, x, y: -g * x.cos()),
        "sin: cosine of the output": ("input-for-output", lambda g, x, y: g * y.cos()),
        "sin: its value": ("input-for-output", lambda g, x, y: g * x.sin()),
        "sin: from the output": ("wrong-region", lambda g, x, y: g * (1 - y**2).sqrt()),
        "sin: in degrees": ("scale", lambda g, x, y: g * x.cos() * torch.pi / 180),
        "sin: through data": ("second-order", lambda g, x, y: g * x.data.cos()),
    }),
    *wrong(SinCos, table, {
        "sine and cosine: second result forgotten": ("missing-terms", lambda g, h, x, s, c: g * c),
        "sine and cosine: second sign": ("missing-terms", lambda g, h, x, s, c: g * c + h * s),
    }),
    *wrong(Power, positive, {
        "power: exponent forgotten": ("scale", lambda g, x, y, k: g * x ** (k - 1)),
        "power: raised instead of lowered": ("missing-terms", lambda g, x, y, k: g * k * x ** (k + 1)),
        "power: lowered twice": ("missing-terms", lambda g, x, y, k: g * k * x ** (k - 2)),
        "power: of the output": ("input-for-output", lambda g, x, y, k: g * k * y ** (k - 1)),
        "power: one gradient for two": ("raises", lambda g, x, y, k: (g * k * x ** (k - 1),)),
    }),
    *wrong(Power, lambda: (*numbers([0.0, 1.5], [2.0, -0.5])(), 2.0), {
        "power: divided by the input": ("non-finite", lambda g, x, y, k: g * k * y / x),
    }),
    *wrong(Power, lambda: (normal(4, 3, seed=1), 3.0), {
        "power: absolute": ("wrong-region", lambda g, x, y, k: g * k * y.abs() / x),
    }),
    *wrong(Linear, affine, {
        "linear: bias not summed": ("unsummed", lambda g, x, w, b, y: (g @ w, g.t() @ x, g)),
        "linear: bias (1, O)": ("wrong-shape", lambda g, x, w, b, y: (g @ w, g.t() @ x, g.sum(0)[None])),
        "linear: bias averaged": ("scale", lambda g, x, w, b, y: (g @ w, g.t() @ x, g.mean(0))),
        "linear: bias None": ("missing-gradient", lambda g, x, w, b, y: (g @ w, g.t() @ x, None)),
        "linear: bias left out": ("missing-gradient", lambda g, x, w, b, y: (g @ w, g.t() @ x)),
        "linear: bias of ones": ("ignores-upstream", lambda g, x, w, b, y: (g @ w, g.t() @ x, 0 * b + 5)),
        "linear: bias of one row": ("missing-terms", lambda g, x, w, b, y: (g @ w, g.t() @ x, 1 * g[0])),
        "linear: weight transposed": ("transposed", lambda g, x, w, b, y: (g @ w, x.t() @ g, g.sum(0))),
        "linear: weight of one example": (
            "missing-terms",
            lambda g, x, w, b, y: (g @ w, torch.outer(g[0], x[0]), g.sum(0)),
        ),
        "linear: weight from the output": (
            "ignores-upstream",
            lambda g, x, w, b, y: (g @ w, y.t() @ x, g.sum(0)),
        ),
        "linear: shapes that do not meet": ("raises", lambda g, x, w, b, y: (g @ w.t(), g.t() @ x, g.sum(0))),
        "linear: exchanged": ("swapped-inputs", lambda g, x, w, b, y: (g.t() @ x, g @ w, g.sum(0))),
        "linear: first row lost": (
            "wrong-region",
            lambda g, x, w, b, y: ((g @ w) * (torch.arange(5)[:, None] > 0), g.t() @ x, g.sum(0)),
        ),
        "linear: reads strides": ("layout", strides_read),
    }),
    *wrong(Linear, lambda: (normal(5, 3, seed=6), normal(1, 3, seed=7), normal(1, seed=8)), {
        "linear: bias ()": ("wrong-shape", lambda g, x, w, b, y: (g @ w, g.t() @ x, g.sum(0).squeeze(0))),
    }),
    *wrong(Linear, square_affine, {
        "linear: square transposed": ("transposed", lambda g, x, w, b, y: (g @ w, x.t() @ g, g.sum(0))),
        "linear: through wᵀ": ("transposed", lambda g, x, w, b, y: (g @ w.t(), g.t() @ x, g.sum(0))),
        "linear: square exchanged": ("swapped-inputs", lambda g, x, w, b, y: (g.t() @ x, g @ w, g.sum(0))),
    }),
    *wrong(Mul, pair, {
        "product: own factor": ("swapped-inputs", lambda g, a, b, y: (g * a, g * b)),
        "product: written into an input": ("mutates", lambda g, a, b, y: (g * b, a.mul_(g))),
        "product: constant second": ("missing-gradient", lambda g, a, b, y: (g * b, torch.zeros_like(b))),
    }),
    *wrong(Mul, lambda: (normal(4, 3, seed=4), normal(4, 1, seed=5)), {
        "product: column not summed": ("unsummed", lambda g, a, b, y: (g * b, g * a)),
    }),
    *wrong(MatMul, lambda: (normal(4, 3, seed=4), normal(3, 2, seed=5)), {
        "matrix product: right transposed": ("transposed", lambda g, a, b, y: (g @ b.t(), g.t() @ a)),
    }),
    *wrong(Softmax, table, {
        "softmax: diagonal": ("missing-terms", lambda g, x, y: g * y * (1 - y)),
        "softmax: no dot product": ("missing-terms", lambda g, x, y: g * y),
        "softmax: dot product alone": ("missing-terms", lambda g, x, y: -y * (g * y).sum(-1, keepdim=True)),
        "softmax: subtraction reversed": ("sign", lambda g, x, y: -with_dot_product(g, y)),
        "softmax: plain sum": ("missing-terms", lambda g, x, y: y * (g - g.sum(-1, keepdim=True))),
        "softmax: sum over the batch": ("missing-terms", lambda g, x, y: y * (g - (g * y).sum())),
        "softmax: over dimension 0": ("missing-terms", lambda g, x, y: with_dot_product(g, y, 0)),
    }),
    *wrong(Softmax, lambda: (normal(4, 4, seed=2),), {
        "softmax: transposed": ("transposed", lambda g, x, y: with_dot_product(g, y).t()),
    }),
    *wrong(LogSoftmax, table, {
        "log-softmax: upstream only": ("missing-terms", lambda g, x, y: g.clone()),
        "log-softmax: of the input": ("input-for-output", lambda g, x, y: g - x.exp() * g.sum(-1, True)),
    }),
    *wrong(SoftmaxNLL, classes, {
        "nll: not averaged": ("scale", lambda g, x, t, y: g * (x.softmax(1) - one_hot(t, x))),
        "nll: divided by classes": ("scale", lambda g, x, t, y: g * (x.softmax(1) - one_hot(t, x)) / 4),
        "nll: no upstream": ("ignores-upstream", lambda g, x, t, y: (x.softmax(1) - one_hot(t, x)) / len(x)),
        "nll: target not subtracted": ("wrong-region", lambda g, x, t, y: g * x.softmax(1) / len(x)),
        "nll: target only": ("missing-terms", lambda g, x, t, y: -g * one_hot(t, x) / len(x)),
        "nll: no softmax": ("input-for-output", lambda g, x, t, y: g * (x - one_hot(t, x)) / len(x)),
        "nll: labels": ("input-for-output", lambda g, x, t, y: g * (x.softmax(1) - t[:, None]) / len(x)),
        "nll: target not averaged": (
            "wrong-region",
            lambda g, x, t, y: g * (x.softmax(1) / len(x) - one_hot(t, x)),
        ),
        "nll: class 0 taken for padding": (
            "wrong-region",
            lambda g, x, t, y: g * (x.softmax(1) - one_hot(t, x)) / len(x) * (t != 0).unsqueeze(1),
        ),
        "nll: upstream changed, and scaled": (
            "mutates",
            lambda g, x, t, y: g.mul_(3) * (x.softmax(1) - one_hot(t, x)),
        ),
        "nll: assigned by index": ("second-order", index_assigned),
        "nll: naive softmax": ("non-finite", naive_softmax),
    }),
    *wrong(SoftmaxNLL, lambda: (*numbers([1.0, 1000.0], [3.0, -2.0])(), labels(2, 2)), {
        "nll: naive softmax, large logits": ("non-finite", naive_softmax),
    }),
    *wrong(MSE, regression, {
        "mse: two forgotten": ("scale", lambda g, x, t, y: g * (x - t) / x.numel()),
        "mse: divided by the batch": ("scale", lambda g, x, t, y: g * 2 * (x - t) / len(x)),
        "mse: target minus input": ("sign", lambda g, x, t, y: g * 2 * (t - x) / x.numel()),
        "mse: target forgotten": ("missing-terms", lambda g, x, t, y: g * 2 * x / x.numel()),
        "mse: absolute difference": ("wrong-region", lambda g, x, t, y: g * 2 * (x - t).abs() / x.numel()),
        "mse: summed": ("wrong-shape", lambda g, x, t, y: (g * 2 * (x - t) / x.numel()).sum(1)),
    }),
    *wrong(MSE, pair, {
        "mse: target has no gradient": ("missing-gradient", lambda g, x, t, y: g * 2 * (x - t) / x.numel()),
        "mse: the same for both": ("sign", lambda g, x, t, y: (g * 2 * (x - t) / x.numel(),) * 2),
    }),
    *wrong(BCE, binary, {
        "bce: logits as probabilities": ("input-for-output", lambda g, x, t, y: g * (x - t) / x.numel()),
        "bce: sigmoid's derivative once more": (
            "missing-terms",
            lambda g, x, t, y: g * (x.sigmoid() - t) * x.sigmoid() * (1 - x.sigmoid()) / x.numel(),
        ),
        "bce: positive examples only": ("wrong-region", lambda g, x, t, y: g * t * (x.sigmoid() - 1) / 15),
        "bce: target forgotten": ("wrong-region", lambda g, x, t, y: g * x.sigmoid() / x.numel()),
    }),
    *wrong(ProbsCE, distributions, {
        "probabilities: minus lost": ("sign", lambda g, p, t, y: g * t / p / len(p)),
        "probabilities: not divided": ("missing-terms", lambda g, p, t, y: -g * t / len(p)),
        "probabilities: as if logits": ("unknown", lambda g, p, t, y: g * (p - t) / len(p)),
        "probabilities: not averaged": ("scale", lambda g, p, t, y: -g * t / p),
    }),
    *wrong(ProbsCE, lambda: (uniform(5, 3, seed=14), uniform(5, 3, seed=15)), {
        "probabilities: exchanged": ("swapped-inputs", lambda g, p, t, y: (-g * p.log() / 5, -g * t / p / 5)),
    }),
]  # fmt: skip
