"""The gradient in the caller's own dtype: what it loses beside float64, and what it must lose."""

from dataclasses import replace

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import forward_backward
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import first_index, index_of_largest, largest, rms

DRAWS = 3  # of upstream gradients
# Roundings that may be lost beyond twice what the reference loses, at the worst element and on the whole.
# Half types are summed in float32 and rounded once; float32 is summed in itself.
ROUNDINGS, SUMMED = (8, 3), (64, 16)
USELESS = 0.1  # the relative error at which a reference judges nobody
SMALL_ROW = 1e-2  # of the largest element: rows that are smaller are not judged at their own size
FLOAT32 = 1e-6  # what is coarser than this eps is coarser than float32


def own_dtype(session: Session) -> None:
    """Compare the gradient in the caller's dtype with float64's; a reference says what that must lose."""
    subject, native = session.subject, session.native
    dtypes = {o.dtype for o in native.outputs} | {subject.values[i].dtype for i in subject.checked}
    if dtypes <= {torch.float64, torch.complex128}:
        return
    if session.eps > FLOAT32 and session.reference is None:
        allowed = session.tolerance_at(0.0).relative
        message = (
            f"Judged in its own dtype only, to within {allowed:.0%}: pass a reference to hold it to float64."
        )
        session.find("imprecise", None, message, wrong=False)
        return
    if session.reference is None or session.surrogate:
        for position in set(subject.checked) - session.named:
            _is_roughly_right(session, native, position, session.base.measured[position].right)
        return
    # One sum can come out right by luck.
    for run in (native, *(session.run(subject.values) for _ in range(DRAWS - 1))):
        right = session.reference_gradients(replace(run, values=session.base.values))
        theirs = forward_backward(session.reference, session.reference.values, run.upstream)
        for position in right.keys() - session.named:
            if theirs.gradients.get(position) is not None and session.report.ok:
                _hold_to_budget(session, run, theirs, position, right[position])


def _gradient(run: Run, position: int) -> Tensor:
    return as_gradient(run.gradients[position], run.values[position])


def _is_roughly_right(session: Session, run: Run, position: int, right: Tensor) -> None:
    yours = _gradient(run, position)
    infinite = first_index(~yours.isfinite() & right.isfinite())
    gross = first_index((yours - right).abs() > 0.5 * largest(right))
    index = gross if infinite is None else infinite
    if index is not None:
        message = (
            f"The gradient of {session.subject.name_of(position)} is right in float64 but not in "
            f"{_name(session, position)}: {_element(session, position, index, yours, right)}."
        )
        session.find("imprecise" if infinite is None else "non-finite", position, message, index)


def _hold_to_budget(session: Session, run: Run, reference: Run, position: int, right: Tensor) -> None:
    """Allow twice the reference's own error in this dtype, and a few roundings."""
    yours, theirs = _gradient(run, position), _gradient(reference, position)
    known = right.isfinite()
    if not bool(theirs.isfinite().where(known, True).all()) or not largest(right):
        return
    _is_roughly_right(session, run, position, right)
    if not session.report.ok:
        return
    sizes = torch.full_like(right, largest(right))
    if right.dim() > 1:
        rows = right.nan_to_num().abs().amax(-1, keepdim=True)
        sizes = rows.clamp(min=SMALL_ROW * largest(right)).expand_as(right)
    # The worst element beside its row, and all of them together: chance makes the one large, not the other.
    worst, typical = [], []
    for gradient in (yours, theirs):
        error = (gradient - right).where(known, 0.0)
        worst.append(float((error.abs() / sizes).max()))
        typical.append(rms(error) / rms(right))
    eps = torch.finfo(session.subject.values[position].dtype).eps
    wide, narrow = ROUNDINGS if eps > FLOAT32 else SUMMED
    name, dtype = session.subject.name_of(position), _name(session, position)
    if worst[1] > USELESS:
        message = f"{name} cannot be judged in {dtype}: the reference itself is {worst[1]:.0%} off."
        session.find("imprecise", position, message, wrong=False)
    elif worst[0] > 2 * worst[1] + wide * eps or typical[0] > 2 * typical[1] + narrow * eps:
        error = ((yours - right).abs() / sizes).where(known, 0.0)
        index = index_of_largest(error)
        message = (
            f"The gradient of {name} is off by {worst[0]:.1%} of its row's size in {dtype}, the "
            f"reference by {worst[1]:.1%}: {_element(session, position, index, yours, right)}."
        )
        session.find("imprecise", position, message, index)


def _name(session: Session, position: int) -> str:
    return str(session.subject.values[position].dtype).removeprefix("torch.")


def _element(session: Session, position: int, index: tuple[int, ...], yours: Tensor, right: Tensor) -> str:
    entry = session.subject.entry(position, index)
    return f"{entry} is {yours[index]:.6g}, should be {right[index]:.6g}"
