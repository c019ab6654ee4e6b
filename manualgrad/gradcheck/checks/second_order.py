"""The gradient differentiated once more: a backward is a function too, and has a gradient."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.session import Session
from manualgrad.gradcheck.judge import random_upstream
from manualgrad.gradcheck.numeric.derivative import derivative
from manualgrad.gradcheck.numeric.evaluator import Evaluator
from manualgrad.gradcheck.running import Run, SubjectError, run
from manualgrad.gradcheck.subject import as_gradient, real
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index

GROUPS = 1  # a derivative of the gradient costs a forward and a backward each
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
    targets = [*first.leaves.values(), *upstreams]
    claimed = [as_gradient(g, target) for g, target in zip(second, targets, strict=True)]
    _compare(session, first, weights, [t.detach() for t in targets], claimed)
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


def _compare(
    session: Session, first: Run, weights: dict[int, Tensor], targets: list[Tensor], claimed: list[Tensor]
) -> None:
    """Hold the claimed second derivative against differences; arguments and upstream move as one vector."""
    shapes = [real(t).shape for t in targets]

    def gradients(x: Tensor) -> list[Tensor]:
        values = list(session.base.values)
        parts = [
            part.view(shape) for part, shape in zip(x.split([s.numel() for s in shapes]), shapes, strict=True)
        ]
        moved = [
            (torch.view_as_complex(part.clone()) if target.is_complex() else part).to(target)
            for part, target in zip(parts, targets, strict=True)
        ]
        for position in first.leaves:
            values[position] = moved.pop(0)
        record = run(session.subject, values, lambda _: moved, recorded=False)
        return [
            real(torch.zeros_like(w) if g is None else g.detach())
            for w, g in ((w, record.gradients[i]) for i, w in weights.items())
        ]

    noise = max(session.judge.eps, *session.base.noise.values())
    at, flat = (torch.cat([real(t).reshape(-1) for t in tensors]) for tensors in (targets, claimed))
    evaluator = Evaluator(gradients, at, [real(w) for w in weights.values()], noise)
    strict = session.judge.tolerance_at(noise)
    tolerance = Tolerance(max(1e-4, strict.relative), max(1e-5, strict.scaled))
    estimate = derivative(evaluator, flat, tolerance, session.generator, GROUPS)
    error = estimate.error.nan_to_num(0.0, 0.0)
    index = first_index(~close(flat, estimate.value, tolerance, error) & ~estimate.kink)
    if index is None:
        return
    k, place = 0, index[0]
    while place >= shapes[k].numel():
        place -= shapes[k].numel()
        k += 1
    position = list(first.leaves)[k] if k < len(first.leaves) else None
    name = "grad_output" if position is None else session.subject.name_of(position)
    element = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), shapes[k]))
    message = (
        f"The gradient is right, but its own derivative with respect to {name} is not, and nothing raises: "
        f"at {name}{list(element) if element else ''} it is {flat[index]:.6g}, should be "
        f"{estimate.value[index]:.6g}. Something in backward is cut off from the graph."
    )
    session.find("second-order", position, message, element)
    if position is None:
        last = session.report.findings.pop()
        session.report.findings.append(replace(last, argument="grad_output"))
