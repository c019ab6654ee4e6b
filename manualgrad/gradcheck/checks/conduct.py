"""How a backward behaves, before its values: it raises, modifies, forgets to write, or is not repeatable."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from manualgrad.gradcheck.checks.session import Session, same_upstream
from manualgrad.gradcheck.running import Run, SubjectError, run
from manualgrad.gradcheck.subject import as_gradient, is_differentiable
from manualgrad.gradcheck.tolerance import close, first_index, rounding


def first_run(session: Session) -> None:
    """Run forward and backward on the caller's own values, and backward again through the same graph."""
    subject = session.subject
    try:
        subject.fix_randomness()
        if session.reference is not None:
            session.reference.seed = subject.seed  # so that it draws the same
    except (Exception, SystemExit) as error:
        return _raised(session, SubjectError("forward", error))
    try:
        session.native = run(subject, subject.values, session.upstream())
    except SubjectError as error:
        return _raised(session, error)
    _finite_forward(session)
    for what in dict.fromkeys(session.native.changed):
        session.find("mutates", None, f"{what}: others still need the old values.")
    if any(f.kind == "mutates" and f.wrong for f in session.report.findings):
        session.stop()
    return None


def _raised(session: Session, error: SubjectError) -> None:
    if error.changed:
        session.find("mutates", None, f"{error.changed[0]}. Then {error}.")
    else:
        session.find("raises", None, f"{error}.")
    session.stop()


def _finite_forward(session: Session) -> None:
    if all(bool(output.isfinite().all()) for output in session.native.outputs):
        return
    theirs = []
    if session.reference is not None and not session.surrogate:
        theirs = [t for t in session.reference.call(session.reference.values) if is_differentiable(t)]
    message = "The forward itself gives NaN or infinity here"
    if theirs and all(bool(t.isfinite().all()) for t in theirs):
        session.find("non-finite", None, f"{message}, where the reference is finite.")
    else:
        session.find("non-finite", None, f"{message}: its gradient cannot be judged.", wrong=False)
    session.stop()


def initialized(session: Session) -> None:
    """Fill memory that nobody wrote with NaN: it must not reach a gradient."""
    try:
        with _filled_memory():
            filled = run(session.subject, session.subject.values, same_upstream(session.native.upstream))
    except SubjectError:  # an operation that has no deterministic form
        return None
    if any(bool((~o.isfinite()).any()) for o in filled.outputs):
        session.find("uninitialized", None, "The forward's result holds memory that nobody wrote.")
        return session.stop()
    for position in session.subject.checked:
        value = session.subject.values[position]
        got = as_gradient(filled.gradients[position], value)
        index = first_index(
            ~got.isfinite() & as_gradient(session.native.gradients[position], value).isfinite()
        )
        if index is not None:
            entry = session.subject.entry(position, index)
            name = session.subject.name_of(position)
            message = f"The gradient of {name} holds memory that nobody wrote: {entry}."
            session.find("uninitialized", position, message, index)
            session.named.add(position)
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


def repeats(session: Session) -> None:
    """Run again on the same input, twice: a gradient must not change from call to call."""
    subject, native = session.subject, session.native
    for _ in range(2):
        again = run(subject, subject.values, same_upstream(native.upstream))
        for position, index, one, two in _changes(session, native, again, again.gradients):
            message = (
                f"The gradient of {subject.name_of(position)} changes from call to call on the same input: "
                f"{subject.entry(position, index)} is {one:.6g}, then {two:.6g}."
            )
            session.find("nondeterministic", position, message, index)
            session.named.add(position)
        if session.named:
            return


def works_twice(session: Session) -> None:
    """Go backward twice through one graph, as ``retain_graph=True`` does."""
    subject, native = session.subject, session.native
    try:
        both = run(subject, subject.values, same_upstream(native.upstream), again=True)
    except SubjectError as error:
        works_once = "second" in error.phase
        return session.find("raises" if works_once else "nondeterministic", None, f"{error}.")
    for position, index, one, two in _changes(session, native, both, both.second):
        message = (
            f"The second backward through the same graph (retain_graph=True) gives another gradient of "
            f"{subject.name_of(position)}: {subject.entry(position, index)} is {one:.6g}, then {two:.6g}. "
            f"The first one changed something that it had kept."
        )
        session.find("mutates", position, message, index)
        session.named.add(position)
    return None


def _changes(
    session: Session, first: Run, second: Run, gradients: dict[int, torch.Tensor | None]
) -> Iterator[tuple[int, tuple[int, ...], float, float]]:
    for position in session.subject.checked:
        value = session.subject.values[position]
        one = as_gradient(first.gradients[position], value).nan_to_num()
        two = as_gradient(gradients.get(position), value).nan_to_num()
        index = first_index(~close(two, one, rounding(value.dtype)))
        if index is not None:
            yield position, index, float(one[index]), float(two[index])
