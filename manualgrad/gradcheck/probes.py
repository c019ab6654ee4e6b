"""Points beyond the caller's own inputs, where a slip shows that hides at ordinary sizes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import Sample
from manualgrad.gradcheck.subject import Subject

MAGNITUDES = (1e-2, 1e2)
EXTREME = 1e4  # the largest input of the last magnitude


class Probe(NamedTuple):
    """The arguments at another point, and how a sentence refers to it."""

    values: list[Any]
    where: str


def magnitudes(subject: Subject, base: Sample) -> Iterator[Probe]:
    """Take the inputs smaller, larger, and so large that exponentials overflow."""
    largest = max(
        (float(base.values[i].abs().max()) for i in base.yours if base.values[i].numel()), default=0.0
    )
    factors = [(factor, f"the inputs multiplied by {factor:g}") for factor in MAGNITUDES]
    if largest > 0:
        factors.append((EXTREME / largest, f"the inputs multiplied until the largest is {EXTREME:g}"))
    for factor, where in factors:
        yield Probe(_changed(subject, base, partial(torch.mul, factor)), where)


def zeros(subject: Subject, base: Sample) -> Probe:
    """Put zeros where corners usually are. Only a reference can tell what is right there."""
    return Probe(_changed(subject, base, _with_zeros), "some inputs set to 0")


def _changed(subject: Subject, base: Sample, change: Callable[[Tensor], Tensor]) -> list[Any]:
    """Change the judged inputs; a module's parameters stay."""
    judged = {i for i in subject.checked if i < subject.inputs}
    return [change(value) if i in judged else value for i, value in enumerate(base.values)]


def _with_zeros(value: Tensor) -> Tensor:
    flat = value.clone().reshape(-1)
    flat[::3] = 0
    return flat.reshape(value.shape)
