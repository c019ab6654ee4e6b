"""Is each hand-written backward right; and if one is not, why?

    python experiments/gradcheck.py

checks every function of the package against PyTorch's own function and against finite differences, at several
magnitudes, in several layouts, and differentiated twice: a row for each function, all of them "right". It
takes a quarter of a minute. With --function NAME see the worst element of each gradient.

    python experiments/gradcheck.py path/to/file.py:ClassName

checks a torch.autograd.Function that you wrote. Beside it the file has a function `inputs()` that returns
the arguments of `apply` as a tuple; it may have a function `reference(...)` with the same arguments, whose
gradient is trusted. See TensorBoard for each function's Jacobians, and with --step-sweep for the error
against the step size: a V whose tip is where differences are most precise.
"""

import difflib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from rich.console import Console
from torch.autograd import Function

from manualgrad.cases import FUNCTIONS
from manualgrad.errors import UserError
from manualgrad.gradcheck import Report, gradcheck
from manualgrad.gradcheck.views import draw_jacobians, draw_sweep, jacobians, step_sweep
from manualgrad.loading import FileError, load_module
from manualgrad.table import print_table
from manualgrad.training import (
    Metrics,
    Run,
    RunSettings,
    changed_settings,
    launch,
    option,
    prepare,
    track,
)


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """What to check, and in which dtype."""

    target: str | None = option(None, "file.py:ClassName, a Function that you wrote", positional=True)
    function: str | None = option(None, f"check this one only: {', '.join(FUNCTIONS)}")
    dtype: Literal["float64", "float32", "bfloat16", "float16"] = option("float64", "of the inputs")
    step_sweep: bool = option(False, "also draw the error against the step size")


class Trial(NamedTuple):
    """One call to check."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    reference: Callable[..., Any] | None
    pictured: bool


def run(settings: Settings) -> Metrics:
    """Check, print what was found, and keep the pictures."""
    dtype = getattr(torch, settings.dtype)
    device = prepare(settings.device, settings.seed, dtype)
    trials = list(_trials(settings, dtype, device))
    one_by_one = settings.function is not None or settings.target is not None
    console = Console(width=None if sys.stdout.isatty() else 120)
    variant = changed_settings(settings) if settings.target is None else _class_name(settings.target)
    with Run("gradcheck", variant, settings, device) as record:
        reports = {}
        for trial in track(trials, "checking"):
            report = gradcheck(trial.function, trial.inputs, trial.reference, seed=settings.seed)
            report.title = trial.name
            reports[trial.name] = report
            if one_by_one or not report.ok:
                console.print(report)
            if trial.pictured and all(finding.kind != "raises" for finding in report.findings):
                _picture(record, trial, settings)
        if not one_by_one:
            _summarise(reports)
        wrong = [name for name, report in reports.items() if not report.ok]
        details = {name: report.to_dict() for name, report in reports.items()}
        print(f"{len(reports) - len(wrong)} of {len(reports)} are right")
        metrics = record.finish({"checked": len(reports), "wrong": len(wrong), "reports": details})
    if wrong:
        raise UserError(f"{', '.join(wrong)} {'are' if len(wrong) > 1 else 'is'} wrong")
    return metrics


def _summarise(reports: dict[str, Report]) -> None:
    """Print one row for each function; --function prints one table for each of its samples."""
    functions: dict[str, list[Report]] = {}
    for name, report in reports.items():
        functions.setdefault(name.partition(",")[0], []).append(report)
    print_table(
        "Each function against PyTorch's and against finite differences",
        ("function", "samples", "gradients", "largest relative error", "verdict"),
        [
            (
                name,
                str(len(group)),
                str(sum(len(report.rows) for report in group)),
                f"{max(row.relative_error or 0.0 for report in group for row in report.rows):.1e}",
                "right" if all(report.ok for report in group) else "wrong",
            )
            for name, group in functions.items()
        ],
    )


def _trials(settings: Settings, dtype: torch.dtype, device: torch.device) -> Iterator[Trial]:
    if settings.target is not None:
        yield _load(settings.target)
        return
    if settings.function is not None and settings.function not in FUNCTIONS:
        raise UserError(f"--function {settings.function}: there are {', '.join(FUNCTIONS)}")
    for name, info in FUNCTIONS.items():
        if settings.function in (None, name):
            for k, sample in enumerate(info.samples(dtype, str(device), settings.seed)):
                ours = functools.partial(info.function, **sample.kwargs)
                theirs = functools.partial(info.reference, **sample.kwargs)
                yield Trial(f"{name}, {sample.name}", ours, sample.args, theirs, pictured=k == 0)


def _load(target: str) -> Trial:
    """Find the class, its inputs and its reference in somebody's file."""
    file, name = target.rpartition(":")[0] or target, _class_name(target)
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{target}: expected path/to/file.py:ClassName; there is no file {file!r}")
    try:
        module = load_module(path)
    except FileError as problem:
        raise UserError(" ".join(str(problem).split())) from problem
    functions = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Function) and value is not Function
    }
    if not functions:
        raise UserError(f"{path}: has no class that derives from torch.autograd.Function")
    if file == target:
        raise UserError(f"{path}: which class? {' or '.join(f'{path}:{key}' for key in functions)}")
    if name not in functions:
        similar = difflib.get_close_matches(name, functions, n=3)
        there = f"did you mean {' or '.join(similar)}?" if similar else f"there is {', '.join(functions)}"
        raise UserError(f"{path}: has no torch.autograd.Function called {name!r}: {there}")
    function = functions[name]
    if not callable(getattr(module, "inputs", None)):
        raise UserError(f"{path}: needs a function inputs() that returns the arguments of {name}.apply")
    try:
        arguments = module.inputs()
    except Exception as problem:
        raise UserError(f"{path}: inputs() raised {type(problem).__name__}: {problem}") from problem
    arguments = tuple(arguments) if isinstance(arguments, tuple | list) else (arguments,)
    if not any(isinstance(argument, torch.Tensor) and argument.is_floating_point() for argument in arguments):
        raise UserError(f"{path}: inputs() returned no floating-point tensor")
    return Trial(name, function, arguments, getattr(module, "reference", None), pictured=True)


def _class_name(target: str) -> str:
    return target.rpartition(":")[2]


def _picture(record: Run, trial: Trial, settings: Settings) -> None:
    """Show the Jacobians of a trial, and the V of its step sizes."""
    tag = trial.name.replace(", ", "/").replace(" ", "-")
    if record.page.shows("standard"):
        for pair in jacobians(trial.function, trial.inputs, settings.seed):
            record.page.figure(f"jacobian/{tag}/{pair.argument}", draw_jacobians(trial.name, pair))
    if settings.step_sweep:
        sweep = step_sweep(trial.function, trial.inputs, seed=settings.seed)
        if record.page.shows("standard"):
            record.page.figure(f"step size/{tag}", draw_sweep(trial.name, sweep))
        for k, (_, error) in enumerate(sweep, start=1):  # step k is the step size 10^-k
            record.log(k, {f"error at step size 1e-k/{tag}": error})


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
