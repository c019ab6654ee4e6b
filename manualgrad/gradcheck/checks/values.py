"""The values of a gradient: judged at the caller's inputs, and named where they are wrong."""

import math
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses import diagnose
from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.numeric.evaluator import STAIRCASE
from manualgrad.gradcheck.point import ArgumentGradient, Point
from manualgrad.gradcheck.running import SubjectError, Upstream
from manualgrad.gradcheck.session import MisuseError, Session
from manualgrad.gradcheck.subject import as_gradient, real
from manualgrad.gradcheck.tolerance import first_index

SURROGATE = "If backward is meant to be another function's gradient (straight-through), pass it as surrogate."


def at_the_inputs(session: Session) -> None:
    """Judge the gradient at the caller's inputs, in float64 where the function computes the same in it."""
    session.show(session.base)


def forward_agrees(session: Session) -> None:
    """Compare the forward with the reference's."""
    reference = session.reference
    if reference is None or session.surrogate:
        return
    try:
        theirs = reference.evaluate(session.base.values[: len(reference.values)])
    except Exception:
        try:  # it may know the caller's dtype only
            theirs = reference.evaluate(reference.values)
        except Exception as error:
            raise MisuseError(f"the reference raised {type(error).__name__}: {error}") from error
    # In the caller's own dtype: the function may hold constants that the cast to float64 does not reach.
    coarse = max(torch.finfo(session.subject.values[i].dtype).eps for i in session.subject.checked)
    difference = session.forward_difference(session.base.run.outputs, theirs, coarse)
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
    gradient, name = session.base.gradients[position], session.subject.name_of(position)
    unknown = ~gradient.right.isfinite()
    index = first_index(unknown)
    if index is None:
        return
    count, total = int(unknown.sum()), unknown.numel()
    if gradient.noise >= STAIRCASE and gradient.reference is None:
        message = (
            f"{name} moves the result in steps coarser than float32's: it has no derivative to compare with."
        )
        session.find("unknown", position, f"{message} {SURROGATE}")
    elif count == total and bool(gradient.numeric.error.isfinite().all()):
        message = f"The gradient of {name} could not be judged: the function is too noisy."
        session.find("unknown", position, f"{message} Pass a reference, or rtol.")
    elif total <= 1024 or count < total // 2:  # of a big tensor a sample is looked at, and the rest is as it
        value, yours = float(real(session.base.values[position])[index]), float(gradient.yours[index])
        where = f"{session.subject.entry(position, index)} = {value:.4g}; yours is {yours:.4g}"
        message = f"{count} of {total} elements could not be judged: the slope is not known at {where}."
        session.find("kink", position, message, index, wrong=False)


def name_wrong(session: Session, point: Point, *, is_probe: bool = False) -> None:
    """Say what is wrong at a point, argument by argument."""
    for position in session.subject.checked:
        gradient = point.gradients[position]
        index = first_index(gradient.numeric.kink & ~gradient.wrong)
        if index is not None and position not in session.named and not is_probe:
            session.find("kink", position, _kink(session, gradient, position, index), index, wrong=False)
    suspects = [i for i, g in point.gradients.items() if g.is_wrong and i not in session.named]
    points = [point, *_more_points(session, point)] if suspects else []
    for position in suspects:
        _name(session, [p for p in points if p.gradients[position].is_wrong], position, is_probe)
        session.named.add(position)


def _name(session: Session, points: list[Point], position: int, is_probe: bool) -> None:
    subject, gradient = session.subject, points[0].gradients[position]
    where = ""
    if is_probe:
        where = f"Right at the inputs as they are; with {points[0].where}: "
    elsewhere = gradient.wrong & ~(gradient.numeric.kink & gradient.yours.isfinite())
    index = first_index(gradient.wrong)
    if index is not None and not bool(elsewhere.any()):
        session.find("kink", position, where + _kink(session, gradient, position, index), index)
        return
    case = Case(
        position,
        [subject.name_of(i) for i in range(len(subject.names))],
        points,
        partial(_rerun, session, position),
        partial(_right, session, position),
        lambda point: session.evaluator(point.run, position).jacobian(),
    )
    kind, sentence = diagnose(case)
    index = gradient.worst_index()
    figures = case.element(index)
    worked_out = "" if "no known mistake" in sentence else f" {figures}."
    # A probe may lie out of the domain, where the function is constant or otherwise another one.
    is_flat = not bool(gradient.right[elsewhere].any())
    wrong = not is_probe or (kind != "unknown" and not is_flat) or kind == "non-finite"
    session.find(kind, position, f"{where}{sentence}{worked_out}", index, wrong=wrong, figures=figures)


def _kink(session: Session, gradient: ArgumentGradient, position: int, index: tuple[int, ...]) -> str:
    """Set the element's gradient beside the slopes on its left and right."""
    estimate, yours = gradient.numeric, float(gradient.yours[index])
    left, right = float(estimate.left[index]) + 0.0, float(estimate.right[index]) + 0.0  # no minus zero
    says = (
        f"{session.subject.entry(position, index)} is at a kink: the slope is {left:.6g} from the left and "
        f"{right:.6g} from the right"
    )
    if not bool(gradient.wrong[index]):
        return f"{says}. Yours, {yours:.6g}, lies between them and is allowed."
    if gradient.reference is not None:
        theirs = float(gradient.reference[index]) + 0.0
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
            record = session.forward_backward(values)
        except SubjectError:
            continue
        if all(bool(output.isfinite().all()) for output in record.outputs):
            found.append(session.judge(record))
    return found


def _rerun(
    session: Session, position: int, point: Point, upstream: Upstream, around: AbstractContextManager[Any]
) -> Tensor | None:
    try:
        record = session.forward_backward(point.values, upstream, around=around)
    except SubjectError:
        return None
    return as_gradient(record.gradients[position], point.values[position])


def _right(session: Session, position: int, point: Point, upstream: tuple[Tensor, ...]) -> Tensor:
    record, gradient = replace(point.run, upstream=upstream), point.gradients[position]
    if gradient.reference is not None:
        return session.reference_gradients(record)[position]
    blind = torch.full_like(gradient.yours, math.nan)
    return session.numeric(record, position, blind)[0].value
