"""Run the backward again with one of its operands or dimensions exchanged.

A mode of PyTorch sees every operation that backward makes. Where a saved tensor is an operand, another is
put in its place: the output for the input, say. If the gradient then is right, that was the mistake.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from manualgrad.gradcheck.diagnoses.case import Case, floats, output_name
from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.tolerance import same

MOST_USES = 6
MOST_DIMENSIONS = 4

# What a network's output may stand for: a formula written for one of these, given the plain input.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
}

Known = tuple[str, Tensor, Callable[[Point], Tensor]]


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
        name = getattr(func, "__name__", "")
        if name in (
            "sum",
            "mean",
            "cumsum",
            "softmax",
            "log_softmax",
            "logsumexp",
            "amax",
            "prod",
            "std",
            "var",
        ):
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
    """Be right once each reduction goes over another dimension."""
    dims = max((t.dim() for t in case.point.run.outputs), default=0)
    for dim in range(dims) if 2 <= dims <= MOST_DIMENSIONS else ():
        modes: list[_OtherDimension] = []

        def around(saved: list[Tensor], dim: int = dim, modes: list[_OtherDimension] = modes) -> Any:
            modes.append(_OtherDimension(dim))
            return modes[-1]

        if all(same(case.within(point, around), case.right(point)) for point in case.points) and any(
            mode.changed for mode in modes
        ):
            return f"The gradient of {case.name} is right if it sums over dimension {dim} instead."
    return None


def input_for_output(case: Case) -> str | None:
    """Be right once an input is read where backward reads an output, or the reverse."""
    for source, saved in enumerate(case.point.run.saved):
        old = _name_of(case, saved)
        if old is None:
            continue
        for new, tensor, get in _known(case, case.point):
            other = tensor.shape == saved.shape and not torch.equal(tensor, saved)
            if other and _fixes(case, source, get):
                return f"The gradient of {case.name} uses {old} where its formula needs {new}."
    return None


def transposed_operand(case: Case) -> str | None:
    """Name the square matrix that makes the gradient right once it is transposed, if there is one."""
    for source, saved in enumerate(case.point.run.saved):
        square = saved.dim() == 2 and saved.shape[0] == saved.shape[1] > 1
        if square and _fixes(case, source, lambda point, source=source: point.run.saved[source].t()):  # type: ignore[misc]
            return _name_of(case, saved) or "a saved tensor"
    return None


def _fixes(case: Case, source: int, replacement: Callable[[Point], Tensor]) -> bool:
    """Return whether the exchange makes the gradient right at every point: in all uses, or else in some."""
    modes: list[_SubstituteOperand] = []

    def is_right(point: Point, uses: tuple[int, ...] | None) -> bool:
        new = replacement(point)

        def around(saved: list[Tensor]) -> _SubstituteOperand:
            old = saved[source] if source < len(saved) else torch.empty(0)
            modes.append(_SubstituteOperand(old, new.to(old.dtype), uses))
            return modes[-1]

        return same(case.within(point, around), case.right(point))

    if all(is_right(point, None) for point in case.points):
        return True
    count = modes[-1].count if modes else 0
    if not 2 <= count <= MOST_USES:
        return False
    some = itertools.chain.from_iterable(itertools.combinations(range(count), k) for k in range(1, count))
    return any(all(is_right(point, uses) for point in case.points) for uses in some)


def _name_of(case: Case, saved: Tensor) -> str | None:
    """Say what a saved tensor is, as far as it can be recognised."""
    if not saved.is_floating_point():
        return None
    for name, tensor, _ in _known(case, case.point):
        if tensor.shape == saved.shape and torch.allclose(tensor, saved.to(tensor.dtype), rtol=1e-9):
            return name
    return None


def _known(case: Case, point: Point) -> Iterable[Known]:
    for k, output in enumerate(point.run.outputs):
        if output.is_floating_point():
            yield output_name(point, k), output, lambda point, k=k: point.run.outputs[k]  # type: ignore[misc]
    for i in floats(point):
        yield f"the input ({case.names[i]})", point.values[i], lambda point, i=i: point.values[i]  # type: ignore[misc]
    for i in floats(point):
        for title, activation in ACTIVATIONS.items():
            if point.values[i].dim():
                get = lambda point, i=i, activation=activation: activation(point.values[i])  # noqa: E731
                yield f"{title}({case.names[i]})", get(point), get  # type: ignore[no-untyped-call]
