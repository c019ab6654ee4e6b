"""How a backward behaves beyond one call: again, with other upstream gradients, in the caller's dtype."""

from collections.abc import Sequence

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import Judge, Sample, as_gradient
from manualgrad.gradcheck.recording import Run, StudentError, run
from manualgrad.gradcheck.report import Finding
from manualgrad.gradcheck.subject import Subject


def repeats(subject: Subject, first: Run, again: Sequence[Run]) -> list[Finding]:
    """Say if a gradient changes from call to call on the same input."""
    findings = []
    for position in subject.checked:
        value = subject.values[position]
        one = as_gradient(first.gradients[position], value).nan_to_num()
        for other in again:
            two = as_gradient(other.gradients[position], value).nan_to_num()
            # Sums that run in parallel round differently each time.
            index = first_index((one - two).abs() > 100 * torch.finfo(value.dtype).eps * largest(one))
            if index is not None:
                message = (
                    f"The gradient of {subject.name_of(position)} changes from call to call on the "
                    f"same input: "
                    f"{subject.entry(position, index)} is {one[index]:.6g}, then {two[index]:.6g}."
                )
                findings.append(Finding("nondeterministic", subject.names[position], index, message))
                break
    return findings


def proportional(judge: Judge, base: Sample) -> list[Finding]:
    """Say if a gradient is not proportional to the upstream gradient: zero gives zero, minus gives minus."""
    for factor in (0.0, -1.0, 1e3):
        try:
            scaled = run(judge.subject, base.values, lambda _: [factor * u for u in base.record.upstream])  # noqa: B023
        except StudentError as error:
            return [Finding("raises", None, None, f"With {factor:g} × the upstream gradient: {error}.")]
        for position, yours in base.yours.items():
            got = as_gradient(scaled.gradients[position], base.values[position])
            # Compared at the gradient's own size: of zero times it, rounding would be all that is left.
            off = (
                ~judge.close(got + yours, (factor + 1) * yours)
                if factor >= 0
                else ~judge.close(got, factor * yours)
            )
            index = first_index((off | ~got.isfinite()) & yours.isfinite())
            if index is not None:
                name, entry = judge.subject.name_of(position), judge.subject.entry(position, index)
                message = (
                    f"The gradient of {name} is not proportional to the upstream gradient: with {factor:g} × "
                    f"grad_output, {entry} should be {factor:g} × {yours[index]:.6g} and is {got[index]:.6g}."
                )
                return [Finding("ignores-upstream", judge.subject.names[position], index, message)]
    return []


def in_own_dtype(native: Run, precise: Sample, subject: Subject) -> list[Finding]:
    """Say if a gradient that is right in float64 goes grossly wrong in the caller's own dtype."""
    findings = []
    for position, right in precise.right.items():
        dtype = subject.values[position].dtype
        yours = as_gradient(native.gradients[position], right)
        infinite = first_index(~yours.isfinite() & (right.abs() < torch.finfo(dtype).max))
        gross = first_index((yours - right).abs() > 0.5 * largest(right))
        index = infinite if infinite is not None else gross
        if index is not None:
            message = (
                f"The gradient is right in float64 but not in {dtype}: {subject.entry(position, index)} is "
                f"{yours[index]:.6g}, should be {right[index]:.6g}."
            )
            kind = "unknown" if infinite is None else "non-finite"
            findings.append(Finding(kind, subject.names[position], index, message))
    return findings


def first_index(mask: Tensor) -> tuple[int, ...] | None:
    """Return the smallest index where a mask holds, None if nowhere."""
    where = mask.nonzero()
    return tuple(int(i) for i in where[0]) if len(where) else None


def largest(gradient: Tensor) -> float:
    """Return the size of the largest finite element, 0 if there is none."""
    finite = gradient[gradient.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0
