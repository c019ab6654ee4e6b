"""The gradient differentiated once more: a backward is a function too, and has a gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import SubjectError, differentiate, draw, nodes_behind
from manualgrad.gradcheck.numeric import Differences, gradient
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index

GROUPS = 1  # a derivative of the gradient costs a forward and a backward for each difference
BIG = 20_000  # elements of which no second derivative is measured
REFUSED = (
    "The gradient is right, but refuses to be differentiated again: gradient penalties (WGAN-GP, R1), "
    "Hessians and meta-learning raise here"
)


def differentiate_again(session: Session) -> None:
    """Compare the derivative of ``<w, gradient>`` with numeric differences of the gradient."""
    base, positions = session.base, session.subject.checked
    if session.named or session.surrogate or sum(base.values[i].numel() for i in positions) > BIG:
        return None
    upstream = [draw(output, session.generator).requires_grad_() for output in base.outputs]
    weights: dict[int, Tensor] = {}
    second: list[Tensor | None] = []

    def twice(roots: list[Tensor], leaves: list[Tensor], used: list[Tensor]) -> Sequence[Tensor | None]:
        gradients = differentiate(roots, leaves, used, retain=True, create=True)
        known = {i: g for i, g in zip(positions, gradients, strict=True) if g is not None}
        weights.update({i: draw(g.detach(), session.generator) for i, g in known.items()})
        # A gradient that does not depend on anything has no graph: its derivative is zero.
        followed = [i for i, g in known.items() if g.requires_grad]
        tops = [weights[i] for i in followed]
        try:
            second.extend(differentiate([known[i] for i in followed], [*leaves, *upstream], tops))
        except (Exception, SystemExit) as error:
            raise SubjectError("double backward", error) from error
        return gradients

    try:
        first = session.run(base.values, upstream, backward=twice)
    except SubjectError as error:
        return session.find("second-order", None, f"{REFUSED}: {error}.", wrong=False)
    followed = [g for g in first.gradients.values() if g is not None]
    if any(node.name().endswith("Error") for node in nodes_behind(followed)):  # it raises where it is reached
        return session.find("second-order", None, f"{REFUSED}: it is once_differentiable.", wrong=False)
    if weights:  # else there is no gradient at all, where none is due
        _compare(session, first, weights, [u.detach() for u in upstream], second)
    return None


def _compare(
    session: Session,
    first: Run,
    weights: dict[int, Tensor],
    upstream: list[Tensor],
    second: list[Tensor | None],
) -> None:
    """Hold the second derivative against differences; arguments and upstream move as one vector."""
    base, positions = session.base, session.subject.checked
    targets = [*(base.values[i] for i in positions), *upstream]
    sizes = [target.numel() for target in targets]

    def weighted(run: Run) -> list[Tensor]:
        found = ((run.gradients[i], weight) for i, weight in weights.items())
        return [torch.zeros_like(weight) if g is None else g.detach() for g, weight in found]

    def gradients(x: Tensor) -> list[Tensor]:
        parts = zip(x.split(sizes), targets, strict=True)
        moved = [part.view(target.shape).to(target) for part, target in parts]
        values = list(base.values)
        for position, value in zip(positions, moved, strict=False):
            values[position] = value
        return weighted(session.run(values, moved[len(positions) :]))

    at = torch.cat([target.reshape(-1) for target in targets])
    claimed = torch.cat([as_gradient(g, t).reshape(-1) for g, t in zip(second, targets, strict=True)])
    noise = max(session.eps, *(m.noise for m in base.measured.values()))
    differences = Differences(gradients, at, weighted(first), list(weights.values()), noise)
    strict = session.tolerance_at(noise)
    tolerance = Tolerance(max(1e-4, strict.relative), max(1e-5, strict.scaled))
    estimate = gradient(differences, claimed, tolerance, session.generator, GROUPS)
    error = estimate.error.nan_to_num(0.0, 0.0)
    wrong = ~close(claimed, estimate.value, tolerance, error) & ~estimate.kink
    arguments: list[int | str] = [*positions, *["grad_output"] * len(upstream)]
    parts = (column.split(sizes) for column in (wrong, claimed, estimate.value))
    for argument, target, *columns in zip(arguments, targets, *parts, strict=True):
        is_wrong, yours, right = (column.view(target.shape) for column in columns)
        index = first_index(is_wrong)
        if index is not None:
            name = argument if isinstance(argument, str) else session.subject.name_of(argument)
            message = (
                f"The gradient is right, but its own derivative with respect to {name} is not, and nothing "
                f"raises: at {name}{list(index) if index else ''} it is {yours[index]:.6g}, should be "
                f"{right[index]:.6g}. Something in backward is cut off from the graph, or the "
                "upstream of another result goes unused."
            )
            return session.find("second-order", argument, message, index)
    return None
