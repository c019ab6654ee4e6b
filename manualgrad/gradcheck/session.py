"""One call of gradcheck: what is checked, how it is judged, what was found out so far, and the report."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.forward_backward import Upstream, forward_backward
from manualgrad.gradcheck.numeric import GROUPS, STAIRCASE, Estimate, gradient
from manualgrad.gradcheck.report import Explain, Finding, Report, Row
from manualgrad.gradcheck.run import Measurement, Run
from manualgrad.gradcheck.subject import (
    MisuseError,
    Subject,
    SubjectError,
    as_gradient,
    cast,
    is_differentiable,
)
from manualgrad.gradcheck.tolerance import Tolerance, close, first_index, largest

FLOOR = 1e-9  # of the largest gradient of all arguments: below it float64 itself is noise


@dataclass
class Session:
    """What the checks of one call share.

    The runs that all checks build on are made when they are first asked for: native, precise, base.
    """

    subject: Subject
    reference: Subject | None  # whose gradient is trusted
    surrogate: bool  # whether the reference stands for the gradient alone: a straight-through estimator's
    tolerance: Tolerance | None  # the caller's own, which takes the place of what eps allows
    allow: Collection[str]  # the kinds that are notes only
    generator: torch.Generator  # for every random choice
    report: Report
    explain: Explain | None = None  # the caller's own diagnosis
    named: set[int | None] = field(default_factory=set)  # the arguments that had their finding
    done: bool = False  # whether what follows could not be told apart from what was found
    _noise: dict[int, float] = field(default_factory=dict)  # per position, at the caller's inputs

    def find(
        self,
        kind: str,
        position: int | str | None,
        message: str,
        index: tuple[int, ...] | None = None,
        *,
        wrong: bool = True,
        figures: str = "",
    ) -> None:
        """Report a finding, of an argument by its position; one that the caller allows is a note."""
        argument = self.subject.names[position] if isinstance(position, int) else position
        finding = Finding(kind, argument, index, message, wrong and kind not in self.allow, figures)
        if finding not in self.report.findings:
            self.report.findings.append(finding)

    def find_element(
        self, kind: str, position: int, what: str, index: tuple[int, ...], yours: Tensor, right: Tensor
    ) -> None:
        """Report an argument's gradient by one element, and nothing else of that argument from now on."""
        name, entry = self.subject.name_of(position), self.subject.entry(position, index)
        other = "was" if kind in ("nondeterministic", "uninitialized") else "should be"
        numbers = f"{entry} is {yours[index]:.6g}, {other} {right[index]:.6g}"
        self.find(kind, position, f"The gradient of {name} {what}: {numbers}.", index)
        self.named.add(position)

    def run(self, values: Sequence[Any], upstream: Upstream | None = None, **options: Any) -> Run:
        """Run forward and backward; draw the upstream at random if there is none."""
        upstream = self.generator if upstream is None else upstream
        return forward_backward(self.subject, values, upstream, **options)

    @cached_property
    def native(self) -> Run:
        """The first run, on the caller's own values."""
        return self.run(self.subject.values)

    @cached_property
    def precise(self) -> Run:
        """The same in float64 where the function computes the same in it, else the first run itself."""
        native = self.native
        if {value.dtype for value in native.values if is_differentiable(value)} == {torch.float64}:
            return native
        try:
            precise = self.run(cast(native.values, torch.float64), native.upstream)
        except SubjectError:
            return native
        # A backward that casts to the caller's dtype by name is judged in that.
        dtypes = {r.gradient.dtype for r in precise.returned if r.gradient is not None}
        dtypes |= {output.dtype for output in precise.outputs}
        is_same = dtypes == {torch.float64} and not forward_difference(precise.outputs, native.outputs, 0.0)
        return precise if is_same else native

    @cached_property
    def eps(self) -> float:
        """The precision that is computed in."""
        return max(torch.finfo(self.precise.values[i].dtype).eps for i in self.subject.checked)

    @cached_property
    def base(self) -> Run:
        """The caller's inputs, judged."""
        return self.judge(self.precise)

    def judge(self, run: Run, groups: int = GROUPS) -> Run:
        """Measure what is right where the subject was run, and where its gradients are wrong."""
        reference = self.reference_gradients(run)
        for position in self.subject.checked:
            yours = as_gradient(run.gradients[position], run.values[position])
            estimate, noise = Estimate.unknown(yours.shape), self.eps
            if not self.surrogate:
                estimate, noise = self.numeric(run, position, yours, groups)
            run.measured[position] = Measurement(
                run, position, yours, estimate, noise, reference.get(position)
            )
        run.floor = max(FLOOR, 4 * self.eps) * max(largest(m.right) for m in run.measured.values())
        for measurement in run.measured.values():
            measurement.wrong = self._differs(measurement, run.floor)
        return run

    def judged(self, values: Sequence[Any], groups: int = GROUPS) -> Run | None:
        """Run on other values, and judge that; None out of the function's domain."""
        try:
            run = self.run(values)
        except SubjectError:
            return None
        return self.judge(run, groups) if run.is_finite else None

    def right_gradient(self, run: Run, position: int) -> Tensor:
        """Return what is right for an argument in a judged run, also if its upstream is another now."""
        if run.measured[position].reference is not None:
            return self.reference_gradients(run)[position]
        blind = torch.full_like(run.measured[position].yours, math.nan)
        return self.numeric(run, position, blind)[0].value

    def numeric(
        self, run: Run, position: int, claimed: Tensor, groups: int = GROUPS
    ) -> tuple[Estimate, float]:
        """Estimate the gradient of one argument by finite differences; return also the function's noise."""
        differences = run.differences(position, self._noise.get(position))
        tolerance = self.tolerance_at(differences.noise)
        estimate = gradient(differences, claimed, tolerance, self.generator, groups)
        if position not in self._noise:
            agree = close(claimed, estimate.value, tolerance) & estimate.value.isfinite()
            if not bool(agree.all()) or not bool(claimed.any()):  # a staircase has zeros to agree with
                # Only now: what agrees to the digits of its dtype has no more noise than that.
                assumed = differences.noise
                differences.measure_noise()
                if differences.noise > assumed:
                    tolerance = self.tolerance_at(differences.noise)
                    estimate = gradient(differences, claimed, tolerance, self.generator, groups)
            self._noise[position] = differences.noise
        if run.values[position].dtype == torch.float64:
            if differences.noise == STAIRCASE:
                estimate = Estimate.unknown(claimed.shape)
            elif not torch.equal(estimate.value, claimed):
                # What noise alone would hide is not known.
                size = max(largest(claimed), largest(estimate.value))
                estimate.value[(5 * estimate.error > 0.3 * size) & (claimed.abs() > 1e-6)] = math.nan
        return estimate, differences.noise

    def tolerance_at(self, noise: float) -> Tolerance:
        """Return the tolerance in a function that is as noisy as this."""
        return self.tolerance or Tolerance.of(max(noise, self.eps))

    def _differs(self, measurement: Measurement, floor: float) -> Tensor:
        yours, right, estimate = measurement.yours, measurement.right, measurement.numeric
        if torch.equal(yours, right):
            return torch.zeros(yours.shape, dtype=torch.bool)
        error = estimate.error.nan_to_num(0.0, 0.0, 0.0)
        is_rounding = (yours - right).abs() <= floor
        if measurement.reference is not None:
            # The reference decides at a kink, too: what the slopes leave open there is no allowance.
            error = error.where(~estimate.kink, 0.0)
            return ~(close(yours, right, self.tolerance_at(0.0), error) | is_rounding)
        agree = close(yours, right, self.tolerance_at(measurement.noise), error) | is_rounding
        if bool(estimate.kink.any()):
            agree = torch.where(estimate.kink, estimate.between_slopes(yours), agree)
        return ~agree

    def reference_gradients(self, run: Run) -> dict[int, Tensor]:
        """Return the reference's gradients, if its result is the same as the subject's."""
        if self.reference is None:
            return {}
        taken = run.values[: len(self.reference.values)]
        for exact in (cast(taken, torch.float64), taken):  # in float64 also where the subject cannot be
            try:
                theirs = forward_backward(self.reference, exact, run.upstream)
            except (SubjectError, RuntimeError, ValueError):
                continue
            if self.surrogate or not forward_difference(
                run.outputs, theirs.outputs, self.eps, self.tolerance
            ):
                return {
                    i: as_gradient(gradient, run.values[i])
                    for i, gradient in theirs.gradients.items()
                    if gradient is not None or self.surrogate
                }
        return {}

    def reference_results(self, values: Sequence[Any]) -> list[Tensor]:
        """Return the reference's results, in the caller's dtype if it does not know another."""
        assert self.reference is not None
        try:
            return self.reference.evaluate(values[: len(self.reference.values)])
        except SubjectError:
            try:
                return self.reference.evaluate(self.reference.values)
            except SubjectError as error:
                raise MisuseError(f"the reference's {error}") from error

    def compare(
        self, run: Run, kind: str, what: str, *, factor: float = 1.0, like: Run | None = None
    ) -> None:
        """Report gradients that are not ``factor`` times those of a like run, else of the inputs."""
        scale = max(1.0, abs(factor))
        for position, found in run.gradients.items():
            base, value = self.base.measured[position], self.base.values[position]
            theirs = base.yours if like is None else as_gradient(like.gradients[position], value)
            got, right = as_gradient(found, value), factor * theirs
            if torch.equal(got, right):
                continue
            size = scale * max(largest(theirs), largest(base.yours))
            bound = self.tolerance_at(base.noise).bound(right, 0.0, size) + scale * self.base.floor
            index = first_index(~((got - right).abs() <= bound) & right.isfinite())
            if index is not None and position not in self.named:
                is_missing = kind == "unknown" and not bool(got.any())
                self.find_element(
                    "missing-gradient" if is_missing else kind, position, what, index, got, right
                )

    def show(self, run: Run) -> None:
        """Let the table be about a judged run."""
        self.report.rows = []
        self.report.upstream = run.upstream
        # In the place of a gradient that the engine does not take, the run has zeros.
        refused = {r.position for r in run.returned if not r.is_accepted}
        for position, m in run.measured.items():
            row = Row(self.subject.names[position], tuple(self.subject.values[position].shape))
            self.report.rows.append(row)
            if not m.yours.numel():
                continue
            index = row.index = m.worst_index()
            right, row.numeric = float(m.right[index]), float(m.numeric.value[index])
            if m.reference is not None:
                row.reference = float(m.reference[index])
            if not refused & {position, None}:
                row.yours = float(m.yours[index])
                row.relative_error = abs(row.yours - right) / max(abs(row.yours), abs(right), 1e-300)
            if not bool(m.yours.any()) and not bool(m.right.any()):
                row.verdict = "right (no effect)"


def forward_difference(
    yours: Sequence[Tensor], theirs: Sequence[Tensor], eps: float, tolerance: Tolerance | None = None
) -> str:
    """Say how the results of subject and reference differ in a precision of ``eps``; empty if they do not."""
    if len(yours) != len(theirs):
        return f"returns {len(yours)} tensors, the reference {len(theirs)}"
    for y, t in zip(yours, theirs, strict=True):
        if y.shape != t.shape:
            return f"returns the shape {tuple(y.shape)}, the reference {tuple(t.shape)}"
        coarsest = max(eps, *(torch.finfo(result.dtype).eps for result in (y, t)))
        a, b = (result.cpu().double() for result in (y, t))
        is_close = close(a, b, tolerance or Tolerance.of(coarsest))
        index = first_index(~(is_close & (b.isfinite() | (a == b) | (a.isnan() & b.isnan()))))
        if index is not None:
            place = f" at {list(index)}" if index else ""
            return f"returns {a[index]:.6g}{place}, the reference {b[index]:.6g}"
    return ""
