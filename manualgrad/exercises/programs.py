"""Judge what is no Function: a network, line by line, and a training script, by what it does."""

import importlib
import itertools
import sys
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import torch
from torch import Tensor

from manualgrad.data.xor import xor
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.lessons import network
from manualgrad.exercises.search import Patience
from manualgrad.exercises.slips import Slips
from manualgrad.exercises.source import Call, line_of
from manualgrad.exercises.student import explain
from manualgrad.exercises.verdict import Verdict
from manualgrad.gradcheck.tolerance import index_of_largest
from manualgrad.loading import FileError, load_module

LEARNING_RATE = 0.25
MOST_STEPS = 4


def judge_network(exercise: Exercise, path: Path) -> Verdict:
    """Compare every value of a student's network with ours, and name the first line that is wrong."""
    function = _find_function(path, "by_hand")
    for arguments in _inputs():
        ours, _ = run_by_line(network.by_hand, arguments)
        theirs, error = run_by_line(function, arguments)
        for name, (right, _) in ours.items():
            yours, line = theirs.get(name, (..., 0))
            if yours is not ...:
                kind, message = "wrong-value", difference(name, yours, right)
                if not message:
                    continue
                code = path.read_text(encoding="utf-8").splitlines()[line - 1].strip()
                message = f"{path.name}, line {line}: {code}\n{message}{_slip(name, function, line)}"
            elif error is None or name in theirs:  # what is missing makes the lines that read it raise
                kind, message = "not-written", f"{name} is not written yet"
            else:
                kind, message = "raises", explain(error, path)
            message = f"{name} is the first value that is not right.\n{message}"
            done = int(name.startswith("grad_"))
            title = exercise.steps[done].title
            return Verdict(steps_done=done, step=title, kind=kind, message=message)
        if error is not None:  # after the last value: in the return
            raise FileError("raises", explain(error, path))
    return Verdict(passed=True, steps_done=len(exercise.steps))


def _slip(name: str, function: FunctionType, line: int) -> str:
    """Say which edit of a line makes its value right, or of ours gives theirs, if one does."""
    calls, known = [], dict[str, Tensor]()
    for arguments in _inputs():
        ours, _ = run_by_line(network.by_hand, arguments)
        before = itertools.takewhile(lambda one: one != name, ours)
        known = arguments | {one: ours[one][0] for one in before}
        calls.append(Call({"saved_tensors": ()}, tuple(known.values()), (ours[name][0],)))
    codes = [
        line_of(f.__code__.co_filename, at, list(known), f.__globals__)
        for f, at in ((network.by_hand, ours[name][1]), (function, line))
    ]
    slip = Patience().ask(lambda: Slips(codes[0], codes[1], calls, [0]).find())
    return f"\n{slip[1]}" if slip else ""


def run_by_line(
    function: Any, arguments: dict[str, Tensor]
) -> tuple[dict[str, tuple[Any, int]], Exception | None]:
    """Run a function; return each name's last value with the line that made it, and what was raised."""
    seen, values = dict[str, tuple[int, int]](), dict[str, tuple[Any, int]]()
    line = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal line
        if frame.f_code is not function.__code__:
            return None
        for name, value in frame.f_locals.items() if event != "call" else ():
            # A tensor that was changed in place is another value in the same object.
            identity = id(value), value._version if isinstance(value, Tensor) else 0
            if name not in arguments and seen.get(name) != identity:
                value = value.detach().clone() if isinstance(value, Tensor) else value
                seen[name], values[name] = identity, (value, line)
        line = frame.f_lineno  # it runs next
        return trace

    sys.settrace(trace)
    try:
        function(**arguments)
    except Exception as error:
        return values, error
    finally:
        sys.settrace(None)
    return values, None


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
        x, target, ours = lesson.start()
        losses = torch.tensor(lesson.train(x, target, ours, LEARNING_RATE, steps), dtype=torch.float64)
        x, target, theirs = lesson.start()
        try:
            their_losses = train(x, target, theirs, LEARNING_RATE, steps)
        except Exception as error:
            raise FileError("raises", explain(error, path)) from error
        after = f"after {steps} step{'s' * (steps > 1)} of gradient descent"
        for name, right in ours.items():
            if wrong := difference(name, theirs.get(name), right.detach()):
                message = f"{after}, a parameter is not where it belongs. {wrong}"
                return Verdict(kind="training", message=message)
        if wrong := difference("losses", their_losses, losses):
            message = f"{after}, the parameters are right, but train returns other losses. {wrong}"
            return Verdict(kind="training", message=message)
    return Verdict(passed=True, steps_done=1)


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
    if torch.allclose(yours, right, rtol=1e-9, atol=1e-12):
        return ""
    index = index_of_largest((yours - right).abs().nan_to_num(torch.inf))
    place = f"{name}{list(index)}" if index else name
    message = f"{place}: yours {yours[index]:.6g}, should be {right[index]:.6g}."
    if right.ndim == 2 and right.shape[0] == right.shape[1] and torch.allclose(yours.t(), right):
        return f"{message} It is the transpose of the right one."
    return message
