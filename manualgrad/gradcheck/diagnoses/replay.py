"""Mistakes that are found by repair: run the backward again with one operand or dimension exchanged.

A mode of PyTorch sees every operation that backward makes. Where an operand has the numbers of, say, the
output, another tensor is put in its place: the input, or the same transposed. If the gradient then is right
at every point, that was the mistake. Each function returns what the gradient does, or None.
"""
# ruff: noqa: B023  every lambda is called in the round of the loop that makes it

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from manualgrad.gradcheck.diagnoses.case import Case, Measurement
from manualgrad.gradcheck.tolerance import same

MOST_USES = 4  # of one tensor, of which some may be right and some wrong
MOST_DIMENSIONS = 4
REDUCTIONS = {"sum", "mean", "cumsum", "softmax", "log_softmax", "logsumexp", "amax", "prod", "std", "var"}

# What a network's output may stand for: a formula written for one of these, given the plain input.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "standardised": lambda x: (x - x.mean(-1, True)) / x.std(-1, correction=0, keepdim=True),
}


class _SubstituteOperand(TorchFunctionMode):
    """Puts ``new`` where an operand has the numbers of ``old``, in the chosen uses (all, if None)."""

    def __init__(self, old: Tensor, new: Tensor, uses: tuple[int, ...] | None) -> None:
        super().__init__()
        self.old, self.new, self.uses, self.count = old, new, uses, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = tuple(self._substitute(a) for a in args)
        return func(*args, **{key: self._substitute(a) for key, a in (kwargs or {}).items()})

    def _substitute(self, operand: Any) -> Any:
        if not isinstance(operand, Tensor) or operand.shape != self.old.shape:
            return operand
        if not operand.is_floating_point() or not torch.allclose(operand.cpu().double(), self.old, rtol=1e-9):
            return operand
        self.count += 1
        return self.new.to(operand) if self.uses is None or self.count - 1 in self.uses else operand


class _OtherDimension(TorchFunctionMode):
    """Reduces over another dimension than backward asks for."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.changed = dim, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in REDUCTIONS:
            if "dim" in kwargs:
                kwargs["dim"] = self._other(args[0], kwargs["dim"])
            elif len(args) > 1:
                args = (args[0], self._other(args[0], args[1]), *args[2:])
        return func(*args, **kwargs)

    def _other(self, operand: Tensor, dim: Any) -> Any:
        was = dim[0] if isinstance(dim, tuple | list) and len(dim) == 1 else dim
        if not isinstance(was, int) or self.dim >= operand.dim() or was % operand.dim() == self.dim:
            return dim
        self.changed = True
        return self.dim


def other_dimension(case: Case) -> str | None:
    """The gradient is right once each reduction goes over another dimension."""
    dims = max((u.dim() for u in case.first.upstream), default=0)
    for dim in range(dims) if 2 <= dims <= MOST_DIMENSIONS else ():
        mode = _OtherDimension(dim)
        if case.fixed_by(lambda m: case.yours_within(m, lambda saved: mode)) and mode.changed:
            return f"is right if it sums over dimension {dim} instead"
    return None


def input_for_output(case: Case) -> str | None:
    """The gradient is right once an input is read where backward reads an output, or the reverse."""
    known = [_named(m) for m in case.measured]
    # What was computed of an output comes first: exp(output) for output is told as that.
    for old in sorted(_read(case, known[0]), key=lambda name: "(the output" not in name):
        for new, other in known[0].items():
            is_other = other.shape == known[0][old].shape and not torch.equal(other, known[0][old])
            # A standardised tensor for the upstream would only take its mean away.
            is_other &= old != "grad_output" or new.partition("(")[0] not in ACTIVATIONS
            if is_other and _fixed(case, [names[old] for names in known], [names[new] for names in known]):
                return f"uses {old} where its formula needs {new}"
    return None


def rearranged_operand(case: Case) -> str | None:
    """The gradient is right once a tensor is transposed or flipped where backward uses it."""
    known = [_named(m) for m in case.measured]
    for name in _read(case, known[0]):
        shape, tensors = known[0][name].shape, [names[name] for names in known]
        ways: list[tuple[str, Callable[[Tensor], Tensor]]] = []
        if len(shape) > 1 and shape[-2] == shape[-1] > 1:
            ways.append(("transposed", lambda t: t.mT))
        if shape != case.shape:  # a kernel
            ways.append(("flipped along its last dimension", lambda t: t.flip(-1)))
            ways.append(("flipped along its last two dimensions", lambda t: t.flip((-2, -1)[-t.dim() :])))
        for how, change in ways:
            if _fixed(case, tensors, [change(t) for t in tensors]):
                return f"is right if {name} is {how} where backward uses it"
    return None


def _read(case: Case, known: dict[str, Tensor]) -> list[str]:
    """Return the names of what backward reads; of two with the same numbers the first."""
    found: dict[str, Tensor] = {}
    for name, tensor in known.items():
        mode = _SubstituteOperand(tensor, tensor, ())
        case.yours_within(case.first, lambda saved: mode)
        is_new = not any(t.shape == tensor.shape and torch.allclose(t, tensor) for t in found.values())
        if mode.count and is_new:
            found[name] = tensor
    return list(found)


def _fixed(case: Case, olds: list[Tensor], news: list[Tensor]) -> bool:
    """Return whether the exchange makes the gradient right everywhere: in all uses, or else in some."""
    modes: list[_SubstituteOperand] = []

    def is_right(uses: tuple[int, ...] | None) -> bool:
        modes[:] = [_SubstituteOperand(old, new, uses) for old, new in zip(olds, news, strict=True)]
        pairs = zip(case.measured, modes, strict=True)
        return all(same(case.yours_within(m, lambda saved: mode), m.right) for m, mode in pairs)

    if is_right(None):
        return True
    count = modes[0].count
    if not 2 <= count <= MOST_USES:
        return False
    some = itertools.chain.from_iterable(itertools.combinations(range(count), k) for k in range(1, count))
    return any(map(is_right, some))


def _named(m: Measurement) -> dict[str, Tensor]:
    """Return what a formula may read: results, arguments, what often is computed of them, the upstream."""
    inputs = {name: x for name, x in m.inputs.items() if x.is_floating_point() and x.dim()}
    outputs = {name: y for name, y in m.outputs.items() if y.dim()}
    known = outputs | {f"the input ({name})": x for name, x in inputs.items()}
    first = dict(itertools.islice(inputs.items(), 1))
    for (name, x), (title, activation) in itertools.product((outputs | first).items(), ACTIVATIONS.items()):
        known[f"{title}({name})"] = activation(x)
    u = m.upstream[0]
    if not u.is_complex():
        known["grad_output"] = u
        for name, x in inputs.items():
            if x.shape != u.shape and x.shape == u.shape[u.dim() - x.dim() :]:
                known[f"grad_output × {name}"] = u * x
    return known
