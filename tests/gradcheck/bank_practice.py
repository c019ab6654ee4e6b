"""What goes wrong, and what only looks wrong, in the Functions of real repositories: WRONG and RIGHT.

Backwards that work once, inputs that are frozen, results that are not used, staircases, complex and sparse
tensors, modules that recompute, solvers, domains, ties, memory that nobody wrote, and native dtypes.
"""

import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from tests.gradcheck.bank import Entry, Sigmoid, function, normal, one_hot, pair, right, table, uniform, wrong

WRONG: list[Entry] = []
RIGHT: list[Entry] = []


def checked(kind: str | None, *inputs: Any, reference: Any = None, **options: Any) -> Any:
    """Enter a Function with the kind that it should have; None if it is right."""

    def enter(fn: Any) -> Any:
        bank = RIGHT if kind is None else WRONG
        bank.append(Entry(fn.__name__, fn, lambda: inputs, kind, reference, options))
        return fn

    return enter


(TABLE,) = table()

# --- 1. a backward that works once


class Kept(Function):
    @staticmethod
    def forward(ctx, input):
        s = torch.sigmoid(input)
        ctx.kept = (input, [s, 1 - s])
        return s


@checked("mutates", TABLE)
class KeptAndMultiplied(Kept):
    @staticmethod
    def backward(ctx, g):
        _, (s, other) = ctx.kept
        return g * s.mul_(other)


@checked(None, TABLE, allow={"second-order"})
class KeptInATuple(Kept):
    @staticmethod
    def backward(ctx, g):
        _, (s, other) = ctx.kept
        return g * s * other


@checked("mutates", TABLE)
class InnerBackwardAddsUp(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.leaf = input.detach().requires_grad_()
        with torch.enable_grad():
            ctx.inner = ctx.leaf.sin()
        return ctx.inner.detach()

    @staticmethod
    def backward(ctx, g):
        ctx.inner.backward(g, retain_graph=True)
        return ctx.leaf.grad


@checked("raises", TABLE)
class FreesItsBuffer(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.slope = input.cos()
        return input.sin()

    @staticmethod
    def backward(ctx, g):
        slope = ctx.slope
        del ctx.slope
        return g * slope


@checked("mutates", TABLE)
class CountsItsCalls(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.calls = 0
        ctx.save_for_backward(input)
        return input.sin()

    @staticmethod
    def backward(ctx, g):
        ctx.calls += 1
        return g * ctx.saved_tensors[0].cos() / ctx.calls


@checked("mutates", TABLE)
class ChangesItsInput(Function):
    @staticmethod
    def forward(ctx, input):
        input *= 2
        return input.clone()

    @staticmethod
    def backward(ctx, g):
        return 2 * g


@checked("second-order", TABLE)
class SavesAnIntermediate(Function):
    """Which autograd cannot differentiate again (pytorch#104040)."""

    @staticmethod
    def forward(ctx, input):
        y = torch.sigmoid(input)
        ctx.save_for_backward(y * (1 - y))
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def inner_gradient(g, x, y):
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad(leaf.sin(), leaf, g)
    return grad


Sin, Exp = function("Sin", lambda x: x.sin()), function("Exp", lambda x: x.exp())
RIGHT += right(Sin, table, {"inner gradient": inner_gradient}, second_order=False)

# --- 2. some inputs, some results

LAYER = normal(5, 3, seed=1), normal(2, 3, seed=2)


class Affine(Function):
    @staticmethod
    def forward(ctx, input, weight):
        ctx.save_for_backward(input, weight)
        return input @ weight.t()


@checked("raises", *LAYER)
class NeedsTheInputsGradient(Affine):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            grad_input, flat = g @ w, g.t()
        return (grad_input if ctx.needs_input_grad[0] else None), flat @ x


@checked("missing-gradient", *LAYER)
class WeightOnlyWithTheInput(Affine):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w, g.t() @ x if all(ctx.needs_input_grad) else None


@checked(None, *LAYER)
class SkipsWhatNobodyNeeds(Affine):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        needs_input, needs_weight = ctx.needs_input_grad
        return g @ w if needs_input else None, g.t() @ x if needs_weight else None


class SinCos(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input)
        return input.sin(), input.cos()


@checked("raises", TABLE)
class NoneIsAdded(SinCos):
    @staticmethod
    def backward(ctx, gs, gc):
        (x,) = ctx.saved_tensors
        return gs * x.cos() - gc * x.sin()


@checked("unknown", TABLE)
class UnusedResultChangesTheRest(SinCos):
    @staticmethod
    def backward(ctx, gs, gc):
        (x,) = ctx.saved_tensors
        if gc is None:
            return gs * x.cos() / 2
        return (0 if gs is None else gs * x.cos()) - gc * x.sin()


@checked(None, TABLE)
class NoneIsHandled(SinCos):
    @staticmethod
    def backward(ctx, gs, gc):
        (x,) = ctx.saved_tensors
        return (0 if gs is None else gs * x.cos()) - (0 if gc is None else gc * x.sin())


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

# --- 4. complex, sparse, boolean, float8


def complex_normal(*shape: int, seed: int) -> Tensor:
    return torch.complex(normal(*shape, seed=seed, grad=False), normal(*shape, seed=seed + 50, grad=False))


def complex_pair() -> tuple[Any, ...]:
    return complex_normal(3, 2, seed=1), complex_normal(3, 2, seed=2)


Product = function("Product", lambda left, right: left * right)
WRONG += wrong(Product, complex_pair, {
    "not conjugated": ("sign", lambda g, a, b, y: ((g.conj() * b).resolve_conj(), g * a.conj())),
})  # fmt: skip
RIGHT += [
    *right(Product, complex_pair, {"conjugated": lambda g, a, b, y: (g * b.conj(), g * a.conj())}),
    Entry("complex absolute value", torch.abs, lambda: (complex_normal(3, 2, seed=3),)),
    Entry("fourier transform", torch.fft.rfft, lambda: (normal(3, 5, seed=3),)),
]


@checked(None, TABLE)
class BooleanKept(Function):
    @staticmethod
    def forward(ctx, input):
        positive = input > 0
        ctx.save_for_backward(positive, positive.to(torch.uint8), input.to(torch.float8_e4m3fn))
        ctx.number = torch.tensor(3)
        return torch.where(positive, input, 0)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


@checked(None, TABLE, normal(3, 2, seed=2).detach().relu().to_sparse())
class SparseWeight(Function):
    @staticmethod
    def forward(ctx, input, weight):
        ctx.save_for_backward(weight)
        return (weight.t() @ input.t()).t()

    @staticmethod
    def backward(ctx, g):
        return (ctx.saved_tensors[0] @ g.t()).t(), None


@checked(None, torch.tensor([2, 0, 2, 1]), TABLE, second_order=False)
class SparseGradient(Function):
    @staticmethod
    def forward(ctx, index, table):
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table[index]

    @staticmethod
    def backward(ctx, g):
        return None, torch.sparse_coo_tensor(ctx.saved_tensors[0][None], g, ctx.shape, check_invariants=False)


# --- 5. modules that recompute in backward


class Block(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3, 3, seed=7))
        self.unused = nn.Parameter(normal(2, seed=8))
        self.reentrant = reentrant

    def forward(self, input: Tensor) -> Tensor:
        if self.reentrant:
            return checkpoint(lambda x, w: torch.tanh(x @ w), input, self.weight, use_reentrant=True)
        return checkpoint(lambda x: torch.tanh(x @ self.weight), input, use_reentrant=False)


class Adjoint(Function):
    """Solves dx/dt = A x by Euler steps, and in backward the adjoint equation, reading A from the module."""

    @staticmethod
    def forward(ctx, module, input, weight):
        ctx.module = module
        states = [input]
        for _ in range(4):
            states.append(states[-1] + 0.1 * states[-1] @ module.weight)
        ctx.save_for_backward(*states[:-1])
        return states[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        grad_weight = 0
        for state in reversed(ctx.saved_tensors):
            grad_weight = grad_weight + 0.1 * state.t() @ g
            g = g + 0.1 * g @ ctx.module.weight.t()
        return None, g, grad_weight


class Solver(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3, 3, seed=7))

    def forward(self, input: Tensor) -> Tensor:
        return Adjoint.apply(self, input, self.weight)


RIGHT += [
    Entry("checkpoint", Block(False), table),
    Entry("reentrant checkpoint", Block(True), table, options={"second_order": False}),
    Entry("adjoint", Solver(), table),
]

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
    Entry("a gradient of rounding alone", attention_key_bias, lambda: (normal(3, seed=1), TABLE)),
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

# --- whatever a subject does, the checker ends and does not raise


@checked(None, TABLE)
class FirstOrderAndSaysSo(Sigmoid):
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        _, y = ctx.saved_tensors
        return g * y * (1 - y)


@checked("raises", TABLE, time_limit=0.1)
class NeverEnds(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        while True:
            pass


@checked("raises", TABLE)
class Exits(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        raise SystemExit(3)


@checked(None, TABLE, time_limit=1.0)
class Slow(Sigmoid):
    """Right as far as it could be looked at."""

    @staticmethod
    def backward(ctx, g):
        time.sleep(0.1)
        _, y = ctx.saved_tensors
        return g * y * (1 - y)
