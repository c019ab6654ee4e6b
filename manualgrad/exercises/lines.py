"""The network by hand: every intermediate compared with ours, and the first line that is wrong, named."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import torch
from torch import Tensor

from manualgrad.data.xor import xor
from manualgrad.exercises.course import Exercise
from manualgrad.exercises.differences import Difference, compare
from manualgrad.exercises.lessons import network
from manualgrad.exercises.outcome import Outcome
from manualgrad.loading import FileError, describe, load_module

FUNCTION = network.by_hand.__name__


@dataclass
class Trace:
    """What a run of the function assigned.

    Attributes
    ----------
    values : dict
        By name, in the order of assignment; tensors as they were just after it.
    lines : dict
        The number of the line that gave each name its value.
    error : Exception or None
        What ended the run.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None


def trace(function: FunctionType, arguments: dict[str, Tensor]) -> Trace:
    """Run a function and note every local variable as soon as it has a value.

    Parameters
    ----------
    function : function
        Written in Python.
    arguments : dict of Tensor
        By name.

    Returns
    -------
    Trace
        Without the arguments.
    """
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

    sys.settrace(on_call)
    try:
        function(**arguments)
    except Exception as error:
        record.error = error
    finally:
        sys.settrace(None)
    return record


def judge_lines(exercise: Exercise, path: Path) -> Outcome:
    """Judge a student's network.

    Parameters
    ----------
    exercise : Exercise
        For its steps: forward and backward.
    path : Path
        The student's file.

    Returns
    -------
    Outcome
        About the first value that is wrong.
    """
    function = getattr(load_module(path), FUNCTION, None)
    if not isinstance(function, FunctionType):
        raise FileError("no-class", f"{path.name} has no function {FUNCTION}: that name has to stay")
    assert isinstance(network.by_hand, FunctionType)
    for arguments in _inputs():
        ours, theirs = trace(network.by_hand, arguments), trace(function, arguments)
        for done, name in enumerate(ours.values):
            problem = _problem(name, theirs, ours.values[name], path)
            if problem is None:
                continue
            order = f"{name} is the first value that is not right; " if done else ""
            before = f"the {done} before it {'are' if done > 1 else 'is'}.\n" if done else ""
            is_backward = name.startswith("grad_")
            return Outcome(
                steps_done=int(is_backward),
                steps=len(exercise.steps),
                step=exercise.steps[is_backward].title,
                kind=problem.kind,
                message=order + before + problem.message,
            )
        if theirs.error is not None:  # after the last value: in the return
            raise FileError("raises", describe(theirs.error, path))
    return Outcome(passed=True, steps_done=len(exercise.steps), steps=len(exercise.steps))


def _problem(name: str, theirs: Trace, right: Tensor, path: Path) -> Difference | None:
    value = theirs.values.get(name, ...)
    if value is ...:
        # An unwritten value makes the lines that read it raise; what is missing comes first.
        if theirs.error is not None and name not in theirs.values:
            return Difference("raises", describe(theirs.error, path))
        return Difference("not-written", f"{name} is not written yet")
    difference = compare(name, value, right)
    if difference is None:
        return None
    line = theirs.lines[name]
    code = path.read_text(encoding="utf-8").splitlines()[line - 1].strip()
    return Difference(difference.kind, f"{path.name}, line {line}: {code}\n{difference.message}")


def _inputs() -> list[dict[str, Tensor]]:
    """Return the truth table, and three rows of other numbers, with random parameters."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    data = [xor(), (draw(3, 2), draw(3, 1))]
    return [
        {"x": x, "t": t, "w1": draw(2, 2), "b1": draw(2), "w2": draw(1, 2), "b2": draw(1)} for x, t in data
    ]
