"""Run a subject once, on copies: forward and backward, and what was recorded on the way."""

import linecache
import re
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.recording import watch
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.subject import Subject, copy_of, real, same_numbers

HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent

# Per result, None where it is not used; or to be drawn at random.
Upstream = Sequence[Tensor | None] | torch.Generator
# From results, leaves and upstream to the gradients of the leaves.
Backward = Callable[[list[Tensor], list[Tensor], list[Tensor]], Sequence[Tensor | None]]


class SubjectError(Exception):
    """The checked code raised in a phase, ``"forward"`` say, having changed some tensors in place."""

    def __init__(self, phase: str, error: BaseException, changed: Sequence[str] = ()) -> None:
        self.phase = phase
        self.changed = changed
        first_line = str(error).strip().partition("\n")[0]
        super().__init__(f"{phase} raised {type(error).__name__}: {first_line}{_place(error)}")


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
) -> Sequence[Tensor | None]:
    """Return the gradients by the leaves, None where nothing arrives.

    An upstream that is given to ``torch.autograd.grad`` itself imports sympy: a third of a second.
    """
    if not roots:
        return [None] * len(leaves)
    loss = _Loss.apply(upstream, *roots)
    try:
        return torch.autograd.grad(loss, leaves, None, retain, create, allow_unused=True)
    except RuntimeError as error:
        if ".backward()" not in str(error):
            raise
    # A reentrant checkpoint works with backward() alone.
    torch.autograd.backward(loss, None, retain, create)
    gradients = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return gradients


def forward_backward(
    subject: Subject,
    values: Sequence[Any],
    upstream: Upstream,
    *,
    backward: Backward = differentiate,  # how to go backward: once
    around: AbstractContextManager[Any] | None = None,  # for each custom backward to run in
) -> Run:
    """Run forward and backward, on copies; raise :class:`SubjectError` if the subject raises."""
    leaves = {i: copy_of(values[i]).requires_grad_() for i in subject.checked}
    with torch.enable_grad():
        # Copies of the leaves, because a forward may work in place.
        arguments = [leaves[i].clone() if i in leaves else copy_of(value) for i, value in enumerate(values)]
        nodes = {arguments[i].grad_fn: i for i in leaves}

        def body(fn: Callable[..., Any]) -> Run:
            try:
                results = subject.call(fn, arguments)
            except (Exception, SystemExit) as error:
                raise SubjectError("forward", error) from error
            given = _upstream_for(results, upstream)
            followed = [t.requires_grad for t in results]
            tops = tuple(torch.zeros_like(t) if u is None else u for u, t in zip(given, results, strict=True))
            run = Run(subject, list(values), tuple(t.detach() for t in results), followed, tops)
            # A module updates its buffers; an in-place function hands back its own argument.
            own = [
                (subject.name_of(i), values[i], arguments[i])
                for i in range(subject.inputs)
                if isinstance(values[i], Tensor) and not any(arguments[i] is t for t in results)
            ]
            run.changed += _changed("forward", own)
            subject.reseed()
            used = [k for k, follows in enumerate(followed) if follows and given[k] is not None]
            roots = [results[k] for k in used]
            watch(roots, run, nodes, around or nullcontext())
            try:
                gradients = backward(roots, list(leaves.values()), [tops[k] for k in used])
            except SubjectError:
                raise
            except (Exception, SystemExit) as error:
                raise SubjectError("backward", error, run.changed) from error
            run.gradients = dict(zip(leaves, gradients, strict=True))
            run.changed = run.changed or _changed("backward", own)
            return run

        return subject.hold(arguments, body)


def draw(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw numbers of random sign and a size between 0.5 and 1.5: none is near zero."""
    shape = real(like).shape
    size = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    values = size * (torch.randint(0, 2, shape, generator=generator) * 2 - 1)
    return (torch.view_as_complex(values) if like.is_complex() else values).to(like.device, like.dtype)


def _upstream_for(results: Sequence[Tensor], upstream: Upstream) -> list[Tensor | None]:
    if isinstance(upstream, torch.Generator):
        return [draw(t.detach(), upstream) for t in results]
    return [None if u is None else u.to(t.dtype) for u, t in zip(upstream, results, strict=True)]


def _changed(phase: str, own: list[tuple[str, Tensor, Tensor]]) -> list[str]:
    return [
        f"{phase} changed the input {name} in place"
        for name, was, now in own
        if not same_numbers(now.detach(), was)
    ]


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
