"""Name a slip that only the exercise knows: a link of its chain, or a factor too many."""

import importlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FunctionInfo, SampleInput
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.student import in_place_of_ours
from manualgrad.gradcheck.tolerance import same

# Derivatives that are written with the output, which another function's output fits into as well.
FORMULAS: tuple[tuple[str, str, Callable[[Tensor], Tensor]], ...] = (
    ("sigmoid", "y · (1 − y)", lambda y: y * (1 - y)),
    ("tanh", "1 − y²", lambda y: 1 - y**2),
)


@dataclass(frozen=True)
class Link:
    """One link of a chain: how its derivative is written, the function, and the derivative."""

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]


def name_slip(
    exercise: Exercise, info: FunctionInfo, theirs: type[Function], sample: SampleInput
) -> tuple[str, str] | None:
    """Say which slip of this exercise gives the student's gradient of the first argument.

    Parameters
    ----------
    exercise : Exercise
        Its lesson may have ``LINKS`` and the names of the values between them.
    info : FunctionInfo
        Of the function.
    theirs : type
        The student's Function.
    sample : SampleInput
        Where their gradient is wrong.

    Returns
    -------
    tuple of str or None
        A kind and a sentence that is true of every element.
    """
    upstream, output, values, yours = _run(info, theirs, sample)
    _, _, _, right = _run(info, info.function_class, sample)
    if yours is None or right is None:
        return None
    x = values[0]
    links = getattr(importlib.import_module(exercise.module), "LINKS", ())
    if links:
        for wrong, factors in _chains(links, x):
            if same(yours, upstream * torch.stack(factors).prod(0)):
                kind = (
                    "missing-terms"
                    if any("missing" in sentence for sentence in wrong)
                    else "input-for-output"
                )
                return kind, " ".join(wrong)
        if same(
            yours,
            upstream * sum(link.derivative(p) for link, p in zip(links, _points(links, x), strict=False)),
        ):
            return (
                "missing-terms",
                "The links of the chain are added. Links multiply; only parallel paths add.",
            )
    for name, formula, derivative in FORMULAS if info.name in ("sigmoid", "tanh") else ():
        if same(yours, upstream * derivative(output)):
            return "unknown", f"It is the formula of {name}, {formula}, which is another function."
    for name, factor in _factors(sample, values, output):
        if factor.shape == x.shape and same(yours, right * factor):
            return "unknown", f"There is a factor too many: divided by {name} it is right."
    return None


def _run(
    info: FunctionInfo, function_class: type[Function], sample: SampleInput
) -> tuple[Tensor, Tensor, list[Tensor], Tensor | None]:
    """Return an upstream, the output, the values that are differentiated, and the first one's gradient."""
    call, bound = sample.bind(info.function)
    values = [value.detach().requires_grad_() for value in bound]
    with in_place_of_ours(info, function_class):
        output = call(*values)
    upstream = torch.rand(output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype) + 0.5
    try:
        gradient, *_ = torch.autograd.grad(output, values, upstream, allow_unused=True)
    except Exception:  # theirs may raise for this upstream
        gradient = None
    return upstream, output.detach(), [value.detach() for value in values], gradient


def _points(links: tuple[Link, ...], x: Tensor) -> list[Tensor]:
    """Return what goes into each link, and what comes out of the last."""
    return list(itertools.accumulate(links, lambda point, link: link.function(point), initial=x))


def _chains(links: tuple[Link, ...], x: Tensor) -> Iterator[tuple[list[str], list[Tensor]]]:
    """Yield every chain with some links wrong: what is wrong with it, and its factors."""
    points = _points(links, x)
    names = [link.name.rpartition("d")[2] for link in links] + [links[-1].name[1:].partition("/")[0]]
    options: list[list[tuple[str, Tensor]]] = []
    for i, link in enumerate(links):
        here = [("", link.derivative(points[i])), (f"The link {link.name} is missing.", torch.ones_like(x))]
        for j, point in enumerate(points):
            if i != j:
                sentence = f"The link {link.name} is taken at {names[j]}; it belongs at {names[i]}."
                here.append((sentence, link.derivative(point)))
        value = f"In the link {link.name} stands the function's value; its derivative belongs there."
        options.append([*here, (value, link.function(points[i]))])
    for chosen in sorted(itertools.product(*options), key=lambda chain: sum(bool(s) for s, _ in chain)):
        wrong = [sentence for sentence, _ in chosen if sentence]
        if wrong:
            yield wrong, [factor for _, factor in chosen]


def _factors(sample: SampleInput, values: list[Tensor], output: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield what could stand in a formula once too often."""
    floats: list[Any] = [v.detach() for v in sample.args if isinstance(v, Tensor) and v.is_floating_point()]
    if len(floats) == 2 and floats[0].shape == floats[1].shape:
        yield "(input − target)", floats[0] - floats[1]
    yield "the output", output
    yield "the input", values[0]
    yield "(1 − the output)", 1 - output
