"""Run a subject once, on copies: forward and backward, and what was recorded on the way."""

import linecache
import re
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.recording import Record, watch
from manualgrad.gradcheck.subject import Subject, copy_of, real, same_numbers

HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent

Upstream = Sequence[Tensor] | torch.Generator  # as they are, or drawn at random


class SubjectError(Exception):
    """The checked code raised in a phase, ``"forward"`` say, having changed some tensors in place."""

    def __init__(self, phase: str, error: BaseException, changed: Sequence[str] = ()) -> None:
        self.phase = phase
        self.changed = changed
        first_line = str(error).strip().partition("\n")[0]
        super().__init__(f"{phase} raised {type(error).__name__}: {first_line}{_place(error)}")


@dataclass
class Run(Record):
    """One forward and backward of the subject; gradients by position, None where autograd has none."""

    values: list[Any] = field(default_factory=list)
    outputs: tuple[Tensor, ...] = ()  # the results that can have a gradient, detached
    differentiable: list[bool] = field(default_factory=list)  # which of them autograd follows
    upstream: tuple[Tensor, ...] = ()  # what backward was given, per output
    gradients: dict[int, Tensor | None] = field(default_factory=dict)
    second: dict[int, Tensor | None] = field(default_factory=dict)  # from a second backward, if there was one
    leaves: dict[int, Tensor] = field(default_factory=dict)  # what each gradient was taken for


def forward_backward(
    subject: Subject,
    values: Sequence[Any],
    upstream: Upstream,
    *,
    then: Callable[[Run], None] | None = None,  # is called while the gradients have a graph
    again: bool = False,  # go backward a second time through the same graph
    around: AbstractContextManager[Any] | None = None,  # for each custom backward to run in
    requires: Sequence[int] | None = None,  # the positions that require a gradient, else all judged ones
    used: Sequence[int] | None = None,  # the results that have an upstream gradient, else all
    recorded: bool = True,  # look at what is returned, saved and changed, too
) -> Run:
    """Run forward and backward once, on copies; raise :class:`SubjectError` if the subject raises."""
    leaves = {i: copy_of(values[i]).requires_grad_() for i in requires or subject.checked}
    with torch.enable_grad():
        # Copies of the leaves, because a forward may work in place.
        arguments = [leaves[i].clone() if i in leaves else copy_of(value) for i, value in enumerate(values)]
        nodes = {arguments[i].grad_fn: i for i in leaves}

        def body(fn: Callable[..., Any]) -> Run:
            try:
                results = subject.call(fn, arguments)
            except (Exception, SystemExit) as error:
                raise SubjectError("forward", error) from error
            record = Run(values=list(values), leaves=leaves)
            record.outputs = tuple(t.detach() for t in results)
            record.differentiable = [t.requires_grad for t in results]
            record.upstream = tuple(_upstream_for(results, upstream))
            # A module updates its buffers; an in-place function hands back its own argument.
            own = [
                (subject.name_of(i), values[i], arguments[i])
                for i in range(subject.inputs if recorded else 0)
                if isinstance(values[i], Tensor) and not any(arguments[i] is t for t in results)
            ]
            record.changed += _changed("forward", own)
            subject.reseed()
            chosen = [k for k, t in enumerate(results) if t.requires_grad and (used is None or k in used)]
            roots, tops = [results[k] for k in chosen], [record.upstream[k] for k in chosen]
            if recorded:
                watch(roots, record, nodes, around or nullcontext())
            try:
                record.gradients = _backward(roots, leaves, tops, again or then is not None, then is not None)
                if again:
                    record.second = _backward(roots, leaves, tops, False, False)
            except (Exception, SystemExit) as error:
                phase = "the second backward through the same graph" if record.gradients else "backward"
                raise SubjectError(phase, error, record.changed) from error
            record.changed = record.changed or _changed("backward", own)
            if then is not None:
                then(record)
            return record

        return subject.hold(arguments, body)


def draw(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw numbers of random sign and a size between 0.5 and 1.5: none is near zero."""
    shape = real(like).shape
    size = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    values = size * (torch.randint(0, 2, shape, generator=generator) * 2 - 1)
    return (torch.view_as_complex(values) if like.is_complex() else values).to(like.device, like.dtype)


def _upstream_for(results: Sequence[Tensor], upstream: Upstream) -> list[Tensor]:
    if isinstance(upstream, torch.Generator):
        return [draw(t.detach(), upstream) for t in results]
    return [u.to(t.dtype) for u, t in zip(upstream, results, strict=True)]


def _changed(phase: str, own: list[tuple[str, Tensor, Tensor]]) -> list[str]:
    return [
        f"{phase} changed the input {name} in place"
        for name, was, now in own
        if not same_numbers(now.detach(), was)
    ]


def _backward(
    roots: list[Tensor], leaves: dict[int, Tensor], upstream: list[Tensor], retain: bool, create: bool
) -> dict[int, Tensor | None]:
    if not roots:
        return dict.fromkeys(leaves)
    try:
        gradients = differentiate(roots, list(leaves.values()), upstream, retain, create)
    except RuntimeError as error:
        if ".backward()" not in str(error):
            raise
        # A reentrant checkpoint works with backward() alone.
        torch.autograd.backward(roots, upstream, retain, create)
        found = {i: leaf.grad for i, leaf in leaves.items()}
        for leaf in leaves.values():
            leaf.grad = None
        return found
    return dict(zip(leaves, gradients, strict=True))


class _Loss(torch.autograd.Function):
    """A number whose gradient by each root is the upstream."""

    @staticmethod
    def forward(ctx: Any, upstream: Sequence[Tensor], *roots: Tensor) -> Tensor:
        ctx.upstream = upstream
        return torch.zeros((), device=roots[0].device)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Any, ...]:
        return None, *ctx.upstream


def differentiate(
    roots: Sequence[Tensor],
    leaves: Sequence[Tensor],
    upstream: Sequence[Tensor],
    retain: bool = False,
    create: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients by the leaves, None where nothing arrives.

    An upstream that is given to ``torch.autograd.grad`` itself imports sympy: a third of a second.
    """
    loss = _Loss.apply(upstream, *roots)
    return torch.autograd.grad(loss, leaves, None, retain, create_graph=create, allow_unused=True)


def _place(error: BaseException) -> str:
    """Return where in the user's own code it happened: file, line, and the shapes of the names in it."""
    places = [
        (frame, number, path)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if not (path := Path(frame.f_code.co_filename)).is_relative_to(HERE)
        and not path.is_relative_to(TORCH)
    ]
    if not places:
        return ""
    frame, number, path = places[-1]
    line = linecache.getline(str(path), number).strip()
    names = dict.fromkeys(re.findall(r"[^\W\d]\w*", line))
    shapes = [f"{n} {tuple(v.shape)}" for n in names if isinstance(v := frame.f_locals.get(n), Tensor)]
    if isinstance(error, NameError):
        shapes = ["names here: " + ", ".join(n for n in frame.f_locals if not n.startswith("__"))]
    return f" ({path.name}, line {number}: {line}{'; with ' * bool(shapes)}{', '.join(shapes)})"
