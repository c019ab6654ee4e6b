"""The gradient differentiated once more: a backward is a function too, and has a gradient."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import differentiate, draw, nodes_behind
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import Subject, SubjectError
from manualgrad.gradcheck.tolerance import Tolerance, first_index

GROUPS = 1  # a derivative of the gradient costs a forward and a backward for each difference
BIG = 20_000  # elements of which no second derivative is measured
REFUSED = (
    "The gradient is right, but refuses to be differentiated again: gradient penalties (WGAN-GP, R1), "
    "Hessians and meta-learning raise here"
)


def differentiate_again(session: Session) -> None:
    """Check the gradient as a function of its own, of the arguments and the upstream."""
    subject, base = session.subject, session.base
    if session.named or session.surrogate or sum(m.yours.numel() for m in base.measured.values()) > BIG:
        return None
    count, declared = len(base.values), False

    @torch.enable_grad()
    def gradient(*values: Any) -> list[Tensor]:
        nonlocal declared
        arguments = list(values[:count])
        kept = [
            (result, upstream)
            for result, upstream in zip(subject.call(arguments), values[count:], strict=True)
            if result.requires_grad
        ]
        leaves = [arguments[i] for i in subject.checked]
        found = differentiate([r for r, _ in kept], leaves, [u for _, u in kept], retain=True, create=True)
        # Such a node raises where it is reached, and the arguments lie not behind it.
        behind = nodes_behind(g for g in found if g is not None)
        declared = declared or any(node.name().endswith("Error") for node in behind)
        # One that does not depend on anything has no graph: its derivative is zero.
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)]

    upstream = (draw(output, session.generator) for output in base.outputs)
    again = Subject(gradient, (*base.values, *upstream), session.subject.clock)
    again.names[:count] = subject.names
    again.names[count:] = ["grad_output"] * len(base.outputs)
    again.checked = [*subject.checked, *range(count, len(again.values))]
    strict = session.tolerance_at(max(session.eps, *(m.noise for m in base.measured.values())))
    tolerance = Tolerance(max(1e-4, strict.relative), max(1e-5, strict.scaled))
    second = replace(session, subject=again, reference=None, tolerance=tolerance, _noise={})
    try:
        run = second.run(again.values)
    except SubjectError as error:
        return session.find("second-order", None, f"{REFUSED}: its {error}.", wrong=False)
    if declared:
        return session.find("second-order", None, f"{REFUSED}: it is once_differentiable.", wrong=False)
    for position, m in second.judge(run, GROUPS).measured.items():
        index = first_index(m.wrong & ~m.numeric.kink)
        if index is not None:
            message = (
                f"The gradient is right, but its own derivative with respect to {m.name} is not, and nothing "
                f"raises: at {m.entry(index)} it is {m.yours[index]:.6g}, should be {m.right[index]:.6g}. "
                "Something in backward is cut off from the graph, or the upstream of another result goes "
                "unused."
            )
            return session.find("second-order", again.names[position], message, index)
    return None
