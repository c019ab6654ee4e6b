"""In which dtype a gradient is judged: in float64 wherever the function allows it."""

from collections.abc import Sequence
from typing import Any

import torch

from manualgrad.gradcheck.judge import Tolerance, Upstream
from manualgrad.gradcheck.recording import Run, StudentError, run
from manualgrad.gradcheck.subject import Subject, cast


def working_values(subject: Subject, native: Run, upstream: Upstream) -> list[Any]:
    """Return the arguments in float64, if the function computes the same with them; else as they came."""
    values = cast(subject.values, torch.float64)
    try:
        precise = run(subject, values, upstream)
    except StudentError:
        return subject.values
    if len(precise.outputs) != len(native.outputs):
        return subject.values
    # A backward that casts to the caller's dtype by name is judged in that.
    returned = {r.gradient.dtype for r in precise.returned if r.gradient is not None}
    if returned - {torch.float64}:
        return subject.values
    for ours, theirs in zip(precise.outputs, native.outputs, strict=True):
        eps = torch.finfo(theirs.dtype).eps
        scale = float(ours.abs().max()) if ours.numel() else 0.0
        if ours.shape != theirs.shape or ours.dtype != torch.float64:
            return subject.values
        if not torch.allclose(theirs.double(), ours, rtol=eps**0.5, atol=eps**0.5 * (scale + 1e-30)):
            return subject.values
    return values


def tolerance_for(values: Sequence[Any], positions: Sequence[int]) -> Tolerance:
    """Return what the coarsest dtype among the judged arguments can achieve."""
    dtypes = (values[position].dtype for position in positions)
    return Tolerance.of(max(dtypes, key=lambda dtype: torch.finfo(dtype).eps))
