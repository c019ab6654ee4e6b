"""How a backward behaves, before its values: what it raises, changes, repeats, and returns."""

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import differentiate
from manualgrad.gradcheck.run import Returned
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import SubjectError, as_gradient
from manualgrad.gradcheck.tolerance import same


def first_run(session: Session) -> None:
    """Run forward and backward on the caller's own values."""
    try:
        session.subject.fix_randomness()
        if session.reference is not None:
            session.reference.seed = session.subject.seed  # so that it draws the same
        native = session.native
    except SubjectError as error:
        return _raised(session, error)
    if not native.is_finite:
        has_reference = session.reference is not None and not session.surrogate
        theirs = session.reference_results(native.values) if has_reference else []
        wrong = has_reference and all(bool(t.isfinite().all()) for t in theirs)
        says = "and the reference does not" if wrong else "its gradient cannot be judged"
        session.find("non-finite", None, f"The forward gives NaN or infinity here: {says}.", wrong=wrong)
        session.done = True
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


def shapes_and_dtypes(session: Session) -> None:
    """Compare each gradient, as backward returned it, with its argument."""
    for one in session.native.returned:
        gradient, name = one.gradient, one.name
        if gradient is None:
            continue
        if gradient.shape != one.shape:
            kind, message = _misshapen(session, one, gradient)
            shapes = f"has the shape {tuple(gradient.shape)}, but {name} has the shape {tuple(one.shape)}"
            session.find(kind, one.position, f"The gradient of {name} {shapes}{message}")
            if kind not in session.allow:
                session.named.add(one.position)
                # What follows a gradient of no use has no values to judge.
                session.done |= kind == "wrong-shape" and one.position is None
        for what, expected in ((gradient.dtype, one.dtype), (gradient.device, one.device)):
            if what != expected:
                message = f"The gradient of {name} is {what}, but {name} is {expected}"
                session.find("wrong-dtype", one.position, f"{message}: autograd converts it in silence.")
                break


def _misshapen(session: Session, one: Returned, gradient: Tensor) -> tuple[str, str]:
    """Return the kind, and what is to be said beyond the shapes."""
    # Only dimensions of size 1 too many: nothing is left to sum.
    if one.is_accepted and gradient.numel() != one.shape.numel():
        padded = (None,) * (gradient.dim() - len(one.shape)) + tuple(one.shape)
        summed = [
            str(d) for d, (have, want) in enumerate(zip(gradient.shape, padded, strict=True)) if have != want
        ]
        return "unsummed", (
            f": it was not summed over dimension {' and '.join(summed)}. Autograd does that in silence; say "
            "it in backward."
        )
    for precise in session.base.returned:
        if one.position is not None and precise.position == one.position and precise.gradient is not None:
            # Another argument's, or a permuted one, is more than misshapen.
            yours = as_gradient(precise.gradient, gradient)
            for other, another in session.base.measured.items():
                if other != one.position and same(yours, another.right):
                    return "swapped-inputs", f". It is the right one for {session.subject.name_of(other)}."
            right = session.base.measured[one.position].right
            for order in itertools.permutations(range(right.dim())) if right.dim() <= 4 else ():
                if same(yours, right.permute(order)):
                    how = "the transpose of the right one"
                    if right.dim() > 2:
                        how = f"the right one permuted by {order}: undo that by the inverse"
                    return "transposed", f". It is {how}."
    return "wrong-shape", "."
