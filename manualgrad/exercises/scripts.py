"""A training script with a mistake in it: judge what it does, however it is written."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.student import explain
from manualgrad.exercises.values import difference
from manualgrad.exercises.verdict import Verdict
from manualgrad.loading import FileError, load_module

LEARNING_RATE = 0.25
MOST_STEPS = 4


def judge_script(exercise: Exercise, path: Path) -> Verdict:
    """Train with the student's ``train`` and with ours, for one step, two, and more, and compare.

    Parameters
    ----------
    exercise : Exercise
        Whose lesson has ``start`` and ``train``.
    path : Path
        The student's file.

    Returns
    -------
    Verdict
        After how many steps which parameter or loss is first wrong.
    """
    lesson: Any = importlib.import_module(exercise.module)
    train = getattr(load_module(path), "train", None)
    if train is None:
        raise FileError("no-class", f"{path.name} has no function train: that name has to stay")
    for steps in range(1, MOST_STEPS + 1):
        losses, ours = _run(lesson.train, lesson.start, steps)
        try:
            their_losses, theirs = _run(train, lesson.start, steps)
        except Exception as error:
            raise FileError("raises", explain(error, path)) from error
        after = f"after {steps} step{'s' * (steps > 1)} of gradient descent"
        for name, right in ours.items():
            wrong = difference(name, theirs.get(name), right.detach())
            if wrong:
                return Verdict(
                    kind="training", message=f"{after}, a parameter is not where it belongs. {wrong}"
                )
        wrong = difference("losses", their_losses, torch.tensor(losses, dtype=torch.float64))
        if wrong:
            message = f"{after}, the parameters are right, but train returns other losses. {wrong}"
            return Verdict(kind="training", message=message)
    return Verdict(passed=True, steps_done=1)


def _run(
    train: Callable[..., Any], start: Callable[[], tuple[Tensor, Tensor, dict[str, Tensor]]], steps: int
) -> tuple[Any, dict[str, Tensor]]:
    """Return the losses that a training returns, and the parameters that it leaves."""
    x, target, parameters = start()
    return train(x, target, parameters, LEARNING_RATE, steps), parameters
