"""The gradient differentiated once more: a backward is a function too, and has a gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import SubjectError, differentiate, draw
from manualgrad.gradcheck.numeric.derivative import derivative
from manualgrad.gradcheck.numeric.evaluator import Evaluator
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient, like, real
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index

GROUPS = 1  # a derivative of the gradient costs a forward and a backward for each difference
BIG = 20_000  # elements of which no second derivative is measured
REFUSED = (
    "The gradient is right, but refuses to be differentiated again: gradient penalties (WGAN-GP, R1), "
    "Hessians and meta-learning raise here"
)


def second_order(session: Session) -> None:
    """Compare the derivative of ``<w, gradient>`` with numeric differences of the gradient."""
    subject, base = session.subject, session.base
    if session.named or session.surrogate or sum(base.values[i].numel() for i in subject.checked) > BIG:
        return None
    upstream = [draw(output, session.generator).requires_grad_() for output in base.outputs]
    weights: dict[int, Tensor] = {}
    second: list[Tensor | None] = []

    def twice(roots: list[Tensor], leaves: list[Tensor], used: list[Tensor]) -> Sequence[Tensor | None]:
        gradients = differentiate(roots, leaves, used, retain=True, create=True)
        known = {i: g for i, g in zip(subject.checked, gradients, strict=True) if g is not None}
        weights.update({i: draw(g.detach(), session.generator) for i, g in known.items()})
        second.extend(_differentiate(known, weights, [*leaves, *upstream]))
        return gradients

    try:
        first = session.run(base.values, upstream, backward=twice)
    except SubjectError as error:
        return session.find("second-order", None, f"{REFUSED}: {error}.", wrong=False)
    if _is_declared_once(first):
        return session.find("second-order", None, f"{REFUSED}: it is once_differentiable.", wrong=False)
    if weights:  # else there is no gradient at all, where none is due
        targets = [*(base.values[i] for i in subject.checked), *(u.detach() for u in upstream)]
        _compare(session, first, weights, targets, second)
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


def _differentiate(
    gradients: dict[int, Tensor], weights: dict[int, Tensor], targets: list[Tensor]
) -> Sequence[Tensor | None]:
    # A gradient that does not depend on anything has no graph: its derivative is zero.
    followed = [i for i, g in gradients.items() if g.requires_grad]
    if not followed:
        return [None] * len(targets)
    try:
        return differentiate([gradients[i] for i in followed], targets, [weights[i] for i in followed])
    except (Exception, SystemExit) as error:
        raise SubjectError("double backward", error) from error


def _compare(
    session: Session,
    first: Run,
    weights: dict[int, Tensor],
    targets: list[Tensor],
    second: list[Tensor | None],
) -> None:
    """Hold the second derivative against differences; arguments and upstream move as one vector."""
    sizes = [real(target).numel() for target in targets]
    positions = session.subject.checked

    def weighted(record: Run) -> list[Tensor]:
        found = ((record.gradients[i], weight) for i, weight in weights.items())
        return [real(torch.zeros_like(weight) if g is None else g.detach()) for g, weight in found]

    def gradients(x: Tensor) -> list[Tensor]:
        parts = zip(x.split(sizes), targets, strict=True)
        moved = [like(part.view(real(target).shape), target) for part, target in parts]
        values = list(session.base.values)
        for position, value in zip(positions, moved, strict=False):
            values[position] = value
        return weighted(session.run(values, moved[len(positions) :]))

    at = torch.cat([real(target).reshape(-1) for target in targets])
    claimed = torch.cat([as_gradient(g, t).reshape(-1) for g, t in zip(second, targets, strict=True)])
    noise = max(session.eps, *(g.noise for g in session.base.measured.values()))
    evaluator = Evaluator(gradients, at, weighted(first), [real(w) for w in weights.values()], noise)
    strict = session.tolerance_at(noise)
    tolerance = Tolerance(max(1e-4, strict.relative), max(1e-5, strict.scaled))
    estimate = derivative(evaluator, claimed, tolerance, session.generator, GROUPS)
    error = estimate.error.nan_to_num(0.0, 0.0)
    index = first_index(~close(claimed, estimate.value, tolerance, error) & ~estimate.kink)
    if index is None:
        return
    k, place = 0, index[0]
    while place >= sizes[k]:
        k, place = k + 1, place - sizes[k]
    position = positions[k] if k < len(positions) else None
    name = "grad_output" if position is None else session.subject.name_of(position)
    element = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), real(targets[k]).shape))
    message = (
        f"The gradient is right, but its own derivative with respect to {name} is not, and nothing raises: "
        f"at {name}{list(element) if element else ''} it is {claimed[index]:.6g}, should be "
        f"{estimate.value[index]:.6g}. Something in backward is cut off from the graph, or the "
        "upstream of another result goes unused."
    )
    session.find("second-order", "grad_output" if position is None else position, message, element)
