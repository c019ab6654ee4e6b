"""How a backward behaves, before its values: it raises, modifies, forgets to write, or is not repeatable."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import SubjectError, differentiate
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import close, first_index, rounding


def first_run(session: Session) -> None:
    """Run forward and backward on the caller's own values."""
    subject = session.subject
    try:
        subject.fix_randomness()
        if session.reference is not None:
            session.reference.seed = subject.seed  # so that it draws the same
    except (Exception, SystemExit) as error:
        return _raised(session, SubjectError("forward", error))
    try:
        native = session.native
    except SubjectError as error:
        return _raised(session, error)
    _finite_forward(session)
    for what in dict.fromkeys(native.changed):
        session.find("mutates", None, f"{what}: others still need the old values.")
        session.done = not session.report.ok
    return None


def _raised(session: Session, error: SubjectError) -> None:
    if error.changed:
        session.find("mutates", None, f"{error.changed[0]}. Then {error}.")
    else:
        session.find("raises", None, f"{error}.")
    session.done = True


def _finite_forward(session: Session) -> None:
    if session.native.is_finite:
        return
    message = "The forward itself gives NaN or infinity here"
    theirs = []
    if session.reference is not None and not session.surrogate:
        theirs = session.reference.evaluate(session.reference.values)
    if theirs and all(bool(t.isfinite().all()) for t in theirs):
        session.find("non-finite", None, f"{message}, where the reference is finite.")
    else:
        session.find("non-finite", None, f"{message}: its gradient cannot be judged.", wrong=False)
    session.done = True


def repeats(session: Session) -> None:
    """Run again on the same input, once with NaN in memory that nobody wrote: the gradient stays the same."""
    subject, native = session.subject, session.native
    for fills in (True, False):
        try:
            with _filled_memory() if fills else nullcontext():
                again = session.run(subject.values, native.upstream)
        except SubjectError as error:
            if fills:  # an operation that has no deterministic form
                continue
            return _raised(session, error)
        if not again.is_finite:
            session.find("uninitialized", None, "The forward's result holds memory that nobody wrote.")
            session.done = True
            return None
        for position, index, one, two in _changes(session, native, again.gradients):
            entry = subject.entry(position, index)
            kind = "nondeterministic"
            message = f"changes from call to call on the same input: {entry} is {one:.6g}, then {two:.6g}"
            if not math.isfinite(two):
                kind, message = "uninitialized", f"holds memory that nobody wrote: {entry}"
            session.find(kind, position, f"The gradient of {subject.name_of(position)} {message}.", index)
            session.named.add(position)
        if session.named:
            break
    return None


@contextmanager
def _filled_memory() -> Iterator[None]:
    # use_deterministic_algorithms would import the compiler, which takes seconds.
    deterministic: Any = torch.utils.deterministic  # a module that is typed without its one setting
    mode, fill = torch.get_deterministic_debug_mode(), deterministic.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("warn")
    deterministic.fill_uninitialized_memory = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        deterministic.fill_uninitialized_memory = fill


def works_twice(session: Session) -> None:
    """Go backward twice through one graph, as ``retain_graph=True`` does."""
    subject, native = session.subject, session.native
    try:
        both = session.run(subject.values, native.upstream, backward=_twice)
    except SubjectError as error:
        works_once = "second" in error.phase
        return session.find("raises" if works_once else "nondeterministic", None, f"{error}.")
    for position, index, one, two in _changes(session, native, both.gradients):
        session.find(
            "mutates",
            position,
            f"The second backward through the same graph (retain_graph=True) gives another gradient of "
            f"{subject.name_of(position)}: {subject.entry(position, index)} is {one:.6g}, then {two:.6g}. "
            "The first one changed something that it had kept.",
            index,
        )
        session.named.add(position)
    return None


def _twice(roots: list[Tensor], leaves: list[Tensor], upstream: list[Tensor]) -> Sequence[Tensor | None]:
    differentiate(roots, leaves, upstream, retain=True)
    try:
        return differentiate(roots, leaves, upstream)
    except (Exception, SystemExit) as error:
        raise SubjectError("the second backward through the same graph", error) from error


def _changes(
    session: Session, first: Run, gradients: dict[int, Tensor | None]
) -> Iterator[tuple[int, tuple[int, ...], float, float]]:
    """Yield each gradient that differs from the first run's: its position, an element, and that in both."""
    for position in session.subject.checked:
        value = session.subject.values[position]
        one, two = (as_gradient(g[position], value) for g in (first.gradients, gradients))
        index = first_index(~close(two, one, rounding(value.dtype)))
        if index is not None:
            yield position, index, float(one[index]), float(two[index])
