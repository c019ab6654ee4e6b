"""Inputs beyond the caller's own, where a slip shows that hides at ordinary ones."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.values import name_wrong
from manualgrad.gradcheck.forward_backward import SubjectError
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.tolerance import largest

MAGNITUDES = (1e-2, 1e2)
EXTREME = 1e4  # the largest input of the last magnitude: so large that exponentials overflow
GROUPS = 1  # one random direction moves every element
ZEROS = "some inputs set to 0"
TIES = "neighbouring inputs tied"


def other_inputs(session: Session) -> None:
    """Take the inputs smaller and larger, with zeros, with ties."""
    for where, values in _probes(session):
        if not session.report.ok:
            return
        try:
            run = session.run(values)
        except SubjectError:  # out of the function's domain
            continue
        if not run.is_finite:
            continue
        for gradient in session.judge(run, GROUPS).measured.values():
            if where == ZEROS and session.reference is None:
                # Zero may be no input of this function's: a reference that is finite there says that it is.
                gradient.wrong &= gradient.yours.isfinite()
            if where == TIES:  # the caller did not ask for them: any slope between left and right is right
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
