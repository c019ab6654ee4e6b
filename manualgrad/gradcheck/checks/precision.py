"""The gradient in the caller's own dtype: what it loses beside float64, and what it must lose."""

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.session import Session, same_upstream
from manualgrad.gradcheck.running import SubjectError, run
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import first_index, largest

ROUNDINGS = 2  # that a gradient may lose beyond twice what the reference does
USELESS = 0.1  # the relative error at which a reference judges nobody
SMALL_ROW = 1e-2  # of the largest element: rows that are smaller are not judged at their own size
FLOAT32 = 1e-6  # what is coarser than this eps is coarser than float32


def own_dtype(session: Session) -> None:
    """Compare the gradient in the caller's dtype with float64's; a reference says what that must lose."""
    subject, native, judge = session.subject, session.native, session.judge
    dtypes = {o.dtype for o in native.outputs} | {subject.values[i].dtype for i in subject.checked}
    if dtypes <= {torch.float64, torch.complex128}:
        return
    if judge.eps > FLOAT32 and session.reference is None:
        allowed = judge.tolerance_at(0.0).relative
        message = (
            f"Judged in its own dtype only, to within {allowed:.0%}: pass a reference to hold it to float64."
        )
        session.find("imprecise", None, message, wrong=False)
        return
    exact = tuple(u.to(torch.promote_types(u.dtype, torch.float64)) for u in native.upstream)
    precise = judge.point(session.base.values, same_upstream(exact))
    theirs = {}
    if session.reference is not None and not session.surrogate:
        try:
            theirs = run(
                session.reference, session.reference.values, same_upstream(native.upstream)
            ).gradients
        except SubjectError:
            theirs = {}
    for position in (i for i in subject.checked if i not in session.named):
        value, right = subject.values[position], precise.right[position]
        yours = as_gradient(native.gradients[position], value)
        if theirs.get(position) is None:
            _is_roughly_right(session, position, yours, right)
        else:
            _hold_to_budget(session, position, yours, as_gradient(theirs[position], value), right)


def _is_roughly_right(session: Session, position: int, yours: Tensor, right: Tensor) -> None:
    infinite = first_index(~yours.isfinite() & right.isfinite())
    gross = first_index((yours - right).abs() > 0.5 * largest(right))
    index = gross if infinite is None else infinite
    if index is not None:
        message = (
            f"The gradient of {session.subject.name_of(position)} is right in float64 but not in "
            f"{_name(session, position)}: {_element(session, position, index, yours, right)}."
        )
        session.find("imprecise" if infinite is None else "non-finite", position, message, index)


def _hold_to_budget(session: Session, position: int, yours: Tensor, theirs: Tensor, right: Tensor) -> None:
    """Allow twice the reference's own error in this dtype, and a few roundings."""
    known = right.isfinite()
    if not bool(theirs.isfinite().where(known, True).all()) or not largest(right):
        return
    _is_roughly_right(session, position, yours, right)
    if not session.report.ok:
        return
    sizes = torch.full_like(right, largest(right))
    if right.dim() > 1:
        sizes = (
            right.nan_to_num()
            .abs()
            .amax(-1, keepdim=True)
            .clamp(min=SMALL_ROW * largest(right))
            .expand_as(right)
        )
    mine, reference = (((g - right).abs() / sizes).where(known, 0.0) for g in (yours, theirs))
    allowed = float(reference.max())
    name, dtype = session.subject.name_of(position), _name(session, position)
    if allowed > USELESS:
        message = f"{name} cannot be judged in {dtype}: the reference itself is {allowed:.0%} off."
        session.find("imprecise", position, message, wrong=False)
    elif (
        float(mine.max()) > 2 * allowed + ROUNDINGS * torch.finfo(session.subject.values[position].dtype).eps
    ):
        index = tuple(int(k) for k in torch.unravel_index(mine.argmax(), right.shape))
        message = (
            f"The gradient of {name} is off by {float(mine.max()):.1%} of its row's size in {dtype}, the "
            f"reference by {allowed:.1%}: {_element(session, position, index, yours, right)}."
        )
        session.find("imprecise", position, message, index)


def _name(session: Session, position: int) -> str:
    return str(session.subject.values[position].dtype).removeprefix("torch.")


def _element(session: Session, position: int, index: tuple[int, ...], yours: Tensor, right: Tensor) -> str:
    entry = session.subject.entry(position, index)
    return f"{entry} is {yours[index]:.6g}, should be {right[index]:.6g}"
