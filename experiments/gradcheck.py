"""Is each hand-written backward right; and if one is not, why?

    python experiments/gradcheck.py

checks every function of the package against PyTorch's own and against finite differences, at several
magnitudes, in several layouts, and differentiated twice: a row for each function, all of them "right". It
takes about a minute. With --function NAME see the worst element of each gradient.

    python experiments/gradcheck.py path/to/file.py:ClassName

checks a torch.autograd.Function that you wrote. Beside it the file has a function `inputs()` that returns
the arguments of `apply` as a tuple; it may have a function `reference(...)` with the same arguments, whose
gradient is trusted. See TensorBoard for each function's Jacobians, and with --step-sweep for the error
against the step size: a V whose tip is where differences are most precise.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
import tyro
from rich.console import Console
from torch import Tensor

from manualgrad.cases import FUNCTIONS
from manualgrad.errors import UserError
from manualgrad.gradcheck import Report, gradcheck
from manualgrad.gradcheck.__main__ import load_target
from manualgrad.gradcheck.clock import Clock
from manualgrad.gradcheck.subject import Subject
from manualgrad.plots.gradcheck import plot_jacobians, plot_step_sweep
from manualgrad.progress import track
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, launch, setup

STEPS = tuple(10.0**-k for k in range(1, 13))


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """What to check, and in which dtype."""

    target: Annotated[str | None, tyro.conf.Positional] = None
    """file.py:ClassName, a Function that you wrote."""

    function: str | None = None
    """Check this one of the package's functions only."""

    dtype: Literal["float64", "float32", "bfloat16", "float16"] = "float64"
    """Of the inputs."""

    step_sweep: bool = False
    """Also draw the error against the step size."""


class Trial(NamedTuple):
    """One call to check."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    reference: Callable[..., Any] | None
    pictured: bool


def main(config: Config) -> dict[str, Any]:
    """Check, print what was found, and log the pictures."""
    device = setup(config, getattr(torch, config.dtype))
    trials = list(_trials(config, device))
    one_by_one = config.function is not None or config.target is not None
    console = Console(width=None if sys.stdout.isatty() else 120)
    with RunDir("gradcheck", config, device) as run:
        reports = {}
        for trial in track(trials, "checking"):
            report = gradcheck(trial.function, trial.inputs, trial.reference, seed=config.seed)
            report.title = trial.name
            reports[trial.name] = report
            if one_by_one or not report.ok:
                console.print(report)
            if trial.pictured and all(finding.kind != "raises" for finding in report.findings):
                _picture(run, trial, config)
        if not one_by_one:
            _summarise(reports)
        wrong = [name for name, report in reports.items() if not report.ok]
        details = {name: report.to_dict() for name, report in reports.items()}
        print(f"{len(reports) - len(wrong)} of {len(reports)} are right")
        metrics = run.finish({"checked": len(reports), "wrong": len(wrong), "reports": details})
    if wrong:
        raise UserError(f"{', '.join(wrong)} {'are' if len(wrong) > 1 else 'is'} wrong")
    return metrics


def _trials(config: Config, device: torch.device) -> Iterator[Trial]:
    if config.target is not None:
        function, inputs, reference = load_target(config.target)
        yield Trial(function.__name__, function, inputs, reference, pictured=True)
        return
    if config.function is not None and config.function not in FUNCTIONS:
        raise UserError(f"--function {config.function}: there are {', '.join(FUNCTIONS)}")
    for name, info in FUNCTIONS.items():
        if config.function in (None, name):
            for k, sample in enumerate(info.samples(getattr(torch, config.dtype), str(device), config.seed)):
                ours = functools.partial(sample.seeded(info.function), **sample.kwargs)
                theirs = functools.partial(sample.seeded(info.reference), **sample.kwargs)
                yield Trial(f"{name}, {sample.name}", ours, sample.args, theirs, pictured=k == 0)


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


def _picture(run: RunDir, trial: Trial, config: Config) -> None:
    """Log the Jacobians of a trial, and the V of its step sizes."""
    tag = trial.name.replace(", ", "/").replace(" ", "-")
    subject = Subject(trial.function, trial.inputs, Clock())
    for position in subject.checked if run.full or config.step_sweep else ():
        function = functools.partial(_first_result, subject, position)
        x, name = subject.values[position].double(), subject.name_of(position)
        yours = torch.autograd.functional.jacobian(function, x).reshape(-1, x.numel())
        if run.full:
            numeric = _differences(function, x, 1e-5)
            run.log_figure(f"jacobian/{tag}/{name}", 0, plot_jacobians, trial.name, name, yours, numeric)
        if config.step_sweep and position == subject.checked[0]:
            size = max(float(yours.abs().max()), torch.finfo(torch.float64).tiny)
            errors = [float((_differences(function, x, step) - yours).abs().max()) / size for step in STEPS]
            run.log_figure(f"step size/{tag}", 0, plot_step_sweep, trial.name, STEPS, errors)
            for k, error in enumerate(errors, start=1):  # step k is the step size 10^-k
                run.log_scalars(k, {f"error at step size 1e-k/{tag}": error})


def _first_result(subject: Subject, position: int, x: Tensor) -> Tensor:
    """Return the function's first result as a vector, as a function of one argument alone, in float64."""
    values = [v.double() if isinstance(v, Tensor) and v.is_floating_point() else v for v in subject.values]
    values[position] = x
    return subject.call(values)[0].reshape(-1)


def _differences(function: Callable[[Tensor], Tensor], x: Tensor, step: float) -> Tensor:
    """Return the Jacobian by central differences of one step size, relative to inputs larger than 1."""
    columns = []
    for k in range(x.numel()):
        move = torch.zeros_like(x).reshape(-1)
        move[k] = step * max(1.0, abs(float(x.reshape(-1)[k])))
        up, down = (function(x + sign * move.reshape(x.shape)).detach() for sign in (1, -1))
        columns.append((up - down) / (2 * move[k]))
    return torch.stack(columns, 1)


if __name__ == "__main__":
    raise SystemExit(launch(main, Config, sys.argv[1:]))
