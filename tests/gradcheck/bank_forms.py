"""Right Functions of unusual form: other signatures, several results, sparse and boolean tensors."""

import torch
import torch.nn.functional as TF
from torch.autograd import Function

from tests.gradcheck.bank import Entry, checked, normal, table

(TABLE,) = table()


@checked(None, TABLE)
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


@checked(None, TABLE)
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


@checked(None, TABLE)
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


@checked(None, TABLE)
class InPlaceScale(Function):
    """Works in place on its argument and says so."""

    @staticmethod
    def forward(ctx, input):
        ctx.mark_dirty(input)
        return input.mul_(3)

    @staticmethod
    def backward(ctx, g):
        return g * 3


@checked(None, TABLE, 2.5, True)
class Unmaterialised(Function):
    """Asks for None where an output is unused."""

    @staticmethod
    def forward(ctx, input, scale, flag):
        ctx.set_materialize_grads(False)
        ctx.scale = scale
        return input * scale, input + 1

    @staticmethod
    def backward(ctx, first, second):
        total = 0 if first is None else first * ctx.scale
        return (total if second is None else total + second), None, None


# --- 4. sparse, boolean, float8


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


RIGHT = [entry for entry in vars().values() if isinstance(entry, Entry)]
