"""Run a subject once, on copies: forward and backward, and what was recorded on the way."""

import linecache
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.recording import Around, Record, watch
from manualgrad.gradcheck.subject import Subject, copy_of, is_differentiable, same_bits

HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent

Upstream = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class SubjectError(Exception):
    """The checked code raised.

    Parameters
    ----------
    phase
        ``"forward"`` or ``"backward"``.
    error
        What it raised.
    changed
        What had been modified in place by then.
    """

    def __init__(self, phase: str, error: BaseException, changed: Sequence[str] = ()) -> None:
        self.phase = phase
        self.error = error
        self.changed = changed
        super().__init__(f"{phase} raised {type(error).__name__}: {_first_line(error)}{_place(error)}")


@dataclass
class Run(Record):
    """One forward and backward of the subject.

    Attributes
    ----------
    outputs : tuple of Tensor
        The results that can have a gradient, detached; ``differentiable`` tells which autograd follows.
    gradients : dict
        The gradient per judged position; None where autograd has none.
    second : dict
        The same from a second backward through the same graph, if there was one.
    upstream : tuple of Tensor
        What backward was given, per output.
    leaves : dict
        The tensor that each judged gradient was taken for.
    """

    outputs: tuple[Tensor, ...] = ()
    differentiable: list[bool] = field(default_factory=list)
    gradients: dict[int, Tensor | None] = field(default_factory=dict)
    second: dict[int, Tensor | None] = field(default_factory=dict)
    upstream: tuple[Tensor, ...] = ()
    leaves: dict[int, Tensor] = field(default_factory=dict)


def run(
    subject: Subject,
    values: Sequence[Any],
    upstream: Upstream,
    *,
    then: Callable[[Run], None] | None = None,
    again: bool = False,
    around: Around = nullcontext,
    requires: Sequence[int] | None = None,
    used: Sequence[int] | None = None,
    recorded: bool = True,
) -> Run:
    """Run forward and backward once, on copies.

    Parameters
    ----------
    subject
        What to run.
    values
        Its arguments.
    upstream
        Makes the upstream gradients from the outputs.
    then
        What to do with the gradients' own graph, while the module still has these parameters.
    again
        Go backward a second time through the same graph.
    around
        Makes a context for each custom backward to run in, from the tensors that it has saved.
    requires
        The positions that require a gradient; by default all that are judged.
    used
        The results that have an upstream gradient; by default all.
    recorded
        Whether to look at what the custom backwards do, besides the gradients that come of it.

    Returns
    -------
    Run

    Raises
    ------
    SubjectError
        If forward or backward raises.
    """
    leaves = {
        i: copy_of(values[i]).requires_grad_() for i in (subject.checked if requires is None else requires)
    }
    with torch.enable_grad():
        # Copies of the leaves, because a forward may work in place.
        arguments = [leaves[i].clone() if i in leaves else copy_of(value) for i, value in enumerate(values)]
        nodes = {arguments[i].grad_fn: i for i in leaves}

        def body(fn: Callable[..., Any]) -> Run:
            try:
                results = [t for t in subject.call(arguments, fn) if is_differentiable(t)]
            except (Exception, SystemExit) as error:
                raise SubjectError("forward", error) from error
            outputs = tuple(t.detach() for t in results)
            record = Run(outputs=outputs, differentiable=[t.requires_grad for t in results], leaves=leaves)
            _note_changed_inputs(record, subject, values, arguments, results, "forward")
            record.upstream = tuple(upstream(results))
            subject.reseed()
            chosen = [k for k, t in enumerate(results) if t.requires_grad and (used is None or k in used)]
            roots = [results[k] for k in chosen]
            if recorded:
                watch(roots, record, nodes, around)
            if not roots:
                record.gradients = dict.fromkeys(leaves)
                return record
            try:
                tops = [record.upstream[k] for k in chosen]
                create = then is not None
                record.gradients = _backward(roots, leaves, tops, again or create, create)
                if again:
                    record.second = _backward(roots, leaves, tops, False, False)
            except (Exception, SystemExit) as error:
                phase = "the second backward through the same graph" if record.gradients else "backward"
                raise SubjectError(phase, error, record.changed) from error
            if not record.changed:
                _note_changed_inputs(record, subject, values, arguments, results, "backward")
            if then is not None:
                then(record)
            return record

        return subject.hold(arguments, body)


def _backward(
    roots: list[Tensor], leaves: dict[int, Tensor], upstream: list[Tensor], retain: bool, create: bool
) -> dict[int, Tensor | None]:
    try:
        gradients = torch.autograd.grad(
            roots, list(leaves.values()), upstream, retain, create_graph=create, allow_unused=True
        )
    except RuntimeError as error:
        if ".backward()" not in str(error):
            raise
        # A reentrant checkpoint works with backward() alone.
        torch.autograd.backward(roots, upstream, retain, create)
        found = [leaf.grad for leaf in leaves.values()]
        for leaf in leaves.values():
            leaf.grad = None
        return dict(zip(leaves, found, strict=True))
    return dict(zip(leaves, gradients, strict=True))


def _note_changed_inputs(
    record: Run,
    subject: Subject,
    values: Sequence[Any],
    arguments: Sequence[Any],
    results: Sequence[Tensor],
    phase: str,
) -> None:
    for i, (was, now) in enumerate(zip(values, arguments, strict=True)):
        # A module updates its buffers; an in-place function hands back its own argument.
        hands_back = any(now is t for t in results)
        if i < subject.inputs and isinstance(was, Tensor) and not hands_back and not same_bits(now, was):
            record.changed.append(f"{phase} changed the input {subject.name_of(i)} in place")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _place(error: BaseException) -> str:
    """Return where in the user's own code it happened: file, line, and the shapes of the names in it."""
    trace = error.__traceback__
    place: tuple[FrameType, int] | None = None
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if not path.is_relative_to(HERE) and not path.is_relative_to(TORCH):
            place = (trace.tb_frame, trace.tb_lineno)
        trace = trace.tb_next
    if place is None:
        return ""
    frame, number = place
    path = Path(frame.f_code.co_filename)
    line = linecache.getline(str(path), number).strip()
    names = dict.fromkeys(re.findall(r"[^\W\d]\w*", line))
    shapes = [f"{n} {tuple(v.shape)}" for n in names if isinstance(v := frame.f_locals.get(n), Tensor)]
    if isinstance(error, NameError):
        shapes = ["names here: " + ", ".join(n for n in frame.f_locals if not n.startswith("__"))]
    return f" ({path.name}, line {number}: {line}{'; with ' * bool(shapes)}{', '.join(shapes)})"
