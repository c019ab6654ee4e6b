"""Judge a student's file. This runs inside the limits, in a process of its own."""

import contextlib
import functools
import inspect
import io
import os
import sys
from dataclasses import replace
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
from manualgrad.exercises.lines import judge_lines
from manualgrad.exercises.scripts import judge_script
from manualgrad.exercises.slips import name_slip
from manualgrad.exercises.student import explain, find_class, frame_in, in_place_of_ours, meaning
from manualgrad.exercises.verdict import Request, Verdict
from manualgrad.gradcheck import Finding, Report, gradcheck
from manualgrad.loading import FileError, load_module


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
        if exercise.kind == "prediction":
            return _judge_prediction(exercise, path, request)
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
                finding = _first_wrong(reports[sample.name], step)
                if finding is not None:
                    _forget_prints()  # what is shown belongs to the run of the table
                    _try(info, theirs, sample, path, reports[sample.name].upstream)
                    if finding.kind == "unknown" and step.arguments:
                        finding = _alone(finding, info, theirs, sample, step)
                    finding = _with_slip(finding, exercise, info, theirs, sample)
                    verdict = _verdict(finding, reports[sample.name], step, request)
            if verdict is not None:
                return replace(verdict, steps_done=done, step=_place(exercise, step, sample))
    empty = None if step.samples else _without_rows(info)
    verdict = None if empty is None else _try(info, theirs, empty, path)
    if empty is not None and verdict is not None:
        return replace(verdict, steps_done=done, step=_place(exercise, step, empty))
    return Verdict(passed=True, steps_done=len(exercise.steps))


def _without_rows(info: FunctionInfo) -> SampleInput | None:
    """Return the first sample with an empty batch; None if the function does not take one."""
    first = info.samples()[0]
    input, *others = first.args
    if input.dim() < 2 or not input.requires_grad:
        return None
    sample = replace(
        first, name="an empty batch", args=(input.new_zeros(0, *input.shape[1:], requires_grad=True), *others)
    )
    try:
        info.function(*sample.args, **sample.kwargs)
    except Exception:  # a target has as many rows, say
        return None
    return sample


def _judge_prediction(exercise: Exercise, path: Path, request: Request) -> Verdict:
    """Compare what the student predicts with what gradcheck names; a wrong one sees the figures alone."""
    prediction = getattr(load_module(path), "prediction", ...)
    if not isinstance(prediction, str):
        return Verdict(kind="not-written", message="prediction is not written yet: a kind, in quotes")
    (step,) = exercise.steps
    info = info_of(exercise)
    theirs = find_class(sys.modules[f"student_{path.stem}"], info.function_class)
    sample = next(sample for sample in info.samples() if sample.name in step.samples)
    report = _check(info, theirs, sample, thorough=True)
    found = _first_wrong(report, step)
    if found is None:
        return Verdict(kind="no-mistake", message="backward is right now: `reset` brings the wrong one back")
    if prediction == found.kind:
        return Verdict(passed=True, steps_done=1, report=_draw(replace(report, findings=[found]), request))
    rows = [replace(row, verdict="wrong") for row in report.rows if not row.verdict.startswith("right")]
    shown = replace(report, rows=rows, findings=[replace(found, kind="unknown", message="")])
    table = "\n".join(_draw(shown, request).splitlines()[2:])
    message = f"not {prediction}. Work the figures out by hand: what turns the right ones into these?"
    return Verdict(kind="wrong-prediction", message=message, report=f"wrong-prediction: {message}\n{table}")


def _try(
    info: FunctionInfo,
    theirs: type[Function],
    sample: SampleInput,
    path: Path,
    upstream: tuple[Tensor, ...] = (),
) -> Verdict | None:
    """Run backward once; what it prints is shown, and what it raises is explained."""
    call, values = sample.bind(info.function)
    generator = torch.Generator().manual_seed(0)
    try:
        with in_place_of_ours(info, theirs):
            result = call(*(value.requires_grad_() for value in values))
            outputs = result if isinstance(result, tuple) else (result,)
            drawn = [torch.randn(o.shape, generator=generator, dtype=o.dtype) for o in outputs]
            torch.autograd.backward(outputs, upstream or drawn)
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:  # PyTorch's own say what is missing
            return Verdict(kind="not-written", message="backward is not written yet")
        # What the engine says of a gradient, gradcheck says better.
        return Verdict(kind="raises", message=explain(error, path)) if frame_in(error, path) else None
    return None


def _forget_prints() -> None:
    """Empty the file that standard output goes to, if it is one."""
    sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)


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


def _first_wrong(report: Report, step: Step) -> Finding | None:
    """Return the first finding that concerns a step; of use with fewer gradients the last step is about."""
    for finding in report.findings:
        concerns = finding.argument in (None, *step.arguments) and finding.kind != "raises"
        if finding.wrong and (concerns or not step.arguments):
            return finding
    return None


def _alone(
    finding: Finding, info: FunctionInfo, theirs: type[Function], sample: SampleInput, step: Step
) -> Finding:
    """Look again with all other arguments held still: a target may have to stay a distribution."""
    names = list(inspect.signature(info.function).parameters)
    args = [
        value if name in step.arguments or not isinstance(value, Tensor) else value.detach()
        for name, value in zip(names, sample.args, strict=False)
    ]
    report = _check(info, theirs, replace(sample, args=tuple(args)), thorough=False)
    closer = _first_wrong(report, step)
    return finding if closer is None or closer.kind == "raises" else closer


def _with_slip(
    finding: Finding, exercise: Exercise, info: FunctionInfo, theirs: type[Function], sample: SampleInput
) -> Finding:
    """Say it in the exercise's own words where it knows the slip; the figures stay."""
    if finding.kind == "raises":
        return replace(finding, message=finding.message + meaning(finding.message))
    if finding.kind not in ("unknown", "missing-terms", "input-for-output"):
        return finding
    slip = name_slip(exercise, info, theirs, sample)
    if slip is None:
        return finding
    kind, sentence = slip
    figures = finding.message[finding.message.find(f"{finding.argument}[") :].partition(";")[0].rstrip(".")
    return replace(finding, kind=kind, message=f"{sentence} {figures}.")


def _verdict(finding: Finding, report: Report, step: Step, request: Request) -> Verdict:
    """Return the verdict of a finding, with the rows of the table that concern the step."""
    rows = [row for row in report.rows if not step.arguments or row.argument in step.arguments]
    shown = replace(report, rows=rows, findings=[finding])
    html = shown._repr_html_() if request.html else ""
    return Verdict(kind=finding.kind, message=finding.message, report=_draw(shown, request), html=html)


def _draw(report: Report, request: Request) -> str:
    """Draw the report for the terminal that asked."""
    console = Console(
        file=io.StringIO(),
        width=request.width,
        force_terminal=request.colour,
        color_system="standard" if request.colour else None,
        force_jupyter=False,
    )
    console.print(report)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]
