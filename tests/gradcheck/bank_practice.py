"""What goes wrong, and what only looks wrong, in the Functions of real repositories: WRONG and RIGHT.

Backwards that work once, inputs that are frozen, results that are not used, staircases, complex and sparse
tensors, modules that recompute, slopes that nobody knows, solvers, domains, ties, memory that nobody wrote,
native dtypes, and slips of the formula that have a name.
"""

import time
from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from tests.gradcheck.bank import Entry, Exp, Saving, Sigmoid, Softmax, Tanh, labels, normal, one_hot, uniform

WRONG: list[Entry] = []
RIGHT: list[Entry] = []


def wrong(kind: str, *inputs: Any, reference: Any = None, **options: Any) -> Any:
    """Enter a wrong Function class or callable with the kind it should have."""
    return _entering(WRONG, kind, inputs, reference, options)


def right(*inputs: Any, reference: Any = None, **options: Any) -> Any:
    """Enter a right one."""
    return _entering(RIGHT, None, inputs, reference, options)


def _entering(bank: list[Entry], kind: str | None, inputs: Any, reference: Any, options: Any) -> Any:
    def enter(fn: Any) -> Any:
        bank.append(Entry(fn.__name__, fn, lambda: inputs, kind, reference, options))
        return fn

    return enter


TABLE, PAIR, LABELS = normal(4, 3, seed=1), (normal(4, 3, seed=4), normal(4, 3, seed=5)), labels(6, 4)
SCORES = normal(6, 4, seed=13)


def backward_of(base: type[Function], name: str, backward: Any) -> type[Function]:
    return type(name, (base,), {"backward": staticmethod(backward), "__module__": __name__})


# --- 1. a backward that works once


class Kept(Function):
    @staticmethod
    def forward(ctx, input):
        s = torch.sigmoid(input)
        ctx.kept = (input, [s, 1 - s])
        return s


@wrong("mutates", TABLE)
class KeptInATupleAndMultiplied(Kept):
    @staticmethod
    def backward(ctx, g):
        _, (s, other) = ctx.kept
        return g * s.mul_(other)


@wrong("mutates", TABLE)
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


@wrong("raises", TABLE)
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


@wrong("mutates", TABLE)
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


@right(TABLE, allow={"second-order"})
class KeptInATuple(Kept):
    @staticmethod
    def backward(ctx, g):
        _, (s, other) = ctx.kept
        return g * s * other


@right(TABLE, second_order=False)
class InnerGrad(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (grad,) = torch.autograd.grad(leaf.sin(), leaf, g)
        return grad


# --- 2. some inputs, some results


class Affine(Function):
    @staticmethod
    def forward(ctx, input, weight):
        ctx.save_for_backward(input, weight)
        return input @ weight.t()


@wrong("raises", normal(5, 3, seed=1), normal(2, 3, seed=2))
class NeedsTheInputsGradient(Affine):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            grad_input, flat = g @ w, g.t()
        return (grad_input if ctx.needs_input_grad[0] else None), flat @ x


@wrong("missing-gradient", normal(5, 3, seed=1), normal(2, 3, seed=2))
class WeightOnlyWithTheInput(Affine):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        both = all(ctx.needs_input_grad)
        return g @ w, g.t() @ x if both else None


@wrong("raises", TABLE)
class NoneIsAdded(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input)
        return input.sin(), input.cos()

    @staticmethod
    def backward(ctx, gs, gc):
        (x,) = ctx.saved_tensors
        return gs * x.cos() - gc * x.sin()


@wrong("unknown", TABLE)
class UnusedResultChangesTheRest(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input)
        return input.sin(), input.cos()

    @staticmethod
    def backward(ctx, gs, gc):
        (x,) = ctx.saved_tensors
        if gc is None:
            return gs * x.cos() / 2
        return (0 if gs is None else gs * x.cos()) - gc * x.sin()


@right(normal(5, 3, seed=1), normal(2, 3, seed=2))
class SkipsWhatNobodyNeeds(Affine):
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return (
            g @ w if ctx.needs_input_grad[0] else None,
            g.t() @ x if ctx.needs_input_grad[1] else None,
        )


@right(TABLE)
class NoneIsHandled(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(input)
        return input.sin(), input.cos()

    @staticmethod
    def backward(ctx, gs, gc):
        (x,) = ctx.saved_tensors
        return (0 if gs is None else gs * x.cos()) - (0 if gc is None else gc * x.sin())


# --- 3. staircases


class Quantise(Function):
    @staticmethod
    def forward(ctx, input):
        return torch.round(input * 255) / 255

    @staticmethod
    def backward(ctx, g):
        return g.clone()


def a_fifth_more(ctx, g):
    return 1.2 * g


wrong("unknown", uniform(4, 3))(backward_of(Quantise, "quantised_a_fifth_more", a_fifth_more))
wrong("unknown", uniform(4, 3))(
    backward_of(Quantise, "quantised_without_a_surrogate", lambda ctx, g: g.clone())
)
wrong("scale", uniform(4, 3), surrogate=lambda x: x)(
    backward_of(Quantise, "quantised_beside_its_surrogate", a_fifth_more)
)
wrong("unknown", normal(4, 3))(
    type("rounded", (Quantise,), {"forward": staticmethod(lambda ctx, x: x.round()), "__module__": __name__})
)
right(uniform(4, 3), surrogate=lambda x: x)(
    backward_of(Quantise, "straight_through", lambda ctx, g: g.clone())
)


@right(normal(4, 3), surrogate=lambda x: torch.atan(2 * x) / 2)
class Spike(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return (input > 0).to(input.dtype)

    @staticmethod
    def backward(ctx, g):
        return g / (1 + (2 * ctx.saved_tensors[0]) ** 2)


# --- 4. complex, sparse, boolean, float8


class ComplexMul(Function):
    @staticmethod
    def forward(ctx, left, right):
        ctx.save_for_backward(left, right)
        return left * right


def complex_normal(*shape: int, seed: int) -> Tensor:
    return torch.complex(normal(*shape, seed=seed, grad=False), normal(*shape, seed=seed + 50, grad=False))


COMPLEX = complex_normal(3, 2, seed=1), complex_normal(3, 2, seed=2)


@wrong("sign", *COMPLEX)
class NotConjugated(ComplexMul):
    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return (g.conj() * b).resolve_conj(), g * a.conj()


@right(*COMPLEX)
class Conjugated(ComplexMul):
    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b.conj(), g * a.conj()


right(complex_normal(3, 2, seed=3))(type("absolute", (), {"__call__": lambda self, x: x.abs()}))
RIGHT[-1] = Entry("complex_absolute_value", torch.abs, lambda: (complex_normal(3, 2, seed=3),))
RIGHT.append(Entry("fourier_transform", torch.fft.rfft, lambda: (normal(3, 5, seed=3),)))


@right(TABLE)
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


@right(TABLE, normal(3, 2, seed=2).detach().relu().to_sparse())
class SparseWeight(Function):
    @staticmethod
    def forward(ctx, input, weight):
        ctx.save_for_backward(weight)
        return (weight.t() @ input.t()).t()

    @staticmethod
    def backward(ctx, g):
        return (ctx.saved_tensors[0] @ g.t()).t(), None


@right(torch.tensor([2, 0, 2, 1]), TABLE, second_order=False)
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

    def hidden(self, input: Tensor) -> Tensor:
        return torch.tanh(input @ self.weight)

    def forward(self, input: Tensor) -> Tensor:
        if self.reentrant:
            return checkpoint(lambda x, w: torch.tanh(x @ w), input, self.weight, use_reentrant=True)
        return checkpoint(self.hidden, input, use_reentrant=False)


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
    Entry("checkpoint", Block(False), lambda: (TABLE,)),
    Entry("reentrant_checkpoint", Block(True), lambda: (TABLE,), options={"second_order": False}),
    Entry("adjoint", Solver(), lambda: (TABLE,)),
]


# --- 6. slopes that nobody knows, and no dependence at all


@wrong("unknown", TABLE)
class OfAConstant(Function):
    @staticmethod
    def forward(ctx, input):
        return torch.ones_like(input)

    @staticmethod
    def backward(ctx, g):
        return g.clone()


# --- 7. float32 inside, noise, gradients that are nothing but rounding


@wrong("scale", TABLE)
class Float32InsideAndTwice(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.float().tanh().to(input.dtype)

    @staticmethod
    def backward(ctx, g):
        return 2 * g * (1 - ctx.saved_tensors[0].tanh() ** 2)


def square_root_by_newton(x: Tensor, steps: int = 40, enough: float = 1e-7) -> Tensor:
    root = x.clone()
    for _ in range(steps):
        new = (root + x / root) / 2
        done = float((new - root).abs().max()) < enough
        root = new
        if done:
            break
    return root


@right(uniform(4, 3), magnitudes=False)
class RootBySolver(Function):
    @staticmethod
    def forward(ctx, input):
        root = square_root_by_newton(input)
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx, g):
        return g / (2 * ctx.saved_tensors[0])


def partly_float32(x: Tensor) -> Tensor:
    return x.sin() + (x.float() * 0.1).cos().to(x.dtype)


def attention_key_bias(bias: Tensor, input: Tensor) -> Tensor:
    """A bias that softmax takes away again: its gradient is nothing but rounding."""
    return torch.softmax(input @ input.t() + (bias.sum() + 0 * input[:, :1]), -1) @ input


RIGHT += [
    Entry("float32_in_one_term", partly_float32, lambda: (TABLE,), options={"second_order": False}),
    Entry("a_gradient_of_rounding_alone", attention_key_bias, lambda: (normal(3, seed=1), TABLE)),
    Entry(
        "a_tolerance_of_its_own",
        lambda x: torch.erf(x).float().double(),
        lambda: (TABLE,),
        options={"rtol": 1e-2},
    ),
]


# --- 8. probes that leave a domain


@right(uniform(4, 3))
class LogFromATenthOn(Function):
    """Right where it is meant to be used: inputs below a tenth are clamped, and nobody has such."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.clamp(min=0.1).log()

    @staticmethod
    def backward(ctx, g):
        return g / ctx.saved_tensors[0]


# --- 9. ties, memory, native dtypes


@wrong("non-finite", *PAIR, reference=lambda p, q: (p - q).abs())
class DistanceByItself(Function):
    @staticmethod
    def forward(ctx, left, right):
        ctx.save_for_backward(left, right)
        return (left - right).abs()

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        grad = g * (a - b) / (a - b).abs()
        return grad, -grad


@wrong("kink", normal(3, 6, seed=1), reference=lambda x: x.amax(1))
class EveryMaximumGetsAll(Function):
    @staticmethod
    def forward(ctx, input):
        top = input.amax(1)
        ctx.save_for_backward(input, top)
        return top

    @staticmethod
    def backward(ctx, g):
        x, top = ctx.saved_tensors
        return 2 * g.unsqueeze(1) * (x == top.unsqueeze(1)) - g.unsqueeze(1) * one_hot(x.argmax(1), x)


@right(normal(3, 6, seed=1), reference=lambda x: x.amax(1))
class FirstMaximum(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.amax(1)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g.unsqueeze(1) * one_hot(x.argmax(1), x)


@wrong("uninitialized", TABLE)
class RowsLeftOut(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input[1:].exp()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        grad = torch.empty_like(x)
        grad[1:] = g * x[1:].exp()
        return grad


@wrong("uninitialized", TABLE)
class AddedToEmptyMemory(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.exp()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        grad = g.new_empty(x.shape)
        return grad.add_(g * x.exp()) - grad


@right(TABLE)
class EmptyAndFilled(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return torch.empty_like(input).copy_(input.exp())

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        grad = torch.zeros_like(x)
        return grad + g * x.exp()


def native(dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(t.detach().to(dtype).requires_grad_() for t in tensors)


class Norm(Function):
    """RMS normalisation, in float32 inside as it should be."""

    @staticmethod
    def forward(ctx, input, weight):
        ctx.save_for_backward(input, weight)
        return rms_norm(input, weight)


def rms_norm(input, weight):
    x = input.float() if input.dtype != torch.float64 else input
    return (x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight).to(input.dtype)


def rms_norm_backward(ctx, g):
    input, weight = ctx.saved_tensors
    wide = torch.float64 if input.dtype == torch.float64 else torch.float32
    x, w, up = (t.to(wide) for t in (input, weight, g))
    r = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    gw = up * w
    grad = r * gw - x * r**3 * (gw * x).mean(-1, keepdim=True)
    return grad.to(input.dtype), (up * x * r).sum(0).to(weight.dtype)


def sum_in_bfloat16(ctx, g):
    x, w = ctx.saved_tensors
    grad_weight = torch.zeros_like(w)
    r = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    for row in g * x * r:  # rounds after each row
        grad_weight = grad_weight + row
    return rms_norm_backward(ctx, g)[0], grad_weight


TALL = normal(3000, 3, seed=1), normal(3, seed=2)
for dtype in (torch.float32, torch.bfloat16, torch.float16):
    right(*native(dtype, *TALL), reference=rms_norm)(
        backward_of(Norm, f"rms_norm_{dtype}".replace("torch.", ""), rms_norm_backward)
    )
wrong("imprecise", *native(torch.bfloat16, *TALL), reference=rms_norm)(
    backward_of(Norm, "rms_norm_summed_in_bfloat16", sum_in_bfloat16)
)


class OnlyBfloat16(Function):
    """A kernel that is compiled for one dtype."""

    @staticmethod
    def forward(ctx, input):
        if input.dtype != torch.bfloat16:
            raise TypeError("expected bfloat16")
        ctx.save_for_backward(input)
        return input.sigmoid()


def sigmoid_in_float32(ctx, g):
    y = ctx.saved_tensors[0].float().sigmoid()
    return (g.float() * y * (1 - y)).to(g.dtype)


HALF = native(torch.bfloat16, TABLE)
right(*HALF, reference=torch.sigmoid, second_order=False)(
    backward_of(OnlyBfloat16, "kernel_of_one_dtype", sigmoid_in_float32)
)
wrong("imprecise", *HALF, reference=torch.sigmoid)(
    backward_of(OnlyBfloat16, "kernel_off_by_a_tenth", lambda ctx, g: 1.1 * sigmoid_in_float32(ctx, g))
)
wrong("second-order", TABLE)(
    backward_of(
        Sigmoid, "silently_first_order", lambda ctx, g: g * (y := ctx.saved_tensors[1].detach()) * (1 - y)
    )
)


@right(TABLE)
class FirstOrderAndSaysSo(Sigmoid):
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        _, y = ctx.saved_tensors
        return g * y * (1 - y)


# --- 10. slips that have a name


class Permute(Function):
    @staticmethod
    def forward(ctx, input):
        return 2 * input.permute(1, 2, 0)


wrong("transposed", normal(3, 4, 5, seed=1))(
    backward_of(Permute, "permuted_again", lambda ctx, g: 2 * g.permute(1, 2, 0))
)
wrong("transposed", normal(3, 3, 3, seed=1))(
    backward_of(Permute, "permuted_again_in_a_cube", lambda ctx, g: 2 * g.permute(1, 2, 0))
)
ORDER = torch.tensor([2, 0, 3, 1])


class Reorder(Function):
    @staticmethod
    def forward(ctx, input):
        return input[ORDER]


wrong("transposed", TABLE)(backward_of(Reorder, "reordered_again", lambda ctx, g: g[ORDER]))
right(TABLE)(backward_of(Reorder, "ordered_back", lambda ctx, g: g[ORDER.argsort()]))


def on_saved(formula: Any) -> Any:
    def backward(ctx: Any, g: Tensor) -> Any:
        return formula(g, *ctx.saved_tensors)

    return backward


def softmax_over(dim: int) -> Any:
    return on_saved(lambda g, x, y: y * (g - (g * y).sum(dim, keepdim=True)))


class Cosine(Saving):
    compute = staticmethod(torch.cos)

    @staticmethod
    def forward(ctx, input):
        return Cosine.run(ctx, input)


class Residual(Saving):
    compute = staticmethod(lambda x: x + x.tanh())

    @staticmethod
    def forward(ctx, input):
        return Residual.run(ctx, input)


class Nll(Saving):
    compute = staticmethod(TF.cross_entropy)

    @staticmethod
    def forward(ctx, input, target):
        return Nll.run(ctx, input, target)


wrong("missing-terms", TABLE)(backward_of(Softmax, "softmax_over_dimension_0", softmax_over(0)))
wrong("input-for-output", TABLE)(
    backward_of(Cosine, "cosine_for_its_derivative", on_saved(lambda g, x, y: g * y))
)
wrong("missing-terms", TABLE)(backward_of(Exp, "exp_squared", on_saved(lambda g, x, y: g * y * y)))
wrong("missing-terms", TABLE)(
    backward_of(Residual, "residual_not_returned", on_saved(lambda g, x, y: g * (1 - x.tanh() ** 2)))
)
wrong("wrong-region", TABLE)(
    backward_of(Residual, "mask_of_the_upstream", on_saved(lambda g, x, y: g * (g > 0)))
)
wrong("input-for-output", SCORES, LABELS)(
    backward_of(
        Nll,
        "labels_for_one_hot",
        lambda ctx, g: (
            g * (ctx.saved_tensors[0].softmax(1) - ctx.saved_tensors[1][:, None]) / 6,
            None,
        ),
    )
)
wrong("scale", TABLE)(
    backward_of(Tanh, "tanh_off_by_little", on_saved(lambda g, x, y: 1.0004 * g * (1 - y * y)))
)


@wrong("mutates", SCORES, LABELS)
class MutatedUpstreamAlone(Nll):
    """Whatever else is wrong, the changed upstream is what is told."""

    @staticmethod
    def backward(ctx, g):
        x, t, _ = ctx.saved_tensors
        return g.mul_(3) * (x.softmax(1) - one_hot(t, x)), None


# --- whatever a subject does, the checker ends and does not raise


@wrong("raises", TABLE, time_limit=1.0)
class NeverEnds(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        while True:
            pass


@wrong("raises", TABLE)
class Exits(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        raise SystemExit(3)


@wrong("raises", TABLE)
class ReturnsANumber(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        return 1.0


@right(TABLE, time_limit=1.0)
class Slow(Sigmoid):
    """Right as far as it could be looked at."""

    @staticmethod
    def backward(ctx, g):
        time.sleep(0.1)
        _, y = ctx.saved_tensors
        return g * y * (1 - y)
