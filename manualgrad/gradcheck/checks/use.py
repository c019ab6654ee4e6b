"""How a gradient is used in practice: scaled, of some inputs or results only, laid out in other memory."""

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import SubjectError, forward_backward
from manualgrad.gradcheck.run import Run
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index, largest

MOST_ALONE = 8  # inputs or results of which each is tried alone


def proportional(session: Session) -> None:
    """Scale the upstream gradient: zero gives zero, minus a thousand times gives that."""
    base = session.base
    for factor in (0.0, -1e3):
        try:
            scaled = session.run(base.values, [factor * u for u in base.upstream])
        except SubjectError as error:
            return session.find("raises", None, f"With {factor:g} × the upstream gradient: {error}.")
        for position, gradient in base.measured.items():
            yours, got = gradient.yours, as_gradient(scaled.gradients[position], base.values[position])
            # Compared at the gradient's own size: of zero times it, rounding would be all that is left.
            size = max(abs(factor), 1.0)
            index = _difference(session, position, got / size, factor / size * yours)
            if index is not None:
                name, entry = session.subject.name_of(position), session.subject.entry(position, index)
                message = (
                    f"The gradient of {name} is not proportional to the upstream gradient: with "
                    f"{factor:g} × grad_output, {entry} should be {factor * float(yours[index]):.6g} and is "
                    f"{got[index]:.6g}."
                )
                return session.find("ignores-upstream", position, message, index)
    return None


def each_input_alone(session: Session) -> None:
    """Let one input alone require a gradient, as when a layer is frozen or the input is data."""
    subject, base = session.subject, session.base
    if len(subject.checked) < 2:
        return None
    for position in subject.checked[:MOST_ALONE]:
        alone = copy(subject)
        alone.checked = [position]
        when = f"{subject.name_of(position)} alone requires a gradient"
        try:
            run = forward_backward(alone, base.values, base.upstream)
        except SubjectError as error:
            return session.find("raises", position, f"If {when}, {error}.")
        got = as_gradient(run.gradients[position], base.values[position])
        if _is_another(session, position, got, when):
            return None
    return None


def each_result_alone(session: Session) -> None:
    """Use one of several results alone: the upstream of the others is zero or None."""
    subject, base = session.subject, session.base
    results = [k for k, follows in enumerate(base.differentiable) if follows]
    if not 2 <= len(results) <= MOST_ALONE:
        return None
    total = {position: torch.zeros_like(g.yours) for position, g in base.measured.items()}
    for k in results:
        try:
            alone = session.run(base.values, [u if j == k else None for j, u in enumerate(base.upstream)])
        except SubjectError as error:
            return session.find("raises", None, f"If result {k} alone is used, {error}.")
        for position, gradient in alone.gradients.items():
            total[position] += as_gradient(gradient, base.values[position])
    for position in subject.checked:
        if _is_another(session, position, total[position], "the results are used one at a time"):
            return None
    return None


def _is_another(session: Session, position: int, got: Tensor, when: str) -> bool:
    yours = session.base.measured[position].yours
    index = _difference(session, position, got, yours)
    if index is None:
        return False
    session.find(
        "unknown" if bool(got.any()) else "missing-gradient",
        position,
        f"The gradient of {session.subject.name_of(position)} is right, but if {when} it is another: "
        f"{session.subject.entry(position, index)} is {got[index]:.6g}, should be {yours[index]:.6g}.",
        index,
    )
    return True


def _difference(session: Session, position: int, got: Tensor, wanted: Tensor) -> tuple[int, ...] | None:
    """Return the first element in which a gradient at the caller's inputs is not what it should be."""
    base = session.base.measured[position]
    agree = close(got, wanted, session.tolerance_at(base.noise), size=largest(base.yours))
    agree |= (got - wanted).abs() <= session.floor(session.base)
    return first_index(~(agree & got.isfinite()) & base.yours.isfinite())


def _transposed(u: Tensor) -> Tensor:
    order = list(range(u.dim()))[::-1]
    return u.permute(order).contiguous().permute(order)


def _sliced(u: Tensor) -> Tensor:
    """Return equal numbers with every second one of memory skipped."""
    return torch.stack([u, u + 1], -1)[..., 0] if u.dim() else u


def _expanded(u: Tensor) -> Tensor:
    """Return a constant that shares one place in memory."""
    return torch.full_like(u, 0.75).reshape(-1)[:1].reshape([1] * u.dim()).expand(u.shape) if u.numel() else u


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "a transposed (non-contiguous)": _transposed,
    "a sliced (non-contiguous)": _sliced,
    "an expanded (zero-strided, as from .sum())": _expanded,
}


def layouts(session: Session) -> None:
    """Lay the upstream gradient and the inputs out in memory as they really come: the numbers decide.

    ``.sum()`` sends a zero-strided upstream gradient, a transpose or a slice after the function a
    non-contiguous one; a check that only ever sends contiguous ones misses a ``view``.
    """
    subject, plain = session.subject, session.native
    cases: list[tuple[str, int | None, list[Any], list[Tensor]]] = []
    for title, layout in LAYOUTS.items():
        upstream = [layout(u) for u in plain.upstream]
        if not all(u.is_contiguous() for u in upstream):
            cases.append((f"{title} upstream gradient", None, subject.values, upstream))
    # What is drawn at random falls on other elements then.
    for i in range(subject.inputs) if subject.seed is None else ():
        value = subject.values[i]
        if isinstance(value, Tensor) and value.layout == torch.strided and value.dim() > 1:
            # Copies keep strides, so the leaves have them, too.
            values = [_transposed(v) if k == i else v for k, v in enumerate(subject.values)]
            cases.append(
                (f"a transposed (non-contiguous) {subject.name_of(i)}", i, values, list(plain.upstream))
            )
    for what, position, values, upstream in cases:
        try:
            found = session.run(values, upstream)
        except SubjectError as error:
            return session.find("layout", position, f"With {what} {error}.")
        if found.changed:
            return session.find("mutates", None, f"{found.changed[0]}, with {what}.")
        expected = plain
        if "expanded" in what:  # of other numbers than the plain one's
            expected = session.run(subject.values, [u.contiguous() for u in upstream])
        if _laid_out_differs(session, expected, found, what):
            return None
    return None


def _laid_out_differs(session: Session, expected: Run, found: Run, what: str) -> bool:
    for position in session.subject.checked:
        value = session.subject.values[position]
        want, got, plain = (
            as_gradient(r.gradients[position], value).nan_to_num() for r in (expected, found, session.native)
        )
        eps = torch.finfo(value.dtype).eps
        tolerance = Tolerance(0.0, eps**0.5, eps + session.floor(session.base))
        index = first_index(~close(got, want, tolerance, size=max(largest(want), largest(plain))))
        if index is not None:
            name, entry = session.subject.name_of(position), session.subject.entry(position, index)
            message = (
                f"The gradient of {name} is wrong for {what}: {entry} is {got[index]:.6g}, with the same "
                f"numbers in contiguous memory {want[index]:.6g}."
            )
            session.find("layout", position, message, index)
            return True
    return False
