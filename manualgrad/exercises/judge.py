"""Judge a student's file. This runs inside the limits, in a process of its own."""

import contextlib
import functools
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FunctionInfo, SampleInput
from manualgrad.exercises.course import Exercise, Step, find
from manualgrad.exercises.given import info_of
from manualgrad.exercises.lines import judge_lines
from manualgrad.exercises.scripts import judge_script
from manualgrad.exercises.student import explain, find_class, frame_in, in_place_of_ours, meaning
from manualgrad.exercises.verdict import Request, Verdict
from manualgrad.gradcheck import Report, gradcheck
from manualgrad.loading import FileError, load_module

TABLE_WIDTH = 100  # below that its figures would be cut; the message names the worst of them anyway


def judge(request: Request) -> Verdict:
    """Run the student's file and judge what it defines; the first step that is not right decides.

    Parameters
    ----------
    request : Request
        The file, and how wide the report may be.

    Returns
    -------
    Verdict
        Without what only the process's owner knows: what was printed, and how long it took.
    """
    exercise = find(request.exercise)
    path = Path(request.file.name)  # a copy of what was handed in, in this check's own folder
    path.write_bytes(request.source)
    sys.path.insert(0, str(request.file.parent))  # it can import its neighbours
    try:
        if exercise.kind == "network":
            return judge_lines(exercise, path)
        if exercise.kind == "script":
            return judge_script(exercise, path)
        return _judge_function(exercise, path, request)
    except FileError as problem:
        return Verdict(kind=problem.kind, message=str(problem))


def _judge_function(exercise: Exercise, path: Path, request: Request) -> Verdict:
    """Judge a Function, step by step, sample by sample."""
    info = info_of(exercise)
    theirs = find_class(load_module(path), info.function_class)
    reports: dict[str, Report] = {}
    for done, step in enumerate(exercise.steps):
        for sample in info.samples():
            if step.samples and sample.name not in step.samples:
                continue
            verdict = None
            if sample.name not in reports:
                verdict = _try(info, theirs, sample, path)
            if verdict is None and sample.name not in reports:
                # Other sizes of input and second derivatives concern the formula, not the sample.
                reports[sample.name] = _check(info, theirs, sample, thorough=not reports)
            if verdict is None:
                verdict = _first_wrong(reports[sample.name], step, request)
            if verdict is not None:
                return replace(verdict, steps_done=done, step=_place(exercise, step, sample))
    return Verdict(passed=True, steps_done=len(exercise.steps))


def _try(info: FunctionInfo, theirs: type[Function], sample: SampleInput, path: Path) -> Verdict | None:
    """Run backward once; what it prints is shown, and what it raises is explained."""
    call, values = sample.bind(info.function)
    generator = torch.Generator().manual_seed(0)
    try:
        with in_place_of_ours(info, theirs):
            output = call(*(value.requires_grad_() for value in values))
            upstream = torch.randn(output.shape, generator=generator, dtype=output.dtype)
            output.backward(upstream)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:  # PyTorch's own say what is missing
            return Verdict(kind="not-written", message="backward is not written yet")
        # What the engine says of a gradient, gradcheck says better.
        return Verdict(kind="raises", message=explain(error, path)) if frame_in(error, path) else None
    return None


def _check(info: FunctionInfo, theirs: type[Function], sample: SampleInput, thorough: bool) -> Report:
    """Gradcheck the function with the student's class in it, against the function with ours."""

    def yours(*args: Any, **kwargs: Any) -> Tensor:
        with in_place_of_ours(info, theirs):
            return info.function(*args, **kwargs)

    wrapped = sample.seeded(functools.wraps(info.function)(yours))
    function: Any = functools.partial(wrapped, **sample.kwargs)
    function.__name__ = info.name
    reference = functools.partial(sample.seeded(info.function), **sample.kwargs)
    with contextlib.redirect_stdout(io.StringIO()):  # one run's prints are enough
        return gradcheck(function, sample.args, reference, second_order=thorough, magnitudes=thorough)


def _place(exercise: Exercise, step: Step, sample: SampleInput) -> str:
    """Name the step, and the sample unless it is the step's only one."""
    parts = [step.title] if len(exercise.steps) > 1 else []
    if step.samples != (sample.name,):
        parts.append(f"sample: {sample.name}")
    return "; ".join(parts)


def _first_wrong(report: Report, step: Step, request: Request) -> Verdict | None:
    """Return the verdict of the first finding that concerns a step; None if there is none."""
    rows = [row for row in report.rows if not step.arguments or row.argument in step.arguments]
    for finding in report.findings:
        if step.arguments and "alone requires a gradient" in finding.message:
            continue  # a step about one gradient's value comes before what happens without the others
        if finding.wrong and (not step.arguments or finding.argument in (None, *step.arguments)):
            if finding.kind == "raises":
                finding = replace(finding, message=finding.message + meaning(finding.message))
            shown = Report(report.title, rows, [finding])
            return Verdict(kind=finding.kind, message=finding.message, report=_draw(shown, request))
    return None


def _draw(report: Report, request: Request) -> str:
    """Draw the report for the terminal that asked; a narrow one gets the finding in prose."""
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
