"""How Functions of real repositories behave: WRONG and RIGHT.

Backwards that work once, inputs that are frozen, results that are not used, modules that recompute in
backward, and code that exits or never ends.
"""

import time

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from tests.gradcheck.bank import Entry, Sigmoid, Sin, checked, normal, right, table

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


# --- 5. modules that recompute in backward


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3, 3, seed=7))
        self.unused = nn.Parameter(normal(2, seed=8))

    def forward(self, input: Tensor) -> Tensor:
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


@checked(None, TABLE, time_limit=1.0)
class Slow(Sigmoid):
    """Right as far as it could be looked at."""

    @staticmethod
    def backward(ctx, g):
        time.sleep(0.1)
        _, y = ctx.saved_tensors
        return g * y * (1 - y)


@checked("raises", TABLE)
class Exits(Sigmoid):
    @staticmethod
    def backward(ctx, g):
        raise SystemExit(3)


CLASSES = [entry for entry in vars().values() if isinstance(entry, Entry)]
WRONG = [entry for entry in CLASSES if entry.kind]
RIGHT = [
    *(entry for entry in CLASSES if not entry.kind),
    *right(Sin, table, {"inner gradient": inner_gradient}, second_order=False),
    Entry("checkpoint", Block(), table),
    Entry("adjoint", Solver(), table),
]
