"""Yours beside the right gradient, element by element, at one point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.numeric.derivative import GROUPS, Estimate, derivative
from manualgrad.gradcheck.numeric.evaluator import STAIRCASE, Evaluator
from manualgrad.gradcheck.running import Run, SubjectError, Upstream, run
from manualgrad.gradcheck.subject import Subject, as_gradient, cast, is_differentiable, real
from manualgrad.gradcheck.tolerance import Tolerance, close, largest

FLOOR = 1e-9  # of the largest gradient of all arguments: below it float64 itself is noise
MOST_ENTRIES, MOST_COLUMNS = 2**18, 256  # of a Jacobian that is measured


@dataclass
class Point:
    """One point, one upstream gradient, and each judged argument's gradients there.

    All tensors are real float64 on the CPU, in the argument's shape; of a complex one in that of its parts.

    Attributes
    ----------
    values : list
        The arguments.
    run : Run
        What was run.
    where : str
        How a sentence refers to the point: empty for the inputs as they came.
    yours, right : dict
        Per position. ``right`` is NaN where it is not known.
    numeric : dict of Estimate
    reference : dict
        The reference's gradients, for the positions that it has one for.
    wrong : dict
        Per position: where the two differ by more than rounding, bool.
    noise : dict
        Per position: the relative noise of the function.
    """

    values: list[Any]
    run: Run
    where: str = ""
    yours: dict[int, Tensor] = field(default_factory=dict)
    right: dict[int, Tensor] = field(default_factory=dict)
    numeric: dict[int, Estimate] = field(default_factory=dict)
    reference: dict[int, Tensor] = field(default_factory=dict)
    wrong: dict[int, Tensor] = field(default_factory=dict)
    noise: dict[int, float] = field(default_factory=dict)

    def any_wrong(self) -> bool:
        """Return whether an argument's gradient is wrong here."""
        return any(bool(mask.any()) for mask in self.wrong.values())

    def worst_index(self, position: int) -> tuple[int, ...]:
        """Return the element that differs most, among those that are wrong, or else among those known."""
        yours, right = self.yours[position], self.right[position]
        error = (yours - right).abs()
        error = torch.where(yours.isfinite() | ~right.isfinite(), error, math.inf).nan_to_num(-1.0, math.inf)
        if bool(self.wrong[position].any()):  # between the slopes of a kink, a large difference is right
            error = error.where(self.wrong[position], -2.0)
        if not error.numel():
            return ()
        return tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))


def random_upstream(generator: torch.Generator) -> Upstream:
    """Make upstream gradients of random sign and a size between 0.5 and 1.5: none is near zero."""

    def make(outputs: Sequence[Tensor]) -> list[Tensor]:
        return [_random_signed(output, generator) for output in outputs]

    return make


def _random_signed(like: Tensor, generator: torch.Generator) -> Tensor:
    shape = real(like).shape
    size = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    values = size * (torch.randint(0, 2, shape, generator=generator) * 2 - 1)
    return (torch.view_as_complex(values) if like.is_complex() else values).to(like.device, like.dtype)


class Judge:
    """Judges a subject at any point.

    Parameters
    ----------
    subject
        What is judged.
    reference
        The same function by somebody trusted, or None.
    surrogate
        Whether the reference stands for the gradient alone: a straight-through estimator's.
    eps
        The precision that is computed in.
    tolerance
        The caller's own, which takes the place of what ``eps`` allows.
    generator
        For every random choice.
    """

    def __init__(
        self,
        subject: Subject,
        reference: Subject | None,
        surrogate: bool,
        eps: float,
        tolerance: Tolerance | None,
        generator: torch.Generator,
    ) -> None:
        self.subject, self.reference, self.surrogate = subject, reference, surrogate
        self.eps, self.tolerance, self.generator = eps, tolerance, generator
        self._noise: dict[int, float] = {}  # per position, where it has been measured

    def point(self, values: list[Any], upstream: Upstream, where: str = "", groups: int = GROUPS) -> Point:
        """Run the subject's backward at a point, and find what is right there."""
        record = run(self.subject, values, upstream)
        point = Point(values, record, where, reference=self.reference_gradients(values, record))
        for position in self.subject.checked:
            yours = as_gradient(record.gradients[position], values[position])
            if self.surrogate:
                estimate, noise = Estimate.unknown(yours.shape), self.eps
            else:
                estimate, noise = self.numeric(values, position, record, yours, groups)
            point.yours[position], point.numeric[position], point.noise[position] = yours, estimate, noise
            right = point.right[position] = estimate.value.clone()
            if position in point.reference:
                known = point.reference[position].isfinite()
                right[known] = point.reference[position][known]
        everything = max((largest(right) for right in point.right.values()), default=0.0)
        for position in self.subject.checked:
            point.wrong[position] = self._differs(point, position, everything)
        return point

    def numeric(
        self,
        values: list[Any],
        position: int,
        record: Run,
        claimed: Tensor,
        groups: int = GROUPS,
    ) -> tuple[Estimate, float]:
        """Estimate the gradient of one argument by finite differences; return also the function's noise."""
        evaluator = self.evaluator(values, position, record)

        def estimated() -> Estimate:
            tolerance = self.tolerance_at(evaluator.noise)
            return derivative(evaluator, claimed, tolerance, self.generator, groups)

        estimate = estimated()
        if not evaluator.is_noise_measured:
            agree = close(claimed, estimate.value, self.tolerance_at(evaluator.noise))
            if not bool((agree & estimate.value.isfinite()).all()) or not bool(claimed.any()):
                # Only now: what agrees to the digits of its dtype has no more noise than that.
                noise = evaluator.noise
                evaluator.measure_noise()
                if evaluator.noise > noise:
                    estimate = estimated()
        self._noise[position] = evaluator.noise
        if evaluator.at.dtype == torch.float64:
            if evaluator.noise == STAIRCASE:
                return Estimate.unknown(claimed.shape), STAIRCASE
            # What noise alone would hide is not known.
            size = max(largest(claimed), largest(estimate.value))
            estimate.value[(5 * estimate.error > 0.3 * size) & (claimed.abs() > 1e-6)] = math.nan
        return estimate, evaluator.noise

    def evaluator(self, values: list[Any], position: int, record: Run) -> Evaluator:
        """Return ``<u, f>`` as a function of one argument."""
        kept = [k for k, follows in enumerate(record.differentiable) if follows]
        kept = kept or list(range(len(record.outputs)))
        is_complex = values[position].is_complex()

        def function(x: Tensor) -> list[Tensor]:
            arguments = list(values)
            arguments[position] = torch.view_as_complex(x) if is_complex else x
            outputs = [t for t in self.subject.evaluate(arguments) if is_differentiable(t)]
            return [real(outputs[k]) for k in kept]

        upstream = [real(record.upstream[k]) for k in kept]
        return Evaluator(function, real(values[position]), upstream, self._noise.get(position))

    def jacobian(self, position: int, point: Point) -> Tensor | None:
        """Return the derivative of each result by each element, (results, elements); None if too large."""
        evaluator = self.evaluator(point.values, position, point.run)
        x, results = evaluator.at, sum(output.numel() for output in evaluator.base)
        if (
            x.dtype != torch.float64
            or not 0 < x.numel() * results <= MOST_ENTRIES
            or x.numel() > MOST_COLUMNS
        ):
            return None
        steps = max(1e-5, point.noise[position] ** (1 / 3)) * x.abs().clamp(min=1)
        columns = []
        for move in torch.diag(steps.reshape(-1)).reshape(-1, *x.shape):
            up, down = evaluator.function(x + move), evaluator.function(x - move)
            columns.append(torch.cat([(a - b).reshape(-1) for a, b in zip(up, down, strict=True)]))
        return (torch.stack(columns, 1) / (2 * steps.reshape(-1))).cpu()

    def tolerance_at(self, noise: float) -> Tolerance:
        """Return the tolerance in a function that is as noisy as this."""
        return self.tolerance or Tolerance.of(max(noise, self.eps))

    def floor(self, everything: float) -> float:
        """Return the difference that is rounding alone, where the largest gradient of all is this large."""
        return max(FLOOR, 4 * self.eps) * everything

    def _differs(self, point: Point, position: int, everything: float) -> Tensor:
        yours, right, estimate = point.yours[position], point.right[position], point.numeric[position]
        tolerance = self.tolerance_at(0.0 if position in point.reference else point.noise[position])
        error = estimate.error.nan_to_num(0.0, 0.0, 0.0)
        floor = self.floor(everything)
        if position in point.reference:
            # The reference decides at a kink, too: what the slopes leave open there is no allowance.
            agree = close(yours, right, tolerance, error.where(~estimate.kink, 0.0))
            return ~(agree | ((yours - right).abs() <= floor))
        agree = close(yours, right, tolerance, error) | ((yours - right).abs() <= floor)
        return ~torch.where(estimate.kink, estimate.between_slopes(yours), agree)

    def reference_gradients(self, values: list[Any], record: Run) -> dict[int, Tensor]:
        """Return the reference's gradients, if its result is the same as the subject's."""
        if self.reference is None:
            return {}
        taken = values[: len(self.reference.values)]
        for exact in (cast(taken, torch.float64), taken):  # in float64 also where the subject cannot be
            try:
                theirs = run(self.reference, exact, lambda outputs: _like(record.upstream, outputs))
            except (SubjectError, RuntimeError, ValueError):
                continue
            if not self.surrogate and self.forward_difference(record.outputs, theirs.outputs):
                continue
            gradients = {i: g for i, g in theirs.gradients.items() if g is not None or self.surrogate}
            return {i: as_gradient(g, values[i]) for i, g in gradients.items() if i in self.subject.checked}
        return {}

    def forward_difference(
        self, yours: Sequence[Tensor], theirs: Sequence[Tensor], eps: float | None = None
    ) -> str:
        """Say how the results of subject and reference differ; empty if they do not."""
        if len(yours) != len(theirs):
            return f"returns {len(yours)} tensors, the reference {len(theirs)}"
        for y, t in zip(yours, theirs, strict=True):
            if y.shape != t.shape:
                return f"returns the shape {tuple(y.shape)}, the reference {tuple(t.shape)}"
            coarsest = max(eps or self.eps, *(torch.finfo(result.dtype).eps for result in (y, t)))
            a, b = (real(result).cpu().double() for result in (y, t))
            tolerance = self.tolerance or Tolerance.of(coarsest)
            differs = ~(close(a, b, tolerance) & (b.isfinite() | (a == b) | (a.isnan() & b.isnan())))
            if bool(differs.any()):
                index = tuple(differs.nonzero()[0].tolist())
                place = f" at {list(index)}" if index else ""
                return f"returns {a[index]:.6g}{place}, the reference {b[index]:.6g}"
        return ""


def _like(upstream: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
    return [u.to(output.dtype) for u, output in zip(upstream, outputs, strict=True)]
