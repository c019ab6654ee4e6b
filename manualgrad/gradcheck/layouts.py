"""Upstream gradients laid out in memory as they really come: transposed, sliced, expanded from one number.

The same numbers have to give the same gradient. ``.sum()`` sends a zero-strided upstream gradient, a
transpose or a slice after the function a non-contiguous one; a check that only ever sends contiguous ones
misses a ``view``.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import as_gradient
from manualgrad.gradcheck.recording import StudentError, run
from manualgrad.gradcheck.report import Finding
from manualgrad.gradcheck.subject import Subject

Layout = Callable[[Tensor], Tensor]


def transposed(u: Tensor) -> Tensor:
    """Return equal numbers with the strides of a transpose."""
    order = list(range(u.dim()))[::-1]
    return u.permute(order).contiguous().permute(order)


def sliced(u: Tensor) -> Tensor:
    """Return equal numbers with every second one of memory skipped."""
    if not u.dim():
        return u
    return torch.stack([u, u + 1], -1)[..., 0]


def expanded(u: Tensor) -> Tensor:
    """Return equal numbers that share one place in memory; u has to be constant."""
    return u.reshape(-1)[:1].reshape([1] * u.dim()).expand(u.shape) if u.numel() else u


def _ramp(output: Tensor) -> Tensor:
    return (
        torch.linspace(0.5, 1.5, output.numel()).sin().to(output.device, output.dtype).reshape(output.shape)
    )


def _constant(output: Tensor) -> Tensor:
    return torch.full_like(output, 0.75, memory_format=torch.contiguous_format)


LAYOUTS: list[tuple[str, Layout, Layout]] = [
    ("a transposed (non-contiguous)", _ramp, transposed),
    ("a sliced (non-contiguous)", _ramp, sliced),
    ("an expanded (zero-strided, as from .sum())", _constant, expanded),
]


def check(subject: Subject) -> list[Finding]:
    """Compare the student's gradient for each layout with the one for contiguous memory."""
    for title, numbers, layout in LAYOUTS:

        def plain(outputs: Sequence[Tensor], numbers: Layout = numbers) -> list[Tensor]:
            return [numbers(output.detach()) for output in outputs]

        def laid_out(
            outputs: Sequence[Tensor], numbers: Layout = numbers, layout: Layout = layout
        ) -> list[Tensor]:
            return [layout(numbers(output.detach())) for output in outputs]

        try:
            expected = run(subject, subject.values, plain)
            scale = run(
                subject, subject.values, lambda outputs: [_ramp(output.detach()) for output in outputs]
            )
        except StudentError:
            continue
        try:
            found = run(subject, subject.values, laid_out)
        except StudentError as error:
            return [Finding("layout", None, None, f"With {title} upstream gradient {error}.")]
        if found.changed:
            return [Finding("mutates", None, None, f"{found.changed[0]}, with {title} upstream gradient.")]
        for position in subject.checked:
            value = subject.values[position]
            want = as_gradient(expected.gradients[position], value)
            got = as_gradient(found.gradients[position], value)
            size = (
                max(
                    float(want.nan_to_num().abs().max()),
                    float(as_gradient(scale.gradients[position], value).nan_to_num().abs().max()),
                )
                if value.numel()
                else 0.0
            )
            eps = torch.finfo(value.dtype).eps
            off = (got.nan_to_num() - want.nan_to_num()).abs() > eps**0.5 * size + eps
            if bool(off.any()):
                index = tuple(off.nonzero()[0].tolist())
                name = subject.name_of(position)
                return [
                    Finding(
                        "layout",
                        subject.names[position],
                        index,
                        f"The gradient of {name} is wrong for {title} upstream gradient: "
                        f"{name}{list(index)} is "
                        f"{got[index]:.6g}, with the same numbers in contiguous memory {want[index]:.6g}.",
                    )
                ]
    return []
