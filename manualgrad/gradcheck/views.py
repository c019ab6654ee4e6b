"""What a check can show besides its verdict: the V of the step sizes, and the Jacobians side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from manualgrad.gradcheck.judge import Judge, Tolerance, as_gradient, random_upstream
from manualgrad.gradcheck.numeric import central_differences
from manualgrad.gradcheck.recording import Run, run
from manualgrad.gradcheck.subject import Subject

STEPS = tuple(10.0**-k for k in range(1, 13))


@dataclass(frozen=True)
class Jacobians:
    """The Jacobian of the first result by one argument, ``(outputs, elements)``, two ways."""

    argument: str
    yours: Tensor
    numeric: Tensor


def step_sweep(
    fn: Any, inputs: Any, steps: Sequence[float] = STEPS, seed: int = 0
) -> list[tuple[float, float]]:
    """Compare the gradient with central differences of many step sizes.

    A large step misses the curvature, a small one drowns in rounding: drawn with logarithmic axes the error
    is a V. The V of a wrong gradient has lost its tip.

    Parameters
    ----------
    fn, inputs
        As for :func:`manualgrad.gradcheck.gradcheck`.
    steps : sequence of float
        The step sizes, relative to inputs larger than 1.
    seed : int
        For the upstream gradient.

    Returns
    -------
    list of (float, float)
        Each step with the largest error over all arguments, relative to the largest gradient.
    """
    subject, judge, record = _prepared(fn, inputs, seed)
    errors = [0.0] * len(steps)
    for position in subject.checked:
        yours = as_gradient(record.gradients[position], subject.values[position])
        size = max(float(yours.abs().max()), torch.finfo(torch.float64).tiny)
        evaluator, upstream = judge.evaluator(subject.values, position, record)
        for k, step in enumerate(steps):
            numeric = central_differences(evaluator, upstream, step)
            errors[k] = max(errors[k], float((numeric - yours).abs().max()) / size)
    return list(zip(steps, errors, strict=True))


def jacobians(fn: Any, inputs: Any, seed: int = 0) -> list[Jacobians]:
    """Return the Jacobian of the first result by each argument, by backward and by central differences.

    Parameters
    ----------
    fn, inputs
        As for :func:`manualgrad.gradcheck.gradcheck`; small ones, for every entry is computed.
    seed : int
        For a function that draws random numbers.

    Returns
    -------
    list of Jacobians
    """
    subject, judge, record = _prepared(fn, inputs, seed)
    found = []
    first, *others = record.outputs
    rest = [torch.zeros_like(output) for output in others]
    basis = torch.eye(first.numel(), dtype=first.dtype, device=first.device)
    units = [row.reshape(first.shape) for row in basis]
    runs = [run(subject, subject.values, lambda _, unit=unit: [unit, *rest]) for unit in units]  # type: ignore[misc]
    for position in subject.checked:
        value = subject.values[position]
        yours = torch.stack([as_gradient(r.gradients[position], value).reshape(-1) for r in runs])
        evaluator, _ = judge.evaluator(subject.values, position, record)
        numeric = torch.stack([central_differences(evaluator, (unit, *rest)).reshape(-1) for unit in units])
        found.append(Jacobians(subject.name_of(position), yours, numeric))
    return found


def draw_sweep(title: str, sweep: Sequence[tuple[float, float]]) -> Figure:
    """Draw the error against the step size, both logarithmic."""
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    steps, errors = zip(*sweep, strict=True)
    axes.loglog(steps, [max(error, 1e-17) for error in errors], marker="o")
    axes.set(title=title, xlabel="step size", ylabel="relative error of the central difference")
    axes.grid(alpha=0.3)
    return figure


def draw_jacobians(title: str, pair: Jacobians) -> Figure:
    """Draw yours, the numeric Jacobian, and the difference, each with its scale."""
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    figure.suptitle(f"{title}: ∂ result / ∂ {pair.argument}")
    limit = max(float(pair.numeric.abs().max()), 1e-300)
    difference = pair.yours - pair.numeric
    spread = max(float(difference.abs().max()), 1e-300)
    parts = [
        ("yours", pair.yours, limit),
        ("numeric", pair.numeric, limit),
        ("difference", difference, spread),
    ]
    for axes, (name, values, scale) in zip(figure.subplots(1, 3), parts, strict=True):
        image = axes.imshow(values.numpy(), cmap="RdBu_r", vmin=-scale, vmax=scale, aspect="auto")
        axes.set(title=name, xlabel=f"element of {pair.argument}", ylabel="element of the result")
        figure.colorbar(image, ax=axes)
    return figure


def _prepared(fn: Any, inputs: Any, seed: int) -> tuple[Subject, Judge, Run]:
    subject, generator = Subject(fn, inputs), torch.Generator().manual_seed(seed)
    subject.fix_randomness()
    judge = Judge(subject, None, Tolerance.of(torch.float64), generator)
    return subject, judge, run(subject, subject.values, random_upstream(generator))
