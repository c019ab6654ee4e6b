"""The network by hand: compare every intermediate with ours, and name the first line that is wrong."""

import sys
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
from manualgrad.exercises.values import difference
from manualgrad.exercises.verdict import Verdict
from manualgrad.loading import FileError, load_module

FUNCTION = network.by_hand.__name__


@dataclass
class Trace:
    """What a run of the function assigned: each name's value, the line that gave it, and how it ended."""

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
        In the order of assignment, without the arguments; tensors as they were just after it.
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

    tracer = sys.gettrace()  # a debugger's, or a coverage tool's
    sys.settrace(on_call)
    try:
        function(**arguments)
    except Exception as error:
        record.error = error
    finally:
        sys.settrace(tracer)
    return record


def judge_lines(exercise: Exercise, path: Path) -> Verdict:
    """Judge a student's network.

    Parameters
    ----------
    exercise : Exercise
        For its steps: forward and backward.
    path : Path
        The student's file.

    Returns
    -------
    Verdict
        About the first value that is wrong.
    """
    function = getattr(load_module(path), FUNCTION, None)
    if not isinstance(function, FunctionType):
        raise FileError("no-class", f"{path.name} has no function {FUNCTION}: that name has to stay")
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
            return Verdict(
                steps_done=step, step=exercise.steps[step].title, kind=kind, message=order + before + message
            )
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
