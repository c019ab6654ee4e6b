"""The gradient differentiated once more: a backward is a function too, and has a gradient."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.session import Session
from manualgrad.gradcheck.judge import random_upstream
from manualgrad.gradcheck.numeric.derivative import agrees, derivative
from manualgrad.gradcheck.numeric.evaluator import Evaluator
from manualgrad.gradcheck.running import Run, SubjectError, run
from manualgrad.gradcheck.subject import as_gradient, real
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index

MOST_DIRECTIONS = 24  # a derivative of the gradient costs a forward and a backward each
BIG = 20_000  # elements of which no second derivative is measured
REFUSED = (
    "The gradient is right, but refuses to be differentiated again: gradient penalties (WGAN-GP, R1), "
    "Hessians and meta-learning raise here"
)


def second_order(session: Session) -> None:
    """Compare the derivative of ``<w, gradient>`` with numeric differences of the gradient."""
    subject, values = session.subject, session.base.values
    if session.named or session.surrogate or sum(values[i].numel() for i in subject.checked) > BIG:
        return None
    upstreams: list[Tensor] = []

    def upstream(outputs: Sequence[Tensor]) -> list[Tensor]:
        drawn = session.upstream()([o.detach() for o in outputs])
        upstreams[:] = [u.requires_grad_() for u in drawn]
        return upstreams

    weights: dict[int, Tensor] = {}
    second: list[Tensor | None] = []

    def differentiate(first: Run) -> None:
        weights.update(_weights(session, first))
        second.extend(_differentiate(first, weights, [*first.leaves.values(), *upstreams]))

    try:
        first = run(subject, values, upstream, then=differentiate)
    except SubjectError as error:
        return session.find("second-order", None, f"{REFUSED}: {error}.", wrong=False)
    if _is_declared_once(first):
        return session.find("second-order", None, f"{REFUSED}: it is once_differentiable.", wrong=False)
    if not weights:  # no gradient at all, where none is due
        return None
    frozen = [u.detach() for u in upstreams]
    for k, target in enumerate([*first.leaves.values(), *upstreams]):
        claimed = as_gradient(second[k], target)
        if not claimed.numel():
            continue
        moved = partial(_gradients_at, session, first, weights, frozen, k)
        if _is_wrong(session, k, first, moved, tuple(map(real, weights.values())), target.detach(), claimed):
            return None
    return None


def _is_declared_once(first: Run) -> bool:
    """Return whether ``once_differentiable`` is in the gradients' graph: its node raises if it is reached."""
    stack, seen = [g.grad_fn for g in first.gradients.values() if g is not None], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        if node.name().endswith("Error"):
            return True
        seen.add(node)
        stack += [following for following, _ in node.next_functions]
    return False


def _weights(session: Session, first: Run) -> dict[int, Tensor]:
    draw = random_upstream(session.generator)
    return {i: draw([g.detach()])[0] for i, g in first.gradients.items() if g is not None}


def _differentiate(first: Run, weights: dict[int, Tensor], targets: list[Tensor]) -> Sequence[Tensor | None]:
    gradients = {i: g for i, g in first.gradients.items() if g is not None and g.requires_grad}
    # A gradient that does not depend on anything has no graph: its derivative is zero.
    if not gradients:
        return [None] * len(targets)
    try:
        return torch.autograd.grad(
            list(gradients.values()), targets, [weights[i] for i in gradients], allow_unused=True
        )
    except (Exception, SystemExit) as error:
        raise SubjectError("double backward", error) from error


def _gradients_at(
    session: Session, first: Run, weights: dict[int, Tensor], frozen: list[Tensor], k: int, x: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients with one argument or upstream gradient moved."""
    values, upstream = list(session.base.values), list(frozen)
    positions = list(first.leaves)
    if k < len(positions):
        values[positions[k]] = torch.view_as_complex(x) if values[positions[k]].is_complex() else x
    else:
        j = k - len(positions)
        upstream[j] = torch.view_as_complex(x) if upstream[j].is_complex() else x
    record = run(session.subject, values, lambda _: upstream, recorded=False)
    moved = {i: record.gradients[i] for i in weights}
    return tuple(real(torch.zeros_like(weights[i]) if g is None else g.detach()) for i, g in moved.items())


def _is_wrong(
    session: Session,
    k: int,
    first: Run,
    moved: Any,
    weights: tuple[Tensor, ...],
    target: Tensor,
    claimed: Tensor,
) -> bool:
    noise = max(session.judge.eps, *session.base.noise.values())
    evaluator = Evaluator(moved, real(target), batched=False, noise=noise)
    strict = session.judge.tolerance_at(noise)
    tolerance = Tolerance(max(1e-4, strict.relative), max(1e-5, strict.scaled))
    if agrees(evaluator, weights, claimed, tolerance, session.generator):
        return False
    estimate = derivative(evaluator, weights, claimed, tolerance, MOST_DIRECTIONS, session.generator)
    error = estimate.error.nan_to_num(0.0, 0.0)
    index = first_index(~close(claimed, estimate.value, tolerance, error) & ~estimate.kink)
    if index is None:
        return False
    position = list(first.leaves)[k] if k < len(first.leaves) else None
    name = "grad_output" if position is None else session.subject.name_of(position)
    message = (
        f"The gradient is right, but its own derivative with respect to {name} is not, and nothing raises: "
        f"at {name}{list(index) if index else ''} it is {claimed[index]:.6g}, should be "
        f"{estimate.value[index]:.6g}. Something in backward is cut off from the graph."
    )
    session.find("second-order", position, message, index)
    if position is None:
        last = session.report.findings.pop()
        session.report.findings.append(replace(last, argument="grad_output"))
    return True
