"""The verdict on a student's file. It runs inside the limits, in a process of its own."""

import functools
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from torch import Tensor

from manualgrad.cases import SampleInput
from manualgrad.exercises.course import Exercise, Step
from manualgrad.exercises.lines import judge_lines
from manualgrad.exercises.outcome import Outcome, Request
from manualgrad.exercises.scripts import judge_script
from manualgrad.exercises.student import find_class, info_of, with_class
from manualgrad.gradcheck import Finding, Report, gradcheck
from manualgrad.loading import FileError, load_module

TABLE_WIDTH = 100  # below that its figures would be cut; the message names the worst of them anyway

# What Python and PyTorch say, and what it means here.
EXPLAINED = (
    (
        "builtin_function_or_method",
        "`input` is Python's own function here: this forward has not saved its input.",
    ),
    ("'NoneType'", "What no gradient needs is not saved: it is None. ctx.needs_input_grad tells."),
    (
        "was not a Variable",
        "Forward got no tensor in that place, counted from 1: its gradient has to be None.",
    ),
)


def judge(exercise: Exercise, request: Request) -> Outcome:
    """Run the student's file and judge what it defines.

    Parameters
    ----------
    exercise : Exercise
        What the file is for.
    request : Request
        The file, and how wide the report may be.

    Returns
    -------
    Outcome
        The first step that is not right decides it.
    """
    path = Path(request.file)
    try:
        if exercise.kind == "network":
            return judge_lines(exercise, path)
        if exercise.kind == "script":
            return judge_script(exercise, path)
        return _judge_function(exercise, path, request)
    except FileError as problem:
        return Outcome(steps=len(exercise.steps), kind=problem.kind, message=str(problem))


def _judge_function(exercise: Exercise, path: Path, request: Request) -> Outcome:
    info = info_of(exercise)
    yours = with_class(info, find_class(load_module(path), info.function_class))
    samples = info.samples()
    reports: dict[str, Report] = {}
    for done, step in enumerate(exercise.steps):
        for sample in samples:
            if step.samples and sample.name not in step.samples:
                continue
            if sample.name not in reports:
                # Other sizes of input and second derivatives are a matter of the formula, not of the sample.
                reports[sample.name] = _check(yours, info.function, sample, thorough=not reports)
            report = _about(reports[sample.name], step)
            if not report.ok:
                finding = next(finding for finding in report.findings if finding.wrong)
                outcome = Outcome(
                    steps_done=done, steps=len(exercise.steps), step=_where(exercise, step, sample)
                )
                return _failure(outcome, exercise, finding, report, request)
    return Outcome(passed=True, steps_done=len(exercise.steps), steps=len(exercise.steps))


def _where(exercise: Exercise, step: Step, sample: SampleInput) -> str:
    """Name the step, and the sample unless it is the step's only one."""
    parts = [step.title] if len(exercise.steps) > 1 else []
    if step.samples != (sample.name,):
        parts.append(f"sample: {sample.name}")
    return "; ".join(parts)


def _check(
    yours: Callable[..., Tensor], ours: Callable[..., Tensor], sample: SampleInput, thorough: bool
) -> Report:
    function: Any = functools.partial(yours, **sample.kwargs)
    function.__name__ = yours.__name__
    reference = functools.partial(ours, **sample.kwargs)
    return gradcheck(function, sample.args, reference, second_order=thorough, magnitudes=thorough)


def _about(report: Report, step: Step) -> Report:
    """Leave out what a step does not ask for."""
    if not step.arguments:
        return report
    rows = [row for row in report.rows if row.argument in step.arguments]
    findings = [f for f in report.findings if f.argument is None or f.argument in step.arguments]
    return Report(report.title, rows, findings)


def _failure(
    outcome: Outcome, exercise: Exercise, finding: Finding, report: Report, request: Request
) -> Outcome:
    fields = outcome.to_dict()
    if "NotImplementedError" in finding.message:
        return Outcome(**fields | {"kind": "not-written", "message": "backward is not written yet"})
    for sign, note in EXPLAINED:
        if sign in finding.message:
            finding = replace(finding, message=f"{finding.message} ({note})")
    shown = Report(report.title, report.rows, [finding])
    return Outcome(
        **fields | {"kind": finding.kind, "message": finding.message, "report": _draw(shown, request)}
    )


def _draw(report: Report, request: Request) -> str:
    console = Console(
        file=io.StringIO(),
        width=request.width,
        force_terminal=request.colour,
        color_system="standard" if request.colour else None,
    )
    finding = report.findings[0]
    if finding.kind == "raises" or request.width < TABLE_WIDTH:
        console.print(Text.assemble((finding.kind, "bold red"), f": {finding.message}\n    {finding.hint}"))
    else:
        console.print(report)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]
