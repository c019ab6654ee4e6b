"""The gradient differentiated once more: a backward is a function too, and has a gradient."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.derivative import derivative
from manualgrad.gradcheck.judge import Judge, as_gradient, random_upstream
from manualgrad.gradcheck.numeric import Evaluator
from manualgrad.gradcheck.recording import StudentError, run
from manualgrad.gradcheck.report import Finding, index_text

MOST_DIRECTIONS = 24  # a derivative of the gradient costs a forward and a backward each
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def check(judge: Judge, values: list[Any]) -> list[Finding]:
    """Compare the derivative of ``<w, gradient>`` with numeric differences of the gradient."""
    subject = judge.subject
    upstreams: list[Tensor] = []

    def upstream(outputs: Sequence[Tensor]) -> list[Tensor]:
        upstreams[:] = [
            u.requires_grad_() for u in random_upstream(judge.generator)([o.detach() for o in outputs])
        ]
        return upstreams

    try:
        first = run(subject, values, upstream, create_graph=True)
        weights = {
            i: random_upstream(judge.generator)([g.detach()])[0]
            for i, g in first.gradients.items()
            if g is not None
        }
        gradients = {i: g for i, g in first.gradients.items() if g is not None}
        total = sum(((gradients[i] * w).sum() for i, w in weights.items()), torch.zeros(()))
        targets = [*first.leaves.values(), *upstreams]
        second: Sequence[Tensor | None] = [None] * len(targets)
        # A gradient that does not depend on anything has no graph: its derivative is zero.
        if isinstance(total, Tensor) and total.requires_grad:
            try:
                second = torch.autograd.grad(total, targets, allow_unused=True)
            except Exception as error:
                raise StudentError("double backward", error) from error
    except StudentError as error:
        return [Finding("second-order", None, None, f"The gradient cannot be differentiated again: {error}.")]

    frozen = [u.detach() for u in upstreams]
    for k, target in enumerate(targets):
        claimed = as_gradient(second[k], target)
        if not claimed.numel():
            continue

        def gradients_at(x: Tensor, k: int = k) -> tuple[Tensor, ...]:
            moved, us = list(values), list(frozen)
            if k < len(first.leaves):
                moved[list(first.leaves)[k]] = x
            else:
                us[k - len(first.leaves)] = x
            record = run(subject, moved, lambda _: us)
            return tuple(_or_zero(record.gradients[i], w) for i, w in weights.items())

        evaluator = Evaluator(gradients_at, target.detach(), batched=False)
        finite = claimed[claimed.isfinite()]
        atol = ABSOLUTE * float(finite.abs().max()) if len(finite) else 0.0
        estimate = derivative(
            evaluator, tuple(weights.values()), claimed, RELATIVE, atol, MOST_DIRECTIONS, judge.generator
        )
        right, doubt = estimate.value, estimate.error.nan_to_num(0.0, 0.0)
        known = right.isfinite()
        size = float(right[known].abs().max()) if bool(known.any()) else 0.0
        relative, absolute = max(RELATIVE, judge.tolerance.relative), max(ABSOLUTE, judge.tolerance.absolute)
        wrong = ~((claimed - right).abs() <= relative * right.abs() + absolute * size + 5 * doubt) & known
        wrong &= ~estimate.kink
        if bool(wrong.any()):
            index = tuple(wrong.nonzero()[0].tolist())
            position = list(first.leaves)[k] if k < len(first.leaves) else None
            name = "grad_output" if position is None else subject.name_of(position)
            return [
                Finding(
                    "second-order",
                    "grad_output" if position is None else subject.names[position],
                    index,
                    f"The gradient is right, but its own derivative with respect to {name} is not: at "
                    f"{name}{index_text(index) if index else ''} it is {claimed[index]:.6g}, should "
                    f"be {right[index]:.6g}. "
                    f"Something in backward is cut off from the graph.",
                )
            ]
    return []


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient.detach()
