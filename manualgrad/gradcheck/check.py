"""The check itself: what is looked at, in which order, and when to stop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck import conduct, layouts, probes, second_order, shapes
from manualgrad.gradcheck.case import Case
from manualgrad.gradcheck.conduct import first_index
from manualgrad.gradcheck.corners import corner
from manualgrad.gradcheck.explanations import explain
from manualgrad.gradcheck.judge import Judge, Sample, Upstream, random_upstream, worst_index
from manualgrad.gradcheck.precision import tolerance_for, working_values
from manualgrad.gradcheck.probes import Probe
from manualgrad.gradcheck.recording import Run, StudentError, run
from manualgrad.gradcheck.report import Finding, Report, Row
from manualgrad.gradcheck.subject import Subject

SMALL = 100_000  # elements
FEW_DIRECTIONS = 24  # in the probes beyond the caller's own inputs


def gradcheck(
    fn: Any,
    inputs: Any,
    reference: Callable[..., Any] | None = None,
    *,
    second_order: bool = True,
    magnitudes: bool = True,
    seed: int = 0,
) -> Report:
    """Say whether a hand-written gradient is right; if not, where, by how much and why.

    Parameters
    ----------
    fn : Function class, nn.Module or callable
        What to check. Of a module the parameters are checked, too.
    inputs : Tensor or tuple
        The arguments; anything that is not a floating-point tensor is passed on as it is. Judged are the
        tensors that require grad; if none does, all floating-point tensors. The caller's tensors are never
        changed.
    reference : callable, optional
        The same function by somebody trusted, with the same arguments; autograd supplies its gradient. Where
        the function has a corner, the reference decides.
    second_order : bool, default=True
        Whether the gradient has to be differentiable again.
    magnitudes : bool, default=True
        Whether to look also at inputs of other sizes: 0.01 and 100 times those given, and about 10 000.
    seed : int, default=0
        For the random upstream gradients.

    Returns
    -------
    Report
        ``report.ok``, ``report.findings``, and a table when printed. A wrong gradient never raises.

    Raises
    ------
    ValueError
        If there is no floating-point tensor among the inputs, or the reference raises on them.

    Examples
    --------
    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, input):
    ...         return 2 * input
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         return grad_output
    >>> report = gradcheck(Double, torch.randn(3, 2))
    >>> report.findings[0].kind
    'scale'
    """
    subject = Subject(fn, inputs)
    trusted = None if reference is None else Subject(reference, inputs)
    if trusted is not None:
        trusted.checked = [i for i in subject.checked if i < len(trusted.values)]
    devices = sorted({v.device.index or 0 for v in subject.values if isinstance(v, Tensor) and v.is_cuda})
    with torch.random.fork_rng(devices=devices), _few_threads(subject):
        check = _Check(subject, trusted, torch.Generator().manual_seed(seed))
        check.everything(second_order, magnitudes)
    return check.report


@dataclass
class _Check:
    subject: Subject
    reference: Subject | None
    generator: torch.Generator

    def __post_init__(self) -> None:
        self.report = Report(self.subject.title)
        self.named: set[int | None] = set()  # arguments whose gradient has had its finding

    def everything(self, with_second_order: bool, with_magnitudes: bool) -> None:
        """Look at one thing after the other; what is found early explains what would be found late."""
        try:
            self.subject.fix_randomness()
        except Exception as error:
            return self._raised(StudentError("forward", error))
        try:
            native = run(self.subject, self.subject.values, random_upstream(self.generator))
            again = [run(self.subject, self.subject.values, lambda _: native.upstream) for _ in range(2)]
        except StudentError as error:
            return self._raised(error)
        if not self._forward_is_finite(native):
            return None
        for what in dict.fromkeys(native.changed):
            self._find("mutates", None, f"{what}: others still need the old values.")
        self._add(conduct.repeats(self.subject, native, again))
        values = working_values(self.subject, native, random_upstream(self.generator))
        tolerance = tolerance_for(values, self.subject.checked)
        judge = Judge(self.subject, self.reference, tolerance, self.generator)
        base = judge.sample(values, random_upstream(self.generator))
        self._rows(base)
        self._forward_agrees(judge, base)
        self._add(shapes.check(self.subject, base, native.returned))
        misshapen = [r for r in native.returned if r.gradient is not None and r.gradient.shape != r.shape]
        self.named = {r.position for r in misshapen}
        # What changes from call to call has no values to judge, nor has what follows a gradient of no use.
        rejected = any(f.kind == "wrong-shape" for f in self.report.findings) and None in self.named
        if not rejected and all(f.kind != "nondeterministic" for f in self.report.findings):
            self._values(judge, base)
        if self.report.ok:
            self._add(conduct.proportional(judge, base))
        if self.report.ok and native.outputs[0].dtype != torch.float64:
            self._add(conduct.in_own_dtype(native, judge.sample(values, _like(native)), self.subject))
        if self.report.ok:
            self._add(layouts.check(self.subject))
        for probe in probes.magnitudes(self.subject, base) if with_magnitudes else ():
            if self.report.ok:
                self._probe(judge, probe)
        if self.report.ok and self.reference is not None:
            self._probe(judge, probes.zeros(self.subject, base), infinite_too=False)
        if self.report.ok and with_second_order:
            self._add(second_order.check(judge, values))
        return self._verdicts()

    # ---- what backward returned, before its values

    def _raised(self, error: StudentError) -> None:
        self._rows(None)
        changed = list(dict.fromkeys(error.changed))
        if changed:
            self._find("mutates", None, f"{changed[0]}. Then {error}.")
        else:
            self._find("raises", None, f"{error}.")
        self._verdicts()

    def _forward_is_finite(self, native: Run) -> bool:
        if all(bool(output.isfinite().all()) for output in native.outputs):
            return True
        self._rows(None)
        theirs: Sequence[Tensor] = ()
        if self.reference is not None:
            theirs = [t for t in self.reference.call(self.reference.values) if t.is_floating_point()]
        finite = bool(theirs) and all(bool(t.isfinite().all()) for t in theirs)
        message = "The forward itself gives NaN or infinity here"
        if finite:
            self._find("non-finite", None, f"{message}, where the reference is finite.")
        else:
            self._find("non-finite", None, f"{message}: its gradient cannot be judged.", wrong=False)
        self._verdicts()
        return False

    # ---- its values

    def _values(self, judge: Judge, sample: Sample) -> None:
        """Name what is wrong at a sample, argument by argument."""
        for position, estimate in sample.numeric.items():
            kinks = estimate.kink & ~sample.wrong[position]
            if bool(kinks.any()) and position not in self.named and not sample.where:
                self._find(
                    "kink",
                    position,
                    corner(self.subject, sample, position, kinks),
                    first_index(kinks),
                    wrong=False,
                )
        suspects = [i for i, mask in sample.wrong.items() if bool(mask.any()) and i not in self.named]
        if not suspects:
            return
        samples = [sample, *self._more_samples(judge, sample)]
        for position in suspects:
            mask, kink = sample.wrong[position], sample.numeric[position].kink
            if not bool((mask & ~kink).any()):
                self._find("kink", position, corner(self.subject, sample, position, mask), first_index(mask))
                continue
            useful = [s for s in samples if bool(s.wrong[position].any())]
            case = Case(judge, position, useful)
            kind, sentence = explain(case)
            index = worst_index(sample, position)
            where = f"With {sample.where}: " if sample.where else ""
            worked_out = "" if kind == "unknown" else f" {case.element(index)}."
            self._find(kind, position, f"{where}{sentence}{worked_out}", index)

    def _more_samples(self, judge: Judge, sample: Sample) -> list[Sample]:
        """Take the same point with another upstream gradient, and a point nearby with the same signs."""
        nearby = list(sample.values)
        for i in self.subject.checked:
            spread = torch.rand(nearby[i].shape, generator=self.generator) * 0.5 + 0.75
            nearby[i] = nearby[i] * spread.to(nearby[i])
        found = []
        for values in (sample.values, nearby):
            try:
                more = judge.sample(values, random_upstream(self.generator))
            except StudentError:
                continue
            if all(bool(output.isfinite().all()) for output in more.record.outputs):
                found.append(more)
        return found

    def _probe(self, judge: Judge, probe: Probe, infinite_too: bool = True) -> None:
        try:
            sample = judge.sample(probe.values, random_upstream(self.generator), probe.where, FEW_DIRECTIONS)
        except StudentError:  # out of the function's domain
            return
        if not all(bool(output.isfinite().all()) for output in sample.record.outputs):
            return
        if not infinite_too:
            for position, yours in sample.yours.items():
                sample.wrong[position] &= yours.isfinite()
        if sample.any_wrong():
            self._values(judge, sample)
            self._rows(sample)

    # ---- the forward

    def _forward_agrees(self, judge: Judge, base: Sample) -> None:
        if self.reference is None:
            return
        try:
            theirs = self.reference.call(base.values[: len(self.reference.values)])
        except Exception:
            try:  # it may know the caller's dtype only
                theirs = self.reference.call(self.reference.values)
            except Exception as error:
                raise ValueError(f"the reference raised {type(error).__name__}: {error}") from error
        # In the caller's own dtype: the function may hold constants in it that the cast to float64 does not
        # reach.
        coarse = tolerance_for(self.subject.values, self.subject.checked)
        results = [t.detach() for t in theirs if t.is_floating_point()]
        difference = judge.forward_difference(base.record.outputs, results, coarse)
        if difference:
            self._find(
                "unknown", None, f"The forward itself {difference}. Its gradient is judged numerically."
            )

    # ---- the report

    def _add(self, findings: list[Finding]) -> None:
        self.report.findings += findings

    def _find(
        self,
        kind: str,
        position: int | None,
        message: str,
        index: tuple[int, ...] | None = None,
        *,
        wrong: bool = True,
    ) -> None:
        argument = None if position is None else self.subject.names[position]
        self.report.findings.append(Finding(kind, argument, index, message, wrong))

    def _rows(self, sample: Sample | None) -> None:
        self.report.rows = []
        # In the place of a gradient that the engine does not take, the sample has zeros.
        returned = [] if sample is None else sample.record.returned
        refused = {r.position for r in returned if r.gradient is not None and not r.is_accepted}
        for position in self.subject.checked:
            row = Row(self.subject.names[position], tuple(self.subject.values[position].shape))
            if sample is not None and sample.yours[position].numel():
                index = row.index = worst_index(sample, position)
                row.numeric = float(sample.numeric[position].value[index])
                if position in sample.reference:
                    row.reference = float(sample.reference[position][index])
                if not refused & {position, None}:
                    yours, right = float(sample.yours[position][index]), float(sample.right[position][index])
                    row.yours = yours
                    row.relative_error = abs(yours - right) / max(abs(yours), abs(right), 1e-300)
            self.report.rows.append(row)

    def _verdicts(self) -> None:
        # What is wrong comes first: the first finding is the one to act on.
        self.report.findings.sort(key=lambda finding: not finding.wrong)
        for row in self.report.rows:
            kinds = [f.kind for f in self.report.findings if f.wrong and f.argument in (row.argument, None)]
            if kinds:
                row.verdict = ", ".join(dict.fromkeys(kinds))


@contextmanager
def _few_threads(subject: Subject) -> Iterator[None]:
    """Compute on one thread while tensors are small: thousands of short operations mostly wait for a pool."""
    threads = torch.get_num_threads()
    if sum(v.numel() for v in subject.values if isinstance(v, Tensor)) <= SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _like(native: Run) -> Upstream:
    return lambda outputs: [u.to(o) for u, o in zip(native.upstream, outputs, strict=True)]
