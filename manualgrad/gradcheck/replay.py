"""The student's backward, run again with one of its operands exchanged.

A mode of PyTorch sees every operation that backward makes. Where a saved tensor is an operand, another is
put in its place: the output for the input, say. If the gradient then is right, that was the mistake.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from manualgrad.gradcheck.case import Case
from manualgrad.gradcheck.judge import Sample

MOST_USES = 6

# What a network's output may stand for: a formula written for one of these, given the plain input.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
}


class _Exchange(TorchFunctionMode):
    """Puts ``new`` in place of ``old`` among the operands, in the chosen uses (all, if None)."""

    def __init__(self, old: Tensor, new: Tensor, uses: tuple[int, ...] | None) -> None:
        super().__init__()
        self.old, self.new, self.uses, self.count = old, new, uses, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args = tuple(self._exchanged(a) for a in args)
        return func(*args, **{key: self._exchanged(a) for key, a in (kwargs or {}).items()})

    def _exchanged(self, operand: Any) -> Any:
        if not isinstance(operand, Tensor) or operand.shape != self.old.shape:
            return operand
        # ctx.saved_tensors makes a new object at each access; what it shares is the memory.
        with torch._C.DisableTorchFunction():
            same = operand.data_ptr() == self.old.data_ptr() and operand.stride() == self.old.stride()
        if not same:
            return operand
        self.count += 1
        return self.new if self.uses is None or self.count - 1 in self.uses else operand


def input_for_output(case: Case) -> str | None:
    """Right once an input is read where backward reads an output, or the reverse."""
    for source in range(len(case.sample.record.saved)):
        old = _name_of(case, case.sample.record.saved[source])
        if old is None:
            continue
        for new, tensor in _alternatives(case, source):
            if _cures(case, source, tensor):
                return f"The gradient of {case.name} uses {old} where its formula needs {new}."
    return None


def transposed_operand(case: Case) -> str | None:
    """Name the square matrix that makes the gradient right once it is transposed, if there is one."""
    for source, saved in enumerate(case.sample.record.saved):
        square = saved.dim() == 2 and saved.shape[0] == saved.shape[1] > 1
        if square and _cures(case, source, lambda sample, source=source: sample.record.saved[source].t()):  # type: ignore[misc]
            return _name_of(case, saved) or "a saved tensor"
    return None


def _cures(case: Case, source: int, replacement: Callable[[Sample], Tensor]) -> bool:
    """Whether the exchange makes the gradient right at every point: in all uses, or else in some."""
    modes: list[_Exchange] = []

    def cured(uses: tuple[int, ...] | None, samples: list[Sample]) -> bool:
        return all(
            _exchanged_gradient_is_right(case, sample, source, replacement, uses, modes) for sample in samples
        )

    if cured(None, case.samples):
        return True
    count = modes[-1].count if modes else 0
    if not 2 <= count <= MOST_USES:
        return False
    some = itertools.chain.from_iterable(itertools.combinations(range(count), k) for k in range(1, count))
    return any(cured(uses, case.samples) for uses in some)


def _exchanged_gradient_is_right(
    case: Case,
    sample: Sample,
    source: int,
    replacement: Callable[[Sample], Tensor],
    uses: tuple[int, ...] | None,
    modes: list[_Exchange],
) -> bool:
    new = replacement(sample)

    def around(saved: list[Tensor]) -> _Exchange:
        old = saved[source] if source < len(saved) else torch.empty(0)
        modes.append(_Exchange(old, new.to(old.dtype), uses))
        return modes[-1]

    gradient = case.rerun(sample, around=around)
    return gradient is not None and case.same(gradient, sample.right[case.position])


def _alternatives(case: Case, source: int) -> Iterator[tuple[str, Callable[[Sample], Tensor]]]:
    """Yield what could stand in a saved tensor's place: results, arguments, activations of the arguments."""
    saved = case.sample.record.saved[source]
    for name, tensor, get in _known(case, case.sample):
        if tensor.shape == saved.shape and not torch.equal(tensor, saved):
            yield name, get


def _name_of(case: Case, saved: Tensor) -> str | None:
    """Say what a saved tensor is, as far as it can be recognised."""
    for name, tensor, _ in _known(case, case.sample):
        if tensor.shape == saved.shape and torch.allclose(tensor, saved.to(tensor.dtype), rtol=1e-9):
            return name
    return None


def _known(case: Case, sample: Sample) -> Iterable[tuple[str, Tensor, Callable[[Sample], Tensor]]]:
    for k, output in enumerate(sample.record.outputs):
        name = "the output" if len(sample.record.outputs) == 1 else f"output {k}"
        yield name, output, lambda sample, k=k: sample.record.outputs[k]  # type: ignore[misc]
    floats = [i for i, v in enumerate(sample.values) if isinstance(v, Tensor) and v.is_floating_point()]
    for i in floats:
        name = case.subject.name_of(i)
        yield f"the input ({name})", sample.values[i], lambda sample, i=i: sample.values[i]  # type: ignore[misc]
    for i in floats:
        for title, activation in ACTIVATIONS.items():
            if sample.values[i].dim():
                name = f"{title}({case.subject.name_of(i)})"
                get = lambda sample, i=i, activation=activation: activation(sample.values[i])  # noqa: E731
                yield name, get(sample), get  # type: ignore[no-untyped-call]
