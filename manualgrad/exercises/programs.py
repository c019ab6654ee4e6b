"""Judge what is no Function: a network, line by line, and a training script, by what it does."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import torch
from torch import Tensor

from manualgrad.data.xor import xor
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.lessons import network
from manualgrad.exercises.student import explain
from manualgrad.exercises.verdict import Verdict
from manualgrad.gradcheck.tolerance import index_of_largest
from manualgrad.loading import FileError, load_module

LEARNING_RATE = 0.25
MOST_STEPS = 4


@dataclass
class Trace:
    """What a run of a function assigned: each name's value, the line that gave it, and how it ended."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None


def trace(function: FunctionType, arguments: dict[str, Tensor]) -> Trace:
    """Run a function and note every local variable as soon as it has a value, as it is then."""
    record = Trace()
    seen: dict[str, tuple[int, int]] = {}
    code = function.__code__
    last_line = code.co_firstlineno

    def look(frame: FrameType) -> None:
        for name, value in frame.f_locals.items():
            # A tensor that was changed in place is another value in the same object.
            identity = (id(value), value._version if isinstance(value, Tensor) else 0)
            if name in arguments or seen.get(name) == identity:
                continue
            seen[name] = identity
            record.values[name] = value.detach().clone() if isinstance(value, Tensor) else value
            record.lines[name] = last_line

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal last_line
        look(frame)
        last_line = frame.f_lineno
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_code is code else None

    tracer = sys.gettrace()  # a debugger's, or a coverage tool's
    sys.settrace(on_call)
    try:
        function(**arguments)
    except Exception as error:
        record.error = error
    finally:
        sys.settrace(tracer)
    return record


def judge_network(exercise: Exercise, path: Path) -> Verdict:
    """Compare every intermediate of a student's network with ours, and name the first line that is wrong."""
    function = _find_function(path, network.by_hand.__name__)
    assert isinstance(network.by_hand, FunctionType)
    for arguments in _inputs():
        ours, theirs = trace(network.by_hand, arguments), trace(function, arguments)
        for done, name in enumerate(ours.values):
            kind, message = _problem(name, theirs, ours.values[name], path)
            if not kind:
                continue
            order = f"{name} is the first value that is not right; " if done else ""
            before = f"the {done} before it {'are' if done > 1 else 'is'}.\n" if done else ""
            step = int(name.startswith("grad_"))
            title = exercise.steps[step].title
            return Verdict(steps_done=step, step=title, kind=kind, message=order + before + message)
        if theirs.error is not None:  # after the last value: in the return
            raise FileError("raises", explain(theirs.error, path))
    return Verdict(passed=True, steps_done=len(exercise.steps))


def _problem(name: str, theirs: Trace, right: Tensor, path: Path) -> tuple[str, str]:
    """Return the kind and the message of what is wrong with a value; empty if nothing is."""
    value = theirs.values.get(name, ...)
    if value is ...:
        # An unwritten value makes the lines that read it raise; what is missing comes first.
        if theirs.error is not None and name not in theirs.values:
            return "raises", explain(theirs.error, path)
        return "not-written", f"{name} is not written yet"
    wrong = difference(name, value, right)
    line = theirs.lines[name]
    code = path.read_text(encoding="utf-8").splitlines()[line - 1].strip()
    return ("wrong-value", f"{path.name}, line {line}: {code}\n{wrong}") if wrong else ("", "")


def _inputs() -> list[dict[str, Tensor]]:
    """Return the truth table, and three rows of other numbers, with random parameters."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    data = [xor(), (draw(3, 2), draw(3, 1))]
    return [
        {"x": x, "t": t, "w1": draw(2, 2), "b1": draw(2), "w2": draw(1, 2), "b2": draw(1)} for x, t in data
    ]


def judge_script(exercise: Exercise, path: Path) -> Verdict:
    """Train with the student's ``train`` and with ours, for one step, two, and more, and compare."""
    lesson: Any = importlib.import_module(exercise.module)
    train = _find_function(path, "train")
    for steps in range(1, MOST_STEPS + 1):
        losses, ours = _train(lesson.train, lesson.start, steps)
        try:
            their_losses, theirs = _train(train, lesson.start, steps)
        except Exception as error:
            raise FileError("raises", explain(error, path)) from error
        after = f"after {steps} step{'s' * (steps > 1)} of gradient descent"
        for name, right in ours.items():
            if wrong := difference(name, theirs.get(name), right.detach()):
                message = f"{after}, a parameter is not where it belongs. {wrong}"
                return Verdict(kind="training", message=message)
        if wrong := difference("losses", their_losses, torch.tensor(losses, dtype=torch.float64)):
            message = f"{after}, the parameters are right, but train returns other losses. {wrong}"
            return Verdict(kind="training", message=message)
    return Verdict(passed=True, steps_done=1)


def _train(
    train: Callable[..., Any], start: Callable[[], tuple[Tensor, Tensor, dict[str, Tensor]]], steps: int
) -> tuple[Any, dict[str, Tensor]]:
    """Return the losses that a training returns, and the parameters that it leaves."""
    x, target, parameters = start()
    return train(x, target, parameters, LEARNING_RATE, steps), parameters


def _find_function(path: Path, name: str) -> FunctionType:
    function = getattr(load_module(path), name, None)
    if not isinstance(function, FunctionType):
        raise FileError("no-class", f"{path.name} has no function {name}: that name has to stay")
    return function


def difference(name: str, yours: Any, right: Tensor) -> str:
    """Say how a value differs from the right one; empty if it is right up to rounding."""
    try:
        yours = torch.as_tensor(yours, dtype=right.dtype).detach()
    except (TypeError, ValueError, RuntimeError):
        return f"{name} is of type {type(yours).__name__}, and should be a tensor."
    if yours.shape != right.shape:
        return f"{name} has shape {tuple(yours.shape)}, and should have {tuple(right.shape)}."
    gap = (yours - right).abs().nan_to_num(torch.inf)
    if bool((gap <= 1e-9 * right.abs() + 1e-12).all()):
        return ""
    index = index_of_largest(gap)
    place = f"{name}{list(index)}" if index else name
    message = f"{place}: yours {yours[index]:.6g}, should be {right[index]:.6g}."
    if right.ndim == 2 and right.shape[0] == right.shape[1] and torch.allclose(yours.t(), right):
        return f"{message} It is the transpose of the right one."
    factor = float(yours[index] / right[index])
    whole = right.numel() > 1 or abs(factor - round(factor)) < 1e-9  # one number is a multiple of any other
    if whole and factor and torch.allclose(yours, factor * right):
        return f"{message} It is {factor:.4g} times the right one."
    return message
