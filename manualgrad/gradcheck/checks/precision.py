"""The gradient in the caller's own dtype: what it loses beside float64, and what it must lose."""

from dataclasses import replace

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import forward_backward
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import SubjectError, as_gradient
from manualgrad.gradcheck.tolerance import first_index, index_of_largest, largest

DRAWS = 3  # of upstream gradients
# Roundings that may be lost beyond twice what the reference loses. Half types are summed in float32 and
# rounded once; float32 is summed in itself.
ROUNDINGS, SUMMED = 4, 64
USELESS = 0.1  # the relative error at which a reference judges nobody
SMALL_ROW = 1e-2  # of the largest element: rows that are smaller are not judged at their own size
FLOAT32 = 1e-6  # what is coarser than this eps is coarser than float32


def own_dtype(session: Session) -> None:
    """Compare the gradient in the caller's dtype with float64's; a reference says what that must lose."""
    subject, native, reference = session.subject, session.native, session.reference
    dtypes = {o.dtype for o in native.outputs} | {subject.values[i].dtype for i in subject.checked}
    if dtypes == {torch.float64}:
        return
    if reference is None and session.eps > FLOAT32:
        allowed = f"to within {session.tolerance_at(0.0).relative:.0%}"
        message = f"Judged in its own dtype only, {allowed}: pass a reference to hold it to float64."
        session.find("imprecise", None, message, wrong=False)
    elif reference is None or session.surrogate:
        for position, measurement in session.base.measured.items():
            _judge(session, native, position, measurement.right, None)
    else:  # one sum can come out right by luck
        for run in (native, *(session.run(subject.values) for _ in range(DRAWS - 1))):
            try:
                theirs = forward_backward(reference, reference.values, run.upstream).gradients
            except SubjectError:  # it may know float64 only
                return
            exact = replace(run, values=session.base.values)
            for position, right in session.reference_gradients(exact).items():
                if theirs.get(position) is not None:
                    other = as_gradient(theirs[position], run.values[position])
                    _judge(session, run, position, right, other)


def _judge(session: Session, run: Run, position: int, right: Tensor, theirs: Tensor | None) -> None:
    """Hold one gradient to the right one, and to the reference's in the same dtype."""
    if position in session.named or not largest(right):
        return
    known, yours = right.isfinite(), as_gradient(run.gradients[position], run.values[position])
    if theirs is not None and not bool(theirs[known].isfinite().all()):
        return
    eps = torch.finfo(run.values[position].dtype).eps
    dtype = str(run.values[position].dtype).removeprefix("torch.")
    for kind, is_off in (
        ("non-finite", ~yours.isfinite() & known),
        ("imprecise", (yours - right).abs() > 0.5 * largest(right)),
    ):
        index = first_index(is_off)
        if index is not None:
            what = f"is right in float64 but not in {dtype}"
            session.find_element(kind, position, what, index, yours, right)
            return
    if theirs is None:
        return
    sizes = right.nan_to_num().abs().amax(-1, keepdim=True).clamp(min=SMALL_ROW * largest(right))
    errors = [((gradient - right) / sizes).abs().where(known, 0.0) for gradient in (yours, theirs)]
    worst = [float(error.max()) for error in errors]
    if worst[1] > USELESS:
        name = session.subject.name_of(position)
        message = f"{name} cannot be judged in {dtype}: the reference itself is {worst[1]:.0%} off."
        session.find("imprecise", position, message, wrong=False)
    elif worst[0] > 2 * worst[1] + (ROUNDINGS if eps > FLOAT32 else SUMMED) * eps:
        what = f"is off by {worst[0]:.1%} of its row's size in {dtype}, the reference by {worst[1]:.1%}"
        session.find_element("imprecise", position, what, index_of_largest(errors[0]), yours, right)
