"""How a gradient is used in practice: scaled, of some inputs or results only, laid out in other memory."""

from collections.abc import Callable

import torch
from torch import Tensor

from manualgrad.gradcheck.checks.session import Session, same_upstream
from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.running import Run, SubjectError, run
from manualgrad.gradcheck.subject import as_gradient
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index, largest

MOST_ALONE = 8  # inputs or results of which each is tried alone


def proportional(session: Session) -> None:
    """Scale the upstream gradient: zero gives zero, minus gives minus."""
    base = session.base
    for factor in (0.0, -1.0, 1e3):
        try:
            scaled = run(session.subject, base.values, same_upstream(base.run.upstream, lambda u: factor * u))  # noqa: B023
        except SubjectError as error:
            return session.find("raises", None, f"With {factor:g} × the upstream gradient: {error}.")
        for position, yours in base.yours.items():
            got = as_gradient(scaled.gradients[position], base.values[position])
            tolerance = session.judge.tolerance_at(base.noise[position])
            # Compared at the gradient's own size: of zero times it, rounding would be all that is left.
            size = max(abs(factor), 1.0) * largest(yours)
            off = ~close(got, factor * yours, tolerance, size=size) | ~got.isfinite()
            off &= ~((got - factor * yours).abs() <= max(abs(factor), 1.0) * _rounding(session))
            index = first_index(off & yours.isfinite())
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
        name = subject.name_of(position)
        try:
            alone = run(subject, base.values, same_upstream(base.run.upstream), requires=[position])
        except SubjectError as error:
            return session.find("raises", position, f"If {name} alone requires a gradient, {error}.")
        got = as_gradient(alone.gradients[position], base.values[position])
        if _differs(session, base, position, got, f"if {name} alone requires a gradient"):
            return None
    return None


def each_result_alone(session: Session) -> None:
    """Use one of several results alone: the upstream of the others is zero or None."""
    subject, base = session.subject, session.base
    results = [k for k, follows in enumerate(base.run.differentiable) if follows]
    if not 2 <= len(results) <= MOST_ALONE:
        return None
    total = {position: torch.zeros_like(yours) for position, yours in base.yours.items()}
    for k in results:
        try:
            alone = run(subject, base.values, same_upstream(base.run.upstream), used=[k])
        except SubjectError as error:
            return session.find("raises", None, f"If result {k} alone is used, {error}.")
        for position, gradient in alone.gradients.items():
            total[position] += as_gradient(gradient, base.values[position])
    for position in subject.checked:
        if _differs(session, base, position, total[position], "if the results are used one at a time"):
            return None
    return None


def _rounding(session: Session) -> float:
    return session.judge.floor(max(largest(right) for right in session.base.right.values()))


def _differs(session: Session, base: Point, position: int, got: Tensor, when: str) -> bool:
    yours = base.yours[position]
    off = ~close(got, yours, session.judge.tolerance_at(base.noise[position]))
    off &= ~((got - yours).abs() <= _rounding(session))
    index = first_index(off & yours.isfinite())
    if index is None:
        return False
    name = session.subject.name_of(position)
    kind = "unknown" if bool(got.any()) else "missing-gradient"
    session.find(
        kind,
        position,
        f"The gradient of {name} is right, but {when} it is another: "
        f"{session.subject.entry(position, index)} is {got[index]:.6g}, should be {yours[index]:.6g}.",
        index,
    )
    return True


def _transposed(u: Tensor) -> Tensor:
    order = list(range(u.dim()))[::-1]
    return u.permute(order).contiguous().permute(order)


def _sliced(u: Tensor) -> Tensor:
    """Return equal numbers with every second one of memory skipped."""
    return torch.stack([u, u + 1], -1)[..., 0] if u.dim() else u


def _expanded(u: Tensor) -> Tensor:
    """Return equal numbers that share one place in memory; u has to be constant."""
    return u.reshape(-1)[:1].reshape([1] * u.dim()).expand(u.shape) if u.numel() else u


def _ramp(u: Tensor) -> Tensor:
    return torch.linspace(0.5, 1.5, u.numel()).sin().to(u.device, u.dtype).reshape(u.shape)


def _constant(u: Tensor) -> Tensor:
    return torch.full_like(u, 0.75, memory_format=torch.contiguous_format)


Layout = Callable[[Tensor], Tensor]
LAYOUTS: list[tuple[str, Layout, Layout]] = [
    ("a transposed (non-contiguous)", _ramp, _transposed),
    ("a sliced (non-contiguous)", _ramp, _sliced),
    ("an expanded (zero-strided, as from .sum())", _constant, _expanded),
]


def layouts(session: Session) -> None:
    """Lay the upstream gradient and the inputs out in memory as they really come: the numbers decide.

    ``.sum()`` sends a zero-strided upstream gradient, a transpose or a slice after the function a
    non-contiguous one; a check that only ever sends contiguous ones misses a ``view``.
    """
    subject = session.subject
    plain: dict[Layout, Run] = {}
    numbers: Layout
    for numbers in (_ramp, _constant):
        try:
            plain[numbers] = run(subject, subject.values, same_upstream(session.native.upstream, numbers))
        except SubjectError:
            return None
    for title, numbers, layout in LAYOUTS:
        upstream = same_upstream(session.native.upstream, lambda u: layout(numbers(u)))  # noqa: B023
        try:
            found = run(subject, subject.values, upstream)
        except SubjectError as error:
            return session.find("layout", None, f"With {title} upstream gradient {error}.")
        if found.changed:
            return session.find("mutates", None, f"{found.changed[0]}, with {title} upstream gradient.")
        if _laid_out_differs(session, plain[numbers], found, plain[_ramp], f"{title} upstream gradient"):
            return None
    # What is drawn at random falls on other elements then.
    for i in range(subject.inputs) if subject.seed is None else ():
        value = subject.values[i]
        if isinstance(value, Tensor) and value.layout == torch.strided and value.dim() > 1:
            # copy_of keeps strides, so the leaves have them, too.
            values = [_transposed(v) if k == i else v for k, v in enumerate(subject.values)]
            what = f"a transposed (non-contiguous) {subject.name_of(i)}"
            try:
                found = run(subject, values, same_upstream(session.native.upstream, _ramp))
            except SubjectError as error:
                return session.find("layout", i, f"With {what} {error}.")
            if _laid_out_differs(session, plain[_ramp], found, plain[_ramp], what):
                return None
    return None


def _laid_out_differs(session: Session, expected: Run, found: Run, sized: Run, what: str) -> bool:
    for position in session.subject.checked:
        value = session.subject.values[position]
        want = as_gradient(expected.gradients[position], value).nan_to_num()
        got = as_gradient(found.gradients[position], value).nan_to_num()
        eps = torch.finfo(value.dtype).eps
        size = max(largest(want), largest(as_gradient(sized.gradients[position], value)))
        index = first_index(~close(got, want, Tolerance(0.0, eps**0.5, eps + _rounding(session)), size=size))
        if index is not None:
            name, entry = session.subject.name_of(position), session.subject.entry(position, index)
            message = (
                f"The gradient of {name} is wrong for {what}: {entry} is {got[index]:.6g}, with the same "
                f"numbers in contiguous memory {want[index]:.6g}."
            )
            session.find("layout", position, message, index)
            return True
    return False
