"""Mistakes that are found by repair: run the backward again with one operand or dimension exchanged.

A mode of PyTorch sees every operation that backward makes. Where an operand has the numbers of, say, the
output, another tensor is put in its place: the input, or the same transposed. If the gradient then is right
at every point, that was the mistake. Each function returns what completes "The gradient of x ...", or None.
"""

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.tolerance import same

MOST_USES = 4  # of one tensor, of which some may be right and some wrong
MOST_DIMENSIONS = 4
COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}
SUMS = {"sum", "mean", "cumsum"}
REDUCTIONS = SUMS | {"softmax", "log_softmax", "logsumexp", "amax", "prod", "std", "var"}

# What a network's output may stand for: a formula written for one of these, given the plain input.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "standardised": lambda x: (x - x.mean(-1, True)) / x.std(-1, correction=0, keepdim=True),
}


@dataclass(frozen=True)
class Candidate:
    """One tensor that a formula may read."""

    name: str
    tensors: list[Tensor]  # at each point
    is_output: bool = False  # whether it is a result, or computed of one
    is_activation: bool = False  # whether it is one of :data:`ACTIVATIONS`


class _ChangeOperands(TorchFunctionMode):
    """Gives each operation what ``change`` makes of its tensors, also of those in a list."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__.strip("_") in COMPARISONS:  # many tensors would give the same mask
            return func(*args, **(kwargs or {}))
        changed = {key: self._changed(value) for key, value in (kwargs or {}).items()}
        return func(*map(self._changed, args), **changed)

    def _changed(self, operand: Any) -> Any:
        if type(operand) in (list, tuple):
            return type(operand)(map(self._changed, operand))
        return self.change(operand) if isinstance(operand, Tensor) else operand


class _OtherDimension(TorchFunctionMode):
    """Lets functions run over another dimension than backward asks for."""

    def __init__(self, functions: Collection[str], dim: int) -> None:
        super().__init__()
        self.functions, self.dim = functions, dim
        self.changed: dict[str, None] = {}  # what ran over which dimension, in order

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in self.functions:
            if "dim" in kwargs:
                kwargs["dim"] = self._other(name, args[0], kwargs["dim"])
            elif len(args) > 1:
                args = (args[0], self._other(name, args[0], args[1]), *args[2:])
        return func(*args, **kwargs)

    def _other(self, name: str, operand: Tensor, dim: Any) -> Any:
        was = dim[0] if isinstance(dim, tuple | list) and len(dim) == 1 else dim
        if not isinstance(was, int) or self.dim >= operand.dim() or was % operand.dim() == self.dim:
            return dim
        self.changed[f"{name} over dimension {was % operand.dim()}"] = None
        return self.dim


def other_dimension(case: Case, functions: Collection[str]) -> str | None:
    """Find the dimension that these functions must run over for the gradient to be right."""
    for dim in range(MOST_DIMENSIONS):
        mode = _OtherDimension(functions, dim)
        if case.fixed_by(partial(case.yours_within, around=mode)):
            return f"takes {' and '.join(mode.changed)}: right is dimension {dim}"
    return None


def input_for_output(case: Case) -> str | None:
    """Find a tensor that must be read in the place of another for the gradient to be right."""
    candidates = _candidates(case)
    # What was computed of an output comes first: exp(output) for output is told as that.
    read = sorted(_read(case, candidates), key=lambda use: not (use[0].is_output and use[0].is_activation))
    for (old, count), new in itertools.product(read, candidates):
        was, other = old.tensors[0], new.tensors[0]
        # A standardised tensor for the upstream would only take its mean away.
        is_pointless = old.name == "grad_output" and new.is_activation
        if other.shape != was.shape or torch.equal(other, was) or is_pointless:
            continue
        if _fixed(case, old, new.tensors, count):
            return f"uses {old.name} where its formula needs {new.name}"
    return None


def rearranged_operand(case: Case) -> str | None:
    """Find a tensor that must be transposed or flipped in backward for the gradient to be right."""
    for old, count in _read(case, _candidates(case)):
        shape = old.tensors[0].shape
        ways: list[tuple[str, Callable[[Tensor], Tensor]]] = []
        if len(shape) > 1 and shape[-2] == shape[-1] > 1:
            ways.append(("transposed", lambda t: t.mT))
        if shape != case.shape:  # a kernel
            ways.append(("flipped along its last dimension", lambda t: t.flip(-1)))
            ways.append(("flipped along its last two dimensions", lambda t: t.flip((-2, -1)[-t.dim() :])))
        for how, change in ways:
            if _fixed(case, old, [change(t) for t in old.tensors], count):
                return f"is right if {old.name} is {how} where backward uses it"
    return None


def _read(case: Case, candidates: list[Candidate]) -> list[tuple[Candidate, int]]:
    """Return what backward reads, and how often; of two with the same numbers the first."""
    counts = [0] * len(candidates)

    def count(operand: Tensor) -> Tensor:
        for k, candidate in enumerate(candidates):
            counts[k] += _has_numbers_of(operand, candidate.tensors[0])
        return operand

    case.yours_within(case.first, _ChangeOperands(count))
    found: list[tuple[Candidate, int]] = []
    for one, uses in zip(candidates, counts, strict=True):
        if uses and not any(_has_numbers_of(one.tensors[0], known.tensors[0]) for known, _ in found):
            found.append((one, uses))
    return found


def _fixed(case: Case, old: Candidate, new: list[Tensor], count: int) -> bool:
    """Return whether the exchange makes the gradient right everywhere: in all uses, or else in some."""
    every = range(count)
    some = [c for k in every[1:] for c in itertools.combinations(every, k)] if count <= MOST_USES else []
    return any(
        all(
            same(case.yours_within(m, _exchange(was, other, uses)), m.right)
            for m, was, other in zip(case.measured, old.tensors, new, strict=True)
        )
        for uses in (every, *some)
    )


def _exchange(old: Tensor, new: Tensor, uses: Collection[int]) -> _ChangeOperands:
    """Put ``new`` where an operand has the numbers of ``old``, in the chosen uses."""
    number = itertools.count()

    def change(operand: Tensor) -> Tensor:
        is_chosen = _has_numbers_of(operand, old) and next(number) in uses
        return new.to(operand, copy=True) if is_chosen else operand  # backward may work in place

    return _ChangeOperands(change)


def _has_numbers_of(operand: Tensor, known: Tensor) -> bool:
    if operand.shape != known.shape or not operand.is_floating_point():
        return False
    return torch.allclose(operand.cpu().double(), known, rtol=1e-9, atol=0)


def _candidates(case: Case) -> list[Candidate]:
    """Return what a formula may read: results, arguments, what often is computed of them, the upstream."""
    measured, first = case.measured, case.first
    outputs = [
        Candidate(name, [m.outputs[name] for m in measured], is_output=True)
        for name, y in first.outputs.items()
        if y.dim()
    ]
    floats = [
        Candidate(name, [m.inputs[name] for m in measured])
        for name, x in first.inputs.items()
        if x.is_floating_point() and x.dim()
    ]
    found = outputs + [Candidate(f"the input ({x.name})", x.tensors) for x in floats[:1]]
    found += [Candidate(f"the argument {x.name}", x.tensors) for x in floats[1:]]
    for one, (title, activation) in itertools.product(outputs + floats[:1], ACTIVATIONS.items()):
        tensors = [activation(t) for t in one.tensors]
        found.append(Candidate(f"{title}({one.name})", tensors, one.is_output, is_activation=True))
    upstream = [m.upstream[0] for m in measured]
    u = upstream[0]
    found.append(Candidate("grad_output", upstream))
    for x in floats:
        shape = x.tensors[0].shape
        if shape != u.shape and shape == u.shape[u.dim() - len(shape) :]:
            scaled = [a * b for a, b in zip(upstream, x.tensors, strict=True)]
            found.append(Candidate(f"grad_output × {x.name}", scaled))
    return found
