"""Points beyond the caller's own inputs, where a slip shows that hides at ordinary ones."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.values import name_wrong
from manualgrad.gradcheck.forward_backward import SubjectError
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.tolerance import largest

MAGNITUDES = (1e-2, 1e2)
EXTREME = 1e4  # the largest input of the last magnitude
GROUPS = 1  # one random direction moves every element
ZEROS = "some inputs set to 0"


def magnitudes(session: Session) -> None:
    """Take the inputs smaller, larger, and so large that exponentials overflow."""
    size = max((largest(session.base.values[i]) for i in session.base.measured), default=0.0)
    factors = [(factor, f"the inputs multiplied by {factor:g}") for factor in MAGNITUDES]
    if size > 0:
        factors.append((EXTREME / size, f"the inputs multiplied until the largest is {EXTREME:g}"))
    for factor, where in factors:
        _probe(session, _changed(session, lambda value: value * factor), where)  # noqa: B023
        if not session.report.ok:
            return


def zeros(session: Session) -> None:
    """Put zeros where kinks usually are; a surrogate has its own."""
    if session.surrogate:
        return
    _probe(session, _changed(session, _with_zeros), ZEROS)


def ties(session: Session) -> None:
    """Let neighbouring elements tie: of those that a maximum or a sort chooses from, any is right."""
    _probe(session, _changed(session, _with_ties), "neighbouring inputs tied", _allow_between_slopes)


def agreeing(session: Session) -> None:
    """Let two inputs of one shape agree in every second element."""
    judged = [i for i in session.subject.checked if i < session.subject.inputs]
    values = list(session.base.values)
    for i, j in pairwise(judged):
        if values[i].shape == values[j].shape:
            flat = values[j].reshape(-1).clone()
            flat[::2] = values[i].reshape(-1)[::2]
            values[j] = flat.reshape(values[j].shape)
            one, other = session.subject.name_of(i), session.subject.name_of(j)
            return _probe(session, values, f"{other} equal to {one} in places")
    return None


def _probe(
    session: Session, values: list[Any], where: str, allow: Callable[[Run], None] = lambda run: None
) -> None:
    try:
        run = session.run(values)
    except SubjectError:  # out of the function's domain
        return
    if not run.is_finite:
        return
    session.judge(run, GROUPS)
    allow(run)
    if where == ZEROS and session.reference is None:
        # Zero may be no input of this function's: a reference that is finite there says that it is.
        for gradient in run.measured.values():
            gradient.wrong &= gradient.yours.isfinite()
    if any(gradient.is_wrong for gradient in run.measured.values()):
        name_wrong(session, run, probe=where)
        if not session.report.ok:
            session.show(run)


def _allow_between_slopes(run: Run) -> None:
    """Allow any slope between left and right at a tie that the caller did not ask for."""
    for gradient in run.measured.values():
        gradient.wrong &= ~gradient.numeric.between_slopes(gradient.yours)


def _changed(session: Session, change: Callable[[Tensor], Tensor]) -> list[Any]:
    """Change the judged inputs; a module's parameters stay."""
    judged = {i for i in session.subject.checked if i < session.subject.inputs}
    return [change(value) if i in judged else value for i, value in enumerate(session.base.values)]


def _with_zeros(value: Tensor) -> Tensor:
    flat = value.clone().reshape(-1)
    flat[::3] = 0
    return flat.reshape(value.shape)


def _with_ties(value: Tensor) -> Tensor:
    for d, size in enumerate(value.shape):
        value = value.index_select(d, torch.arange(size, device=value.device) // 2 * 2)
    return value
