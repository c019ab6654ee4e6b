"""What backward itself returned, before its values: shapes, dtypes, devices."""

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import Sample
from manualgrad.gradcheck.recording import Returned, engine_accepts
from manualgrad.gradcheck.report import Finding, shape_text
from manualgrad.gradcheck.subject import Subject


def check(subject: Subject, sample: Sample, returned: list[Returned]) -> list[Finding]:
    """Compare each returned gradient with its argument.

    Parameters
    ----------
    subject
        What is checked.
    sample
        The same gradients by value, with the right ones.
    returned
        What the custom backwards returned for the caller's own arguments.

    Returns
    -------
    list of Finding
    """
    findings: dict[Finding, None] = {}  # a Function that is used twice is wrong twice, and told once
    for one in returned:
        if one.gradient is not None:
            name = one.name if one.position is None else subject.names[one.position]
            for kind, message in _faults(subject, sample, one, one.gradient):
                findings[Finding(kind, name, None, message)] = None
    return list(findings)


def _faults(subject: Subject, sample: Sample, one: Returned, gradient: Tensor) -> list[tuple[str, str]]:
    faults = []
    if gradient.dtype != one.dtype:
        faults.append(("wrong-dtype", _converted(one.name, gradient.dtype, one.dtype)))
    elif gradient.device != one.device:
        faults.append(("wrong-dtype", _converted(one.name, gradient.device, one.device)))
    if gradient.shape != one.shape:
        faults.append(_misshapen(subject, sample, one, gradient))
    return faults


def _converted(name: str, came: object, expected: object) -> str:
    return f"The gradient of {name} is {came}, but {name} is {expected}: autograd converts it in silence."


def _misshapen(subject: Subject, sample: Sample, one: Returned, gradient: Tensor) -> tuple[str, str]:
    says = (
        f"The gradient of {one.name} has the shape {shape_text(gradient.shape)}, but {one.name} has "
        f"the shape "
        f"{shape_text(one.shape)}"
    )
    # Only dimensions of size 1 too many: nothing is left to sum.
    same_count = gradient.numel() == one.shape.numel()
    if engine_accepts(gradient.shape, one.shape) and not same_count:
        dimensions = _unsummed_dimensions(gradient.shape, one.shape)
        return "unsummed", (
            f"{says}: it was not summed over dimension {dimensions}. Autograd does that in silence; "
            f"say it in backward."
        )
    precise = [r for r in sample.record.returned if r.position == one.position and r.gradient is not None]
    if one.position is not None and precise:
        related = _relation(subject, sample, one.position, precise[0].gradient.detach().cpu().double())  # type: ignore[union-attr]
        if related is not None:
            return related[0], f"{says}. {related[1]}"
    return "wrong-shape", f"{says}."


def _relation(subject: Subject, sample: Sample, position: int, gradient: Tensor) -> tuple[str, str] | None:
    """Tell a gradient of another argument, or a transpose, from one that is just misshapen."""
    for other, right in sample.right.items():
        if other != position and right.shape == gradient.shape and _close(gradient, right):
            return "swapped-inputs", f"It is the right one for {subject.name_of(other)}."
    right = sample.right[position]
    if right.dim() >= 2 and gradient.shape == right.mT.shape and _close(gradient.mT, right):
        return "transposed", "It is the transpose of the right one."
    return None


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-6 * float(b.abs().max()))


def _unsummed_dimensions(shape: torch.Size, wanted: torch.Size) -> str:
    padded = (None,) * (len(shape) - len(wanted)) + tuple(wanted)
    return " and ".join(
        str(d) for d, (have, want) in enumerate(zip(shape, padded, strict=True)) if have != want
    )
