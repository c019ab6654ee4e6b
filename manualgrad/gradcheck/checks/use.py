"""How a gradient is used: scaled, for some inputs or results only, in other memory, at other inputs."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.values import name_wrong
from manualgrad.gradcheck.forward_backward import forward_backward
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import SubjectError
from manualgrad.gradcheck.tolerance import largest

FACTORS = (-1e3, 0.0)  # a ReLU sends zeros
MOST_ALONE = 8  # inputs or results of which each is tried alone
MAGNITUDES = (1e-2, 1e2)
EXTREME = 1e4  # the largest input of the last magnitude: so large that exponentials overflow
GROUPS = 1  # one random direction moves every element
ZEROS = "some inputs set to 0"
TIES = "neighbouring inputs tied"


def proportional(session: Session) -> None:
    """Scale the upstream gradient: minus a thousand times gives that, and zero gives zero."""
    base = session.base
    for factor in FACTORS:
        try:
            scaled = session.run(base.values, [factor * u for u in base.upstream])
        except SubjectError as error:
            session.find("raises", None, f"With {factor:g} × the upstream gradient: {error}.")
            return
        what = f"is not proportional to the upstream gradient: with {factor:g} × grad_output"
        session.compare(scaled, "ignores-upstream", what, factor=factor)


def each_input_alone(session: Session) -> None:
    """Let one input alone require a gradient, as when a layer is frozen or the input is data."""
    subject, base = session.subject, session.base
    for position in subject.checked[:MOST_ALONE] if len(subject.checked) > 1 else ():
        alone = copy(subject)
        alone.checked = [position]
        when = f"{subject.name_of(position)} alone requires a gradient"
        try:
            run = forward_backward(alone, base.values, base.upstream)
        except SubjectError as error:
            return session.find("raises", position, f"If {when}, {error}.")
        session.compare(run, "unknown", f"is right, but if {when} it is another")
    return None


def each_result_alone(session: Session) -> None:
    """Use one of several results alone: the upstream of the others is zero or None."""
    base = session.base
    results = [k for k, follows in enumerate(base.differentiable) if follows]
    if not 2 <= len(results) <= MOST_ALONE:
        return None
    alone = []
    for k in results:
        try:
            alone.append(
                session.run(base.values, [u if j == k else None for j, u in enumerate(base.upstream)])
            )
        except SubjectError as error:
            return session.find("raises", None, f"If result {k} alone is used, {error}.")
    total: dict[int, Tensor | None] = {}
    for position in base.gradients:
        parts = [g for run in alone if (g := run.gradients[position]) is not None]
        total[position] = reduce(torch.add, parts) if parts else None
    what = "is right, but if the results are used one at a time it is another"
    session.compare(replace(base, gradients=total), "unknown", what)
    return None


def _transposed(u: Tensor) -> Tensor:
    order = list(range(u.dim()))[::-1]
    return u.permute(order).contiguous().permute(order)


# How memory may hold an upstream gradient: its own numbers twice, then one number for all.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "a transposed (non-contiguous)": _transposed,
    "a sliced (non-contiguous)": lambda u: torch.stack([u, u + 1], -1)[..., 0],
    "an expanded (zero-strided, as from .sum())": lambda u: u.new_full((), 0.75).expand(u.shape),
}


def layouts(session: Session) -> None:
    """Lay the upstream gradient and the inputs out in memory as they really come: the numbers decide.

    ``.sum()`` sends a zero-strided upstream gradient, a transpose or a slice after the function a
    non-contiguous one; a check that only ever sends contiguous ones misses a ``view``.
    """
    subject, base = session.subject, session.base
    cases: list[tuple[str, int | None, list[Any], list[Tensor]]] = []
    for title, layout in LAYOUTS.items():
        upstream = [layout(u) for u in base.upstream]
        if not all(u.is_contiguous() for u in upstream):
            cases.append((f"{title} upstream gradient", None, base.values, upstream))
    # What is drawn at random falls on other elements then.
    for i in range(subject.inputs) if subject.seed is None else ():
        value = base.values[i]
        if isinstance(value, Tensor) and value.layout == torch.strided and value.dim() > 1:
            # Copies keep strides, so the leaves have them, too.
            values = [_transposed(v) if k == i else v for k, v in enumerate(base.values)]
            what = f"a transposed (non-contiguous) {subject.name_of(i)}"
            cases.append((what, i, values, list(base.upstream)))
    for what, position, values, upstream in cases:
        if session.named:  # one layout shows it
            break
        try:
            run = session.run(values, upstream)
        except SubjectError as error:
            return session.find("layout", position, f"With {what} {error}.")
        if run.changed:
            return session.find("mutates", None, f"{run.changed[0]}, with {what}.")
        is_expanded = "expanded" in what  # of other numbers than the plain one's
        like = session.run(base.values, [u.contiguous() for u in upstream]) if is_expanded else base
        says = f"is wrong for {what}, right for the same numbers in contiguous memory"
        session.compare(run, "layout", says, like=like)
    return None


def other_inputs(session: Session) -> None:
    """Take the inputs smaller and larger, with zeros, with ties."""
    for where, values in _probes(session):
        if not session.report.ok:
            return
        run = session.judged(values, GROUPS)
        if run is None:
            continue
        for gradient in run.measured.values():
            if where in (ZEROS, TIES) and session.reference is None:
                # Where one of several that are tied moves, its slopes do not bound every subgradient.
                gradient.wrong &= ~gradient.numeric.kink
                gradient.wrong &= gradient.yours.isfinite() | (
                    where == TIES
                )  # zero may be no input of this one
            elif where == TIES:  # the caller did not ask for them: any slope between left and right is right
                gradient.wrong &= ~gradient.numeric.between_slopes(gradient.yours)
        if any(gradient.is_wrong for gradient in run.measured.values()):
            name_wrong(session, run, probe=where)
            if not session.report.ok:
                session.show(run)


def _probes(session: Session) -> Iterator[tuple[str, list[Any]]]:
    """Yield inputs to look at, each with how they came about; a module's parameters stay."""
    base = session.base.values
    judged = [i for i in session.subject.checked if i < session.subject.inputs]

    def changed(change: Callable[[Tensor], Tensor]) -> list[Any]:
        return [change(value) if i in judged else value for i, value in enumerate(base)]

    for factor in MAGNITUDES:
        yield f"the inputs multiplied by {factor:g}", changed(lambda value: value * factor)  # noqa: B023
    size = max((largest(base[i]) for i in judged), default=0.0)
    if size > 0:
        where = f"the inputs multiplied until the largest is {EXTREME:g}"
        yield where, changed(lambda value: value * (EXTREME / size))
    if not session.surrogate:  # which has kinks of its own
        yield ZEROS, changed(_with_zeros)
    yield TIES, changed(_with_ties)
    for i, j in pairwise(judged):
        if base[i].shape == base[j].shape:
            values = list(base)
            values[j] = torch.where(_every(2, base[j]), base[i].to(base[j].dtype), base[j])
            one, other = session.subject.name_of(i), session.subject.name_of(j)
            yield f"{other} equal to {one} in places", values
            return


def _every(nth: int, value: Tensor) -> Tensor:
    """Return a mask of every n-th element."""
    return (torch.arange(value.numel(), device=value.device) % nth == 0).reshape(value.shape)


def _with_zeros(value: Tensor) -> Tensor:
    return value.masked_fill(_every(3, value), 0)


def _with_ties(value: Tensor) -> Tensor:
    for d, size in enumerate(value.shape):
        value = value.index_select(d, torch.arange(size, device=value.device) // 2 * 2)
    return value
