"""The values of a gradient: judged at the caller's inputs, and named where they are wrong."""

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses import diagnose
from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.numeric import STAIRCASE
from manualgrad.gradcheck.run import Measurement, Run
from manualgrad.gradcheck.session import Session, forward_difference
from manualgrad.gradcheck.tolerance import first_index

MOST = 2_000  # elements of an argument that a diagnosis looks at


def at_the_inputs(session: Session) -> None:
    """Judge the gradient at the caller's inputs, in float64 where the function computes the same in it."""
    session.show(session.base)


def forward_agrees(session: Session) -> None:
    """Compare the forward with the reference's."""
    reference = session.reference
    if reference is None or session.surrogate:
        return
    theirs = session.reference_results(session.base.values)
    # In the caller's own dtype: the function may hold constants that the cast to float64 does not reach.
    coarse = max(torch.finfo(session.subject.values[i].dtype).eps for i in session.subject.checked)
    difference = forward_difference(session.base.outputs, theirs, coarse, session.tolerance)
    if difference and session.subject.seed is None:  # what draws in another order is no other function
        session.find("unknown", None, f"The forward itself {difference}. Its gradient is judged numerically.")


def values_are_right(session: Session) -> None:
    """Name what is wrong at the caller's inputs, and count what could not be judged."""
    measured = {i: m for i, m in session.base.measured.items() if i not in session.named}
    for position, m in measured.items():
        index = first_index(m.numeric.kink & ~m.wrong)
        if index is not None:
            session.find("kink", position, _kink(m, index), index, wrong=False)
    name_wrong(session, session.base)
    for position, m in measured.items():
        if position not in session.named:
            _count_unjudged(session, m)


def _count_unjudged(session: Session, m: Measurement) -> None:
    unknown = ~m.right.isfinite()
    index = first_index(unknown)
    if index is None:
        return
    count, total = int(unknown.sum()), unknown.numel()
    if m.noise >= STAIRCASE and m.reference is None:
        message = (
            f"{m.name} moves the result in steps coarser than float32's: it has no derivative to compare "
            "with. If backward is meant to be another function's gradient (straight-through), pass it as "
            "surrogate."
        )
        session.find("unknown", m.position, message)
    elif count == total and bool(m.numeric.error.isfinite().all()):
        message = f"The gradient of {m.name} could not be judged: the function is too noisy."
        session.find("unknown", m.position, f"{message} Pass a reference, or rtol.")
    elif total <= 1024 or count < total // 2:  # of a big tensor a sample is looked at, and the rest is as it
        value, yours = float(m.run.values[m.position][index]), float(m.yours[index])
        where = f"{m.entry(index)} = {value:.4g}; yours is {yours:.4g}"
        message = f"{count} of {total} elements could not be judged: the slope is not known at {where}."
        session.find("kink", m.position, message, index, wrong=False)


def name_wrong(session: Session, run: Run, probe: str = "") -> None:
    """Say what is wrong in a judged run, argument by argument; a probe says how its inputs were changed."""
    for position, m in run.measured.items():
        if m.is_wrong and position not in session.named:
            _name(session, run, position, probe)
            session.named.add(position)


def _name(session: Session, run: Run, position: int, probe: str) -> None:
    m = run.measured[position]
    where = f"Right at the inputs as they are; with {probe}: " if probe else ""
    elsewhere = m.wrong & ~(m.numeric.kink & m.yours.isfinite())
    index = m.worst_index()
    if not bool(elsewhere.any()):
        session.find("kink", position, where + _kink(m, index), index)
        return
    first = _few_rows(session, run, position)
    runs = [r for r in (first, *_more_runs(session, first)) if r.measured[position].is_wrong]
    case = whole = Case(session, position, runs)
    if first is not run:
        whole = Case(session, position, [run])
    kind, sentence = diagnose(case, whole, session.explain)
    figures = whole.element(index)
    worked_out = "" if "no known mistake" in sentence else f" {figures}."
    # A probe may lie out of the domain, where the function is constant or otherwise another one.
    is_flat = not bool(m.right[elsewhere].any())
    wrong = not probe or (kind != "unknown" and not is_flat) or kind == "non-finite"
    session.find(kind, position, f"{where}{sentence}{worked_out}", index, wrong=wrong, figures=figures)


def _kink(m: Measurement, index: tuple[int, ...]) -> str:
    """Set the element's gradient beside the slopes on its left and right."""
    left, right = float(m.numeric.left[index]) + 0.0, float(m.numeric.right[index]) + 0.0  # no minus zero
    slopes = f"the slope is {left:.6g} from the left and {right:.6g} from the right"
    yours = f"{m.entry(index)} is at a kink: {slopes}. Yours, {float(m.yours[index]):.6g},"
    if not bool(m.wrong[index]):
        return f"{yours} lies between them and is allowed."
    if m.reference is not None:
        return f"{yours} is not the reference's, {float(m.reference[index]) + 0.0:.6g}."
    return f"{yours} does not lie between them."


def _few_rows(session: Session, run: Run, position: int) -> Run:
    """Run on a few rows of a big argument, the worst among them: a diagnosis tries much. If right, on all."""
    value = run.values[position]
    rows = max(3, MOST * len(value) // value.numel()) if value.numel() > MOST else 0
    start = max(0, min(run.measured[position].worst_index()[0] - rows // 2, len(value) - rows)) if rows else 0
    for shared in (1, value.dim()) if rows else ():  # of the sizes: what has as many rows is cut, too
        values = list(run.values)
        for i, other in enumerate(values):
            if isinstance(other, Tensor) and other.shape[:shared] == value.shape[:shared]:
                values[i] = other[start : start + rows]
        fewer = session.judged(values)
        if fewer is not None and fewer.measured[position].is_wrong:
            return fewer
    return run


def _more_runs(session: Session, run: Run) -> list[Run]:
    """Run at the same inputs with another upstream gradient, and at inputs nearby with the same signs."""
    nearby = list(run.values)
    for i in session.subject.checked:
        stretch = torch.rand(nearby[i].shape, generator=session.generator) * 0.5 + 0.75
        nearby[i] = nearby[i] * stretch.to(nearby[i])
    return [more for values in (run.values, nearby) if (more := session.judged(values)) is not None]
