"""The values of a gradient: judged at the caller's inputs, and named where they are wrong."""

import math
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.session import Session
from manualgrad.gradcheck.diagnoses import diagnose
from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.judge import Judge, Point
from manualgrad.gradcheck.numeric.evaluator import STAIRCASE
from manualgrad.gradcheck.recording import Around
from manualgrad.gradcheck.running import Run, SubjectError, Upstream, run
from manualgrad.gradcheck.subject import Subject, as_gradient, cast, real
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index

SURROGATE = "If backward is meant to be another function's gradient (straight-through), pass it as surrogate."


def at_the_inputs(session: Session) -> None:
    """Judge the gradient at the caller's inputs, in float64 where the function computes the same in it."""
    subject = session.subject
    values = _working_values(session)
    eps = max(torch.finfo(values[i].dtype).eps for i in subject.checked)
    session.judge = Judge(
        subject, session.reference, session.surrogate, eps, session.tolerance, session.generator
    )
    session.base = session.judge.point(values, session.upstream())
    session.show(session.base)


def _working_values(session: Session) -> list[Any]:
    subject, native = session.subject, session.native
    values = cast(subject.values, torch.float64)
    try:
        precise = run(subject, values, session.upstream())
    except SubjectError:
        return subject.values
    double = {torch.float64, torch.complex128}
    # A backward that casts to the caller's dtype by name is judged in that.
    returned = {r.gradient.dtype for r in precise.returned if r.gradient is not None}
    if returned - double or len(precise.outputs) != len(native.outputs):
        return subject.values
    for ours, theirs in zip(precise.outputs, native.outputs, strict=True):
        if ours.shape != theirs.shape or ours.dtype not in double:
            return subject.values
        half = torch.finfo(theirs.dtype).eps ** 0.5
        coarse = Tolerance(half, half, 1e-30)
        if not bool(close(theirs.to(ours.dtype), ours, coarse).all()):
            return subject.values
    return values


def forward_agrees(session: Session) -> None:
    """Compare the forward with the reference's."""
    reference = session.reference
    if reference is None or session.surrogate:
        return
    try:
        theirs = reference.call(session.base.values[: len(reference.values)])
    except Exception:
        try:  # it may know the caller's dtype only
            theirs = reference.call(reference.values)
        except Exception as error:
            raise ValueError(f"the reference raised {type(error).__name__}: {error}") from error
    # In the caller's own dtype: the function may hold constants that the cast to float64 does not reach.
    coarse = max(torch.finfo(session.subject.values[i].dtype).eps for i in session.subject.checked)
    results = [t.detach() for t in theirs if t.is_floating_point() or t.is_complex()]
    difference = session.judge.forward_difference(session.base.run.outputs, results, coarse)
    if difference and session.subject.seed is None:  # what draws in another order is no other function
        session.find("unknown", None, f"The forward itself {difference}. Its gradient is judged numerically.")


def values_are_right(session: Session) -> None:
    """Name what is wrong at the caller's inputs, and count what could not be judged."""
    name_wrong(session, session.base)
    for position in session.subject.checked:
        if position not in session.named:
            _count_unjudged(session, position)
    session.judged = True


def _count_unjudged(session: Session, position: int) -> None:
    point, name = session.base, session.subject.name_of(position)
    unknown = ~point.right[position].isfinite()
    index = first_index(unknown)
    if index is None:
        return
    count, total = int(unknown.sum()), unknown.numel()
    if point.noise[position] >= STAIRCASE and position not in point.reference:
        session.find(
            "unknown",
            position,
            f"{name} moves the result in steps coarser than float32's: it has no derivative to compare with. "
            f"{SURROGATE}",
        )
    elif count == total and bool(point.numeric[position].error.isfinite().all()):
        session.find(
            "unknown",
            position,
            f"The gradient of {name} could not be judged: the function is too noisy. Pass a reference, or "
            "rtol.",
        )
    elif total <= 1024 or count < total // 2:  # of a big tensor a sample is looked at, and the rest is as it
        value = float(real(point.values[position])[index])
        session.find(
            "kink",
            position,
            f"{count} of {total} elements could not be judged: the slope is not known at "
            f"{session.subject.entry(position, index)} = {value:.4g}; yours is "
            f"{point.yours[position][index]:.4g}.",
            index,
            wrong=False,
        )


def name_wrong(session: Session, point: Point, *, is_probe: bool = False) -> None:
    """Say what is wrong at a point, argument by argument."""
    subject = session.subject
    for position, estimate in point.numeric.items():
        kinks = estimate.kink & ~point.wrong[position]
        index = first_index(kinks)
        if index is not None and position not in session.named and not is_probe:
            session.find("kink", position, _kink(subject, point, position, index), index, wrong=False)
    suspects = [i for i, mask in point.wrong.items() if bool(mask.any()) and i not in session.named]
    if not suspects:
        return
    points = [point, *_more_points(session, point)]
    where = (
        f"Right at the inputs you gave; with {point.where} (magnitudes=False leaves this out): " * is_probe
    )
    for position in suspects:
        mask = point.wrong[position]
        at_kinks = point.numeric[position].kink & point.yours[position].isfinite()
        if not bool((mask & ~at_kinks).any()):
            index = first_index(mask)
            assert index is not None
            session.find("kink", position, where + _kink(subject, point, position, index), index)
            session.named.add(position)
            continue
        case = Case(
            position,
            [subject.name_of(i) for i in range(len(subject.names))],
            [p for p in points if bool(p.wrong[position].any())],
            partial(_rerun, subject, position),
            partial(_right_for, session.judge, position),
            partial(session.judge.jacobian, position),
        )
        kind, sentence = diagnose(case)
        index = point.worst_index(position)
        worked_out = "" if "no known mistake" in sentence else f" {case.element(index)}."
        flat = not bool(point.right[position][mask & ~at_kinks].any())
        # A probe may lie out of the domain, where the function is constant or otherwise another one.
        wrong = not is_probe or (kind != "unknown" and not flat) or kind == "non-finite"
        session.find(kind, position, f"{where}{sentence}{worked_out}", index, wrong=wrong)
        session.named.add(position)


def _kink(subject: Subject, point: Point, position: int, index: tuple[int, ...]) -> str:
    """Set the element's gradient beside the slopes on its left and right."""
    estimate, yours = point.numeric[position], float(point.yours[position][index])
    left, right = float(estimate.left[index]) + 0.0, float(estimate.right[index]) + 0.0  # no minus zero
    says = (
        f"{subject.entry(position, index)} is at a kink: the slope is {left:.6g} from the left and "
        f"{right:.6g} from the right"
    )
    if not bool(point.wrong[position][index]):
        return f"{says}. Yours, {yours:.6g}, lies between them and is allowed."
    if position in point.reference:
        theirs = float(point.reference[position][index]) + 0.0
        return f"{says}. Yours is {yours:.6g}, the reference has {theirs:.6g}."
    return f"{says}. Yours, {yours:.6g}, does not lie between them."


def _more_points(session: Session, point: Point) -> list[Point]:
    """Take the same point with another upstream gradient, and a point nearby with the same signs."""
    nearby = list(point.values)
    for i in session.subject.checked:
        stretch = torch.rand(nearby[i].shape, generator=session.generator) * 0.5 + 0.75
        nearby[i] = nearby[i] * stretch.to(nearby[i])
    found = []
    for values in (point.values, nearby):
        try:
            more = session.judge.point(values, session.upstream())
        except SubjectError:
            continue
        if all(bool(output.isfinite().all()) for output in more.run.outputs):
            found.append(more)
    return found


def _rerun(
    subject: Subject, position: int, point: Point, upstream: Upstream, around: Around = nullcontext
) -> Tensor | None:
    try:
        record = run(subject, point.values, upstream, around=around)
    except SubjectError:
        return None
    return as_gradient(record.gradients[position], point.values[position])


def _right_for(judge: Judge, position: int, point: Point, upstream: tuple[Tensor, ...]) -> Tensor:
    record: Run = replace(point.run, upstream=upstream)
    if position in point.reference:
        return judge.reference_gradients(point.values, record)[position]
    blind = torch.full_like(point.yours[position], math.nan)
    return judge.numeric(point.values, position, record, blind)[0].value
