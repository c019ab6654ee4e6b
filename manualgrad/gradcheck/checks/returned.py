"""What backward itself returned, before its values: shapes, dtypes, devices."""

import itertools

from torch import Tensor

from manualgrad.gradcheck.run import Returned
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import same


def shapes_and_dtypes(session: Session) -> None:
    """Compare each gradient, as backward returned it, with its argument."""
    for one in session.native.returned:
        gradient, name = one.gradient, one.name
        if gradient is None:
            continue
        if gradient.shape != one.shape:
            kind, message = _misshapen(session, one, gradient)
            shapes = f"has the shape {tuple(gradient.shape)}, but {name} has the shape {tuple(one.shape)}"
            session.find(kind, one.position, f"The gradient of {name} {shapes}{message}")
            if kind not in session.allow:
                session.named.add(one.position)
                # What follows a gradient of no use has no values to judge.
                session.done |= kind == "wrong-shape" and one.position is None
        for what, expected in ((gradient.dtype, one.dtype), (gradient.device, one.device)):
            if what != expected:
                message = f"The gradient of {name} is {what}, but {name} is {expected}"
                session.find("wrong-dtype", one.position, f"{message}: autograd converts it in silence.")
                break


def _misshapen(session: Session, one: Returned, gradient: Tensor) -> tuple[str, str]:
    """Return the kind, and what is to be said beyond the shapes."""
    # Only dimensions of size 1 too many: nothing is left to sum.
    if one.is_accepted and gradient.numel() != one.shape.numel():
        padded = (None,) * (gradient.dim() - len(one.shape)) + tuple(one.shape)
        summed = [
            str(d) for d, (have, want) in enumerate(zip(gradient.shape, padded, strict=True)) if have != want
        ]
        return "unsummed", (
            f": it was not summed over dimension {' and '.join(summed)}. Autograd does that in silence; say "
            "it in backward."
        )
    for precise in session.base.returned:
        if one.position is not None and precise.position == one.position and precise.gradient is not None:
            # Another argument's, or a permuted one, is more than misshapen.
            yours = as_gradient(precise.gradient, gradient)
            for other, another in session.base.measured.items():
                if other != one.position and same(yours, another.right):
                    return "swapped-inputs", f". It is the right one for {session.subject.name_of(other)}."
            right = session.base.measured[one.position].right
            for order in itertools.permutations(range(right.dim())) if right.dim() <= 4 else ():
                if same(yours, right.permute(order)):
                    how = "the transpose of the right one"
                    if right.dim() > 2:
                        how = f"the right one permuted by {order}: undo that by the inverse"
                    return "transposed", f". It is {how}."
    return "wrong-shape", "."
