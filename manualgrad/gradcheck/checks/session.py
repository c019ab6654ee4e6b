"""What the checks of one call share: what is checked, what was found out so far, and the report."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor

from manualgrad.gradcheck.judge import Judge, Point, random_upstream
from manualgrad.gradcheck.report import Finding, Report, Row
from manualgrad.gradcheck.running import Run, Upstream
from manualgrad.gradcheck.subject import Subject
from manualgrad.gradcheck.tolerance import Tolerance


@dataclass
class Session:
    """One call of gradcheck.

    Attributes
    ----------
    subject, reference : Subject
        What is checked, and whose gradient is trusted.
    surrogate : bool
        Whether the reference stands for the gradient alone.
    tolerance : Tolerance or None
        The caller's own.
    allow : collection of str
        The kinds that are notes only.
    generator : torch.Generator
        For every random choice.
    report : Report
    native : Run
        The first run, on the caller's own values.
    judge : Judge
    base : Point
        The caller's inputs, judged in float64 where the function allows that.
    named : set
        The arguments whose gradient has had its finding; None stands for those inside the function.
    done : bool
        Whether nothing more can be said.
    judged : bool
        Whether the values at the caller's inputs have been judged.
    """

    subject: Subject
    reference: Subject | None
    surrogate: bool
    tolerance: Tolerance | None
    allow: Collection[str]
    generator: torch.Generator
    report: Report
    native: Run = field(init=False)
    judge: Judge = field(init=False)
    base: Point = field(init=False)
    named: set[int | None] = field(default_factory=set)
    done: bool = False
    judged: bool = False

    def upstream(self) -> Upstream:
        """Return the next random upstream gradients."""
        return random_upstream(self.generator)

    def find(
        self,
        kind: str,
        position: int | None,
        message: str,
        index: tuple[int, ...] | None = None,
        *,
        wrong: bool = True,
    ) -> None:
        """Report a finding; one that the caller allows is a note."""
        argument = None if position is None else self.subject.names[position]
        finding = Finding(kind, argument, index, message, wrong and kind not in self.allow)
        if finding not in self.report.findings:
            self.report.findings.append(finding)

    def stop(self) -> None:
        """End the check: what would follow cannot be told apart from what was found."""
        self.done = True

    def show(self, point: Point | None) -> None:
        """Let the table be about a point, or about none."""
        self.report.rows = []
        self.report.upstream = () if point is None else point.run.upstream
        # In the place of a gradient that the engine does not take, the point has zeros.
        returned = [] if point is None else point.run.returned
        refused = {r.position for r in returned if r.gradient is not None and not r.is_accepted}
        for position in self.subject.checked:
            row = Row(self.subject.names[position], tuple(self.subject.values[position].shape))
            if point is not None and point.yours[position].numel():
                index = row.index = point.worst_index(position)
                row.numeric = float(point.numeric[position].value[index])
                if position in point.reference:
                    row.reference = float(point.reference[position][index])
                if not refused & {position, None}:
                    yours, right = float(point.yours[position][index]), float(point.right[position][index])
                    row.yours = yours
                    row.relative_error = abs(yours - right) / max(abs(yours), abs(right), 1e-300)
                if not bool(point.yours[position].any()) and not bool(point.right[position].any()):
                    row.verdict = "right (no effect)"
            self.report.rows.append(row)


def same_upstream(upstream: tuple[Tensor, ...], change: Callable[[Tensor], Tensor] | None = None) -> Upstream:
    """Return these upstream gradients again, in the results' own dtype, perhaps changed."""

    def again(outputs: object) -> list[Tensor]:
        return [
            (change(u) if change else u).to(o.dtype)
            for u, o in zip(upstream, outputs, strict=True)  # type: ignore[call-overload]
        ]

    return again
