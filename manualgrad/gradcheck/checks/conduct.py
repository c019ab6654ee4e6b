"""How a backward behaves, before its values: it raises, modifies, forgets to write, or is not repeatable."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import SubjectError, differentiate
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient


def first_run(session: Session) -> None:
    """Run forward and backward on the caller's own values."""
    try:
        session.subject.fix_randomness()
    except (Exception, SystemExit) as error:
        return _raised(session, SubjectError("forward", error))
    if session.reference is not None:
        session.reference.seed = session.subject.seed  # so that it draws the same
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
    """Run again on the same input, with NaN in memory that nobody wrote: the gradient stays the same."""
    base = session.base
    try:
        with _filled_memory():
            again = session.run(base.values, base.upstream)
    except SubjectError:  # an operation has no deterministic form, or raises at NaN
        try:
            again = session.run(base.values, base.upstream)
        except SubjectError as error:
            return _raised(session, error)
    if not again.is_finite:
        session.find("uninitialized", None, "The forward's result holds memory that nobody wrote.")
        session.done = True
    elif any(not bool(as_gradient(g, base.values[i]).isfinite().all()) for i, g in again.gradients.items()):
        session.compare(again, "uninitialized", "holds memory that nobody wrote, here filled with NaN")
    else:
        session.compare(again, "nondeterministic", "changes from call to call on the same input")
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
    base = session.base
    try:
        second = session.run(base.values, base.upstream, backward=_twice)
    except SubjectError as error:
        works_once = "second" in error.phase
        return session.find("raises" if works_once else "nondeterministic", None, f"{error}.")
    session.compare(
        second,
        "mutates",
        "is another in a second backward through the same graph (retain_graph=True), as the first one "
        "changed something that it had kept",
    )
    return None


def _twice(roots: list[Tensor], leaves: list[Tensor], upstream: list[Tensor]) -> Sequence[Tensor | None]:
    differentiate(roots, leaves, upstream, retain=True)
    try:
        return differentiate(roots, leaves, upstream)
    except (Exception, SystemExit) as error:
        raise SubjectError("the second backward through the same graph", error) from error
