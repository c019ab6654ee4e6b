"""A training script with a mistake in it: is it mended? Judged by what it does, however it is written."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from manualgrad.exercises.course import Exercise
from manualgrad.exercises.differences import Difference, compare
from manualgrad.exercises.outcome import Outcome
from manualgrad.loading import FileError, describe, load_module

LEARNING_RATE = 0.25
MOST_STEPS = 4

Training = tuple[list[float], dict[str, Tensor]]


def judge_script(exercise: Exercise, path: Path) -> Outcome:
    """Train with the student's ``train`` and with ours, for one step, two, and more, and compare.

    Parameters
    ----------
    exercise : Exercise
        Whose lesson has ``start`` and ``train``.
    path : Path
        The student's file.

    Returns
    -------
    Outcome
        After how many steps what is first wrong.
    """
    lesson: Any = importlib.import_module(exercise.module)
    train = getattr(load_module(path), "train", None)
    if train is None:
        raise FileError("no-class", f"{path.name} has no function train: that name has to stay")
    for steps in range(1, MOST_STEPS + 1):
        ours = _run(lesson.train, lesson.start, steps)
        try:
            theirs = _run(train, lesson.start, steps)
        except Exception as error:
            raise FileError("raises", describe(error, path)) from error
        difference = _difference(theirs, ours)
        if difference is not None:
            after = f"after {steps} step{'s' * (steps > 1)} of gradient descent"
            return Outcome(
                kind="training", message=f"{after}, a parameter is not where it belongs. {difference.message}"
            )
    return Outcome(passed=True, steps_done=1)


def _run(
    train: Callable[..., Any], start: Callable[[], tuple[Tensor, Tensor, dict[str, Tensor]]], steps: int
) -> Training:
    x, target, parameters = start()
    losses = train(x, target, parameters, LEARNING_RATE, steps)
    return losses, parameters


def _difference(theirs: Training, ours: Training) -> Difference | None:
    for name, right in ours[1].items():
        difference = compare(name, theirs[1].get(name), right.detach())
        if difference is not None:
            return difference
    return None
