"""A wrong gradient with everything that an explanation may look at."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import Judge, Sample, Upstream, as_gradient
from manualgrad.gradcheck.recording import Around, StudentError, run
from manualgrad.gradcheck.report import index_text
from manualgrad.gradcheck.subject import Subject

# Explanations are compared less strictly than gradients are judged: the question is which, not whether.
CLOSE = 1e-4


@dataclass
class Case:
    """One argument whose gradient is wrong, at several points.

    Attributes
    ----------
    judge : Judge
    position : int
        The argument.
    samples : list of Sample
        The first is where it was found wrong.
    """

    judge: Judge
    position: int
    samples: list[Sample]

    @property
    def subject(self) -> Subject:
        """What is checked."""
        return self.judge.subject

    @property
    def sample(self) -> Sample:
        """The point where the gradient was found wrong."""
        return self.samples[0]

    @property
    def name(self) -> str:
        """The argument's name."""
        return self.subject.name_of(self.position)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the gradient as returned."""
        return tuple(self.sample.yours[self.position].shape)

    def same(self, a: Tensor, b: Tensor) -> bool:
        """Whether two gradients agree, wherever both are known."""
        if a.shape != b.shape:
            return False
        known = a.isfinite() & b.isfinite()
        if not bool(known.any()):
            return False
        a, b = a[known], b[known]
        return bool(((a - b).abs() <= CLOSE * (b.abs() + 0.1 * b.abs().max())).all())

    def explained_by(self, formula: Callable[[Sample], Tensor | None]) -> bool:
        """Whether a formula gives yours at every point, and not zero."""
        for sample in self.samples:
            candidate = formula(sample)
            if candidate is None or not self.same(candidate, sample.yours[self.position]):
                return False
        return True

    def cured_by(self, formula: Callable[[Sample], Tensor | None]) -> bool:
        """Whether a change to yours makes it right at every point."""
        for sample in self.samples:
            candidate = formula(sample)
            if candidate is None or not self.same(candidate, sample.right[self.position]):
                return False
        return True

    def factor(self, sample: Sample) -> float | None:
        """Return the constant that best turns the right gradient into yours, whether or not it fits well."""
        yours, right = sample.yours[self.position], sample.right[self.position]
        if yours.shape != right.shape:
            return None
        known = yours.isfinite() & right.isfinite()
        square = float((right[known] ** 2).sum())
        product = float((yours[known] * right[known]).sum())
        return product / square if square and product else None

    def rerun(
        self, sample: Sample, upstream: Upstream | None = None, around: Around = nullcontext
    ) -> Tensor | None:
        """Run the student's backward again under changed conditions; None if that raises."""
        given = upstream or (lambda outputs: sample.record.upstream)
        try:
            record = run(self.subject, sample.values, given, around=around)
        except StudentError:
            return None
        return as_gradient(record.gradients[self.position], sample.values[self.position])

    def right_for(self, sample: Sample, upstream: tuple[Tensor, ...]) -> Tensor:
        """Return the right gradient at a sample's point for another upstream gradient."""
        record = replace(sample.record, upstream=upstream)
        blind = torch.full_like(sample.yours[self.position], torch.nan)
        return self.judge.numeric(sample.values, self.position, record, blind).value

    def element(self, index: tuple[int, ...]) -> str:
        """Work one element out in numbers."""
        yours, right = (
            float(self.sample.yours[self.position][index]),
            float(self.sample.right[self.position][index]),
        )
        source = "reference" if self.position in self.sample.reference else "numeric"
        return (
            f"{self.name}{index_text(index) if index else ''}: yours {yours:.6g}, should be "
            f"{right:.6g} ({source})"
        )

    def worst_elements(self, count: int = 3) -> str:
        """Work the worst elements out in numbers."""
        yours, right = self.sample.yours[self.position], self.sample.right[self.position]
        gap = (yours - right).abs().nan_to_num(0.0).reshape(-1)
        order = gap.argsort(descending=True)[:count]
        indices = [tuple(int(k) for k in torch.unravel_index(i, yours.shape)) for i in order]
        return "The worst elements: " + "; ".join(self.element(index) for index in indices) + "."
