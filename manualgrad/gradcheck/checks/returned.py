"""What backward itself returned, before its values: shapes, dtypes, devices."""

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.session import Session
from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.recording import Returned, engine_accepts
from manualgrad.gradcheck.report import shape_text
from manualgrad.gradcheck.subject import Subject, as_gradient
from manualgrad.gradcheck.tolerance import same


def shapes_and_dtypes(session: Session) -> None:
    """Compare each gradient, as backward returned it, with its argument."""
    for one in session.native.returned:
        if one.gradient is None:
            continue
        position = one.position
        if one.gradient.shape != one.shape:
            kind, message = _misshapen(session.subject, session.base, one, one.gradient)
            session.find(kind, position, message)
            if kind not in session.allow:
                session.named.add(position)
                if kind == "wrong-shape" and position is None:
                    session.stop()  # what follows a gradient of no use has no values to judge
        for what, expected in ((one.gradient.dtype, one.dtype), (one.gradient.device, one.device)):
            if what != expected:
                message = f"The gradient of {one.name} is {what}, but {one.name} is {expected}"
                session.find("wrong-dtype", position, f"{message}: autograd converts it in silence.")
                break


def _misshapen(subject: Subject, point: Point, one: Returned, gradient: Tensor) -> tuple[str, str]:
    says = (
        f"The gradient of {one.name} has the shape {shape_text(gradient.shape)}, but {one.name} has "
        f"the shape {shape_text(one.shape)}"
    )
    # Only dimensions of size 1 too many: nothing is left to sum.
    same_count = gradient.numel() == one.shape.numel()
    if engine_accepts(gradient.shape, one.shape) and not same_count:
        padded = (None,) * (gradient.dim() - len(one.shape)) + tuple(one.shape)
        summed = [
            str(d) for d, (have, want) in enumerate(zip(gradient.shape, padded, strict=True)) if have != want
        ]
        return "unsummed", (
            f"{says}: it was not summed over dimension {' and '.join(summed)}. Autograd does that in "
            f"silence; say it in backward."
        )
    precise = [r for r in point.run.returned if r.position == one.position and r.gradient is not None]
    if one.position is not None and precise and precise[0].gradient is not None:
        related = _relation(subject, point, one.position, as_gradient(precise[0].gradient, gradient))
        if related is not None:
            return related[0], f"{says}. {related[1]}"
    return "wrong-shape", f"{says}."


def _relation(subject: Subject, point: Point, position: int, gradient: Tensor) -> tuple[str, str] | None:
    """Tell a gradient of another argument, or a permuted one, from one that is just misshapen."""
    for other, right in point.right.items():
        if other != position and same(gradient, right):
            return "swapped-inputs", f"It is the right one for {subject.name_of(other)}."
    right = point.right[position]
    if right.dim() >= 2 and same(gradient, right.mT):
        return "transposed", "It is the transpose of the right one."
    if 3 <= right.dim() <= 4:
        for order in torch.cartesian_prod(*[torch.arange(right.dim())] * right.dim()).tolist():
            if len(set(order)) == right.dim() and same(gradient, right.permute(order)):
                return (
                    "transposed",
                    f"It is the right one permuted by {tuple(order)}: undo that by the inverse.",
                )
    return None
