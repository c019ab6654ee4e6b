"""Judge a student's file. This runs inside the limits, in a process of its own."""

import contextlib
import functools
import inspect
import io
import os
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FunctionInfo, SampleInput
from manualgrad.exercises.course import find
from manualgrad.exercises.exercise import Exercise, Step
from manualgrad.exercises.given import info_of
from manualgrad.exercises.programs import judge_network, judge_script
from manualgrad.exercises.search import Search
from manualgrad.exercises.student import cut, explain, find_class, frame_in, in_place_of_ours, meaning
from manualgrad.exercises.verdict import Request, Verdict
from manualgrad.gradcheck import Finding, Report, gradcheck
from manualgrad.gradcheck.forward_backward import differentiate
from manualgrad.gradcheck.report import Row
from manualgrad.loading import FileError, load_module


def judge(request: Request) -> Verdict:
    """Run the student's file and judge what it defines; the first step that is not right decides.

    What only the process's owner knows is left open: what was printed, and how long it took.
    """
    exercise = find(request.exercise)
    path = Path(request.file.name)  # a copy of what was handed in, in this check's own folder
    path.write_bytes(request.source)
    sys.path.insert(0, str(request.file.parent))  # it can import its neighbours
    try:
        if exercise.kind == "network":
            return judge_network(exercise, path)
        if exercise.kind == "script":
            return judge_script(exercise, path)
        info, module = info_of(exercise), load_module(path)
        attempt = Attempt(exercise, request, path, info, find_class(module, info.function_class))
        if exercise.kind == "prediction":
            return attempt.judge_prediction(getattr(module, "prediction", ...))
        return attempt.judge_steps()
    except FileError as problem:
        return Verdict(kind=problem.kind, message=str(problem))


# Kinds that no edit of a formula explains, and those that one explains better.
NO_SLIPS = {"raises", "mutates", "layout", "nondeterministic", "imprecise", "wrong-dtype", "unsummed"}
FORMULAS = {"unknown", "missing-terms", "input-for-output", "wrong-region"}


class Told(Finding):
    """A finding that names the edit: where to look is said."""

    hint = ""


@dataclass
class Attempt:
    """A student's Function, and what it is judged against."""

    exercise: Exercise
    request: Request
    path: Path
    info: FunctionInfo
    theirs: type[Function]
    reports: dict[str, Report] = field(default_factory=dict)  # of the samples that have been checked
    told: list[str] = field(default_factory=list)  # the slips that were found

    def __post_init__(self) -> None:
        asked = {name for step in self.exercise.steps for name in step.samples}
        is_all = not all(step.samples for step in self.exercise.steps)
        self.samples = [one for one in self.info.samples() if is_all or one.name in asked]
        self.search = Search(self.info, self.theirs, self.request.source, self.samples)

    def judge_steps(self) -> Verdict:
        """Judge step by step, sample by sample."""
        steps, samples = self.exercise.steps, self.samples
        for done, step in enumerate(steps):
            for sample in samples:
                if step.samples and sample.name not in step.samples:
                    continue
                if verdict := self._judge(step, sample):
                    return replace(verdict, steps_done=done, step=self._place(step, sample))
        empty = self._without_rows(samples[0])
        if not steps[-1].samples and empty is not None and (verdict := self._try(empty)):
            return replace(verdict, steps_done=len(steps) - 1, step=self._place(steps[-1], empty))
        return Verdict(passed=True, steps_done=len(steps))

    def judge_prediction(self, prediction: object) -> Verdict:
        """Compare what the student predicts with what gradcheck names; a wrong one sees the figures alone."""
        if not isinstance(prediction, str):
            return Verdict(kind="not-written", message="prediction is not written yet: a name, in quotes")
        prediction = prediction.strip().lower().replace(" ", "-")
        (step,) = self.exercise.steps
        sample = next(sample for sample in self.info.samples() if sample.name in step.samples)
        report = self._check(step, sample, thorough=True)
        found = _first_wrong(report, step)
        if found is None:
            message = "backward is right now: `reset` brings the wrong one back"
            return Verdict(kind="no-mistake", message=message)
        if prediction == found.kind:
            return Verdict(passed=True, steps_done=1, report=self._draw(replace(report, findings=[found])))
        message = f"not {prediction}. Work the figures out by hand: what turns the right ones into these?"
        rows = [replace(row, verdict="wrong") for row in report.rows if not row.verdict.startswith("right")]
        return self._verdict(report, Told("wrong-prediction", None, None, message), rows)

    def _judge(self, step: Step, sample: SampleInput) -> Verdict | None:
        """Return what is wrong with a sample's gradients as far as they concern a step."""
        if sample.name not in self.reports:
            if verdict := self._try(sample):
                slip = self.search.find(sample, step.arguments) if verdict.kind == "raises" else None
                return replace(verdict, message=f"{verdict.message}\n{slip[1]}") if slip else verdict
            # Other sizes of input and second derivatives concern the formula, not the sample.
            self.reports[sample.name] = self._check(step, sample, thorough=not self.reports)
        report = self.reports[sample.name]
        finding = _first_wrong(report, step)
        if finding is None:
            return None
        _forget_prints()  # what is shown belongs to the run of the table
        self._try(sample, report.upstream)
        if finding.kind == "raises":
            finding = replace(finding, message=finding.message + meaning(finding.message))
            if place := re.search(r"at position (\d+)", finding.message):
                name = list(inspect.signature(self.info.function_class.forward).parameters)[int(place[1]) - 1]
                finding = replace(finding, message=f"{finding.message} Here that is {name}.")
        if finding.kind == "unknown" and step.arguments:
            finding = self._alone(finding, step, sample)
        finding = self._with_slip(finding, step, sample)
        rows = [
            replace(row, verdict=finding.kind) if row.argument == finding.argument else row
            for row in report.rows
            if not step.arguments or row.argument in step.arguments
        ]
        if any(slip in finding.message for slip in self.told):
            finding = Told(**vars(finding))
        return self._verdict(report, finding, rows)

    def _verdict(self, report: Report, finding: Finding, rows: list[Row]) -> Verdict:
        """Return what one finding says, with some rows of the report's table."""
        shown = replace(report, rows=rows, findings=[finding])
        html = shown._repr_html_() if self.request.html else ""
        return Verdict(kind=finding.kind, message=finding.message, report=self._draw(shown), html=html)

    def _place(self, step: Step, sample: SampleInput) -> str:
        """Name the step, and the sample unless it is the step's only one."""
        parts = [step.title] if len(self.exercise.steps) > 1 else []
        if step.samples != (sample.name,):
            parts.append(f"sample: {sample.name}")
        return "; ".join(parts)

    def _try(self, sample: SampleInput, upstream: tuple[Tensor, ...] = ()) -> Verdict | None:
        """Run backward once; what it prints is shown, and what it raises is explained."""
        try:
            self._run(sample, upstream)
        except Exception as error:
            if isinstance(error, NotImplementedError) and not error.args:  # PyTorch's own say what is missing
                return Verdict(kind="not-written", message="backward is not written yet")
            # What the engine says of a gradient, gradcheck says better.
            if frame_in(error, self.path):
                return Verdict(kind="raises", message=explain(error, self.path))
        return None

    def _run(self, sample: SampleInput, upstream: tuple[Tensor, ...] = ()) -> None:
        """Run forward and backward."""
        leaves = [value for value in sample.args if isinstance(value, Tensor) and value.requires_grad]
        with in_place_of_ours(self.info, self.theirs):
            result = sample.seeded(self.info.function)(*sample.args, **sample.kwargs)
            outputs = result if isinstance(result, tuple) else (result,)
            differentiate(outputs, leaves, upstream or tuple(map(torch.randn_like, outputs)))

    def _check(self, step: Step, sample: SampleInput, thorough: bool) -> Report:
        """Gradcheck the function with the student's class in it, against the function with ours."""

        def yours(*args: Any, **kwargs: Any) -> Tensor:
            with in_place_of_ours(self.info, self.theirs):
                return self.info.function(*args, **kwargs)

        wrapped = sample.seeded(functools.wraps(self.info.function)(yours))
        function: Any = functools.partial(wrapped, **sample.kwargs)
        function.__name__ = self.exercise.name
        reference = functools.partial(sample.seeded(self.info.function), **sample.kwargs)

        asked: list[str] = []  # only what the step is about, or else the first, is told

        def explain(name: str) -> tuple[str, str] | None:
            if asked and name not in step.arguments:
                return None
            asked.append(name)
            slip = self.search.find(sample, (name,))
            self.told += slip[1:] if slip else ()
            return slip

        with contextlib.redirect_stdout(io.StringIO()):  # one run's prints are enough
            return gradcheck(
                function,
                sample.args,
                reference,
                second_order=thorough,
                magnitudes=thorough,
                explain=explain,
            )

    def _alone(self, finding: Finding, step: Step, sample: SampleInput) -> Finding:
        """Look again with all other arguments held still: a target may have to stay a distribution."""
        names = inspect.signature(self.info.function).parameters
        args = [
            value if name in step.arguments or not isinstance(value, Tensor) else value.detach()
            for name, value in zip(names, sample.args, strict=False)
        ]
        closer = _first_wrong(self._check(step, replace(sample, args=tuple(args)), thorough=False), step)
        return finding if closer is None or closer.kind == "raises" else closer

    def _with_slip(self, finding: Finding, step: Step, sample: SampleInput) -> Finding:
        """Add the slip, or else what is known of the way there."""
        if finding.kind in NO_SLIPS or any(slip in finding.message for slip in self.told):
            return finding
        arguments = step.arguments if finding.argument is None else (finding.argument,)
        figures = f" {finding.figures}." if finding.figures else ""
        is_unknown = "no known mistake" in finding.message  # which has figures of its own
        message = finding.message.removesuffix(figures)
        slip = None if "is None" in message else self.search.find(sample, arguments)
        if slip:
            self.told += slip[1:]
            if finding.kind in FORMULAS:
                return replace(finding, kind=slip[0], message=f"{slip[1]}{figures}")
            message = re.sub(r" \([^)]* has [^)]*\)", "", message)  # a size may be a coincidence
            return replace(finding, message=f"{message} {slip[1]}{figures}")
        message = re.sub(r" \([CK]: [^)]* has [^)]*\)", "", message)
        if finding.kind == "second-order":
            added = cut(self.theirs)
        else:
            added = self.search.unread(sample, arguments, with_right=finding.kind in FORMULAS)
        if finding.kind == "unknown" and "does not read" in added:
            return replace(finding, message=f"{added}{figures}")
        return replace(finding, message=f"{message} {added}".rstrip() + figures * (not is_unknown))

    def _without_rows(self, sample: SampleInput) -> SampleInput | None:
        """Return a sample with an empty batch; None if the function does not take one."""
        input, *others = sample.args
        with contextlib.suppress(Exception):  # a target has as many rows, say
            empty = replace(
                sample, name="an empty batch", args=(input.detach()[:0].requires_grad_(), *others)
            )
            self.info.function(*empty.args, **empty.kwargs)
            return empty
        return None

    def _draw(self, report: Report) -> str:
        """Draw the report for the terminal that asked."""
        console = Console(width=self.request.width, force_terminal=self.request.colour)
        with console.capture() as capture:
            console.print(report)
        lines = capture.get().rstrip().splitlines()  # random numbers are none to work with
        return "\n".join(line for line in lines if line.strip() and "upstream of random" not in line)


def _first_wrong(report: Report, step: Step) -> Finding | None:
    """Return the first finding that concerns a step; of use with fewer gradients the last step is about."""
    for finding in report.findings:
        concerns = finding.argument in (None, *step.arguments)
        concerns &= finding.kind != "raises" or finding.argument is None
        if finding.wrong and (concerns or not step.arguments):
            return finding
    return None


def _forget_prints() -> None:
    """Empty the file that standard output goes to, if it is one."""
    sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)
