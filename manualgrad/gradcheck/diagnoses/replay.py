"""Mistakes that are found by repair: run the backward again with one operand or dimension exchanged.

A mode of PyTorch sees every operation that backward makes. Where what forward saved is an operand, another
tensor is put in its place: the output for the input, or its own transpose. If the gradient then is right
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

MOST_USES = 6  # of one saved tensor, of which some may be right and some wrong
MOST_DIMENSIONS = 4
REDUCTIONS = {"sum", "mean", "cumsum", "softmax", "log_softmax", "logsumexp", "amax", "prod", "std", "var"}

# What a network's output may stand for: a formula written for one of these, given the plain input.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
}


class _SubstituteOperand(TorchFunctionMode):
    """Puts ``new`` in place of ``old`` among the operands, in the chosen uses (all, if None)."""

    def __init__(self, old: Tensor, new: Tensor, uses: tuple[int, ...] | None) -> None:
        super().__init__()
        self.old, self.new, self.uses, self.count = old, new, uses, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = tuple(self._substitute(a) for a in args)
        return func(*args, **{key: self._substitute(a) for key, a in (kwargs or {}).items()})

    def _substitute(self, operand: Any) -> Any:
        if not isinstance(operand, Tensor) or operand.shape != self.old.shape:
            return operand
        # ctx.saved_tensors makes a new object at each access; what it shares is the memory.
        if operand.data_ptr() != self.old.data_ptr() or operand.stride() != self.old.stride():
            return operand
        self.count += 1
        return self.new if self.uses is None or self.count - 1 in self.uses else operand


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
    for source, saved in enumerate(case.first.point.run.saved):
        known = _named(case.first)
        old = _name_of(known, saved)
        for new, tensor in known.items() if old else ():
            other = tensor.shape == saved.shape and not torch.equal(tensor, saved)
            if other and _fixed(case, source, lambda m: _named(m)[new]):
                return f"uses {old} where its formula needs {new}"
    return None


def rearranged_operand(case: Case) -> str | None:
    """The gradient is right once a saved tensor is transposed or flipped where backward uses it."""
    for source, saved in enumerate(case.first.point.run.saved):
        ways: list[tuple[str, Callable[[Tensor], Tensor]]] = []
        if saved.dim() > 1 and saved.shape[-2] == saved.shape[-1] > 1:
            ways.append(("transposed", lambda t: t.mT))
        if saved.dim() > 2:
            ways.append(("flipped along its last dimension", lambda t: t.flip(-1)))
            ways.append(("flipped along its last two dimensions", lambda t: t.flip(-2, -1)))
        for how, change in ways if saved.is_floating_point() else ():
            if _fixed(case, source, lambda m: change(m.point.run.saved[source])):
                name = _name_of(_named(case.first), saved) or "a saved tensor"
                return f"is right if {name} is {how} where backward uses it"
    return None


def _fixed(case: Case, source: int, replacement: Callable[[Measurement], Tensor]) -> bool:
    """Return whether the exchange makes the gradient right everywhere: in all uses, or else in some."""
    modes: list[_SubstituteOperand] = []

    def exchanged(m: Measurement, uses: tuple[int, ...] | None) -> Tensor | None:
        new = replacement(m)

        def around(saved: list[Tensor]) -> _SubstituteOperand:
            old = saved[source] if source < len(saved) else torch.empty(0)
            modes.append(_SubstituteOperand(old, new.to(old), uses))
            return modes[-1]

        return case.yours_within(m, around)

    if case.fixed_by(lambda m: exchanged(m, None)):
        return True
    count = modes[-1].count if modes else 0
    if not 2 <= count <= MOST_USES:
        return False
    some = itertools.chain.from_iterable(itertools.combinations(range(count), k) for k in range(1, count))
    return any(case.fixed_by(lambda m: exchanged(m, uses)) for uses in some)


def _name_of(known: dict[str, Tensor], saved: Tensor) -> str | None:
    """Say what a saved tensor is, as far as it can be recognised."""
    if not saved.is_floating_point():
        return None
    saved = saved.cpu().double()
    found = (
        name for name, t in known.items() if t.shape == saved.shape and torch.allclose(t, saved, rtol=1e-9)
    )
    return next(found, None)


def _named(m: Measurement) -> dict[str, Tensor]:
    """Return the results, the arguments, and what often is computed of an argument."""
    floats = {name: x for name, x in m.inputs.items() if x.is_floating_point()}
    return (
        {name: y for name, y in m.outputs.items() if y.is_floating_point()}
        | {f"the input ({name})": x for name, x in floats.items()}
        | {
            f"{title}({name})": activation(x)
            for name, x in floats.items()
            for title, activation in ACTIVATIONS.items()
            if x.dim()
        }
    )
