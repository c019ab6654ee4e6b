"""Train with a student's function in the place of ours: the same experiment twice, side by side."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import manualgrad.functions as F
from manualgrad.errors import UserError
from manualgrad.exercises import student
from manualgrad.exercises.student import load_function
from manualgrad.loading import describe, line_of
from manualgrad.table import print_table

Metrics = dict[str, Any]

LEARNING = ("loss", "accuracy", "error")  # in the names of the figures that say how well something learnt


@contextmanager
def in_place_of_ours(path: Path | str) -> Iterator[str]:
    """Put a student's function in the place of ours, for the length of a ``with`` block.

    The modules of ``manualgrad.nn`` look a function up at each call, so they take it, too. It is tried on a
    sample first: what is not written yet should be found out before a training, not in it.

    Parameters
    ----------
    path : Path or str
        The file of an exercise that is about one of the package's functions.

    Yields
    ------
    str
        The function's name.

    Raises
    ------
    UserError
        If the file cannot be read, raises, or holds no such function; if that raises, also within the block.
    """
    path = Path(path)
    info, theirs = load_function(path)
    with student.in_place_of_ours(info, theirs):
        call, values = info.samples()[0].bind(info.function)
        with _one_line(path), torch.enable_grad():
            call(*(value.requires_grad_() for value in values)).sum().backward()
        with _one_line(path):
            yield info.name


@contextmanager
def _replaced(name: str, function: Callable[..., Any]) -> Iterator[None]:
    ours = getattr(F, name)
    setattr(F, name, function)
    try:
        yield
    finally:
        setattr(F, name, ours)


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Say in one line what the student's code raises; what others raise passes."""
    try:
        yield
    except Exception as error:
        if line_of(error, path) is None:
            raise
        if isinstance(error, NotImplementedError):
            raise UserError(f"{path.name}: backward is not written yet") from error
        raise UserError(" ".join(describe(error, path).split())) from error


def train_both(
    path: Path, runs: Path, train_with_ours: Callable[[], Metrics], train_with_theirs: Callable[[], Metrics]
) -> Metrics:
    """Run an experiment with our functions, then with the student's, and print the figures of both.

    Parameters
    ----------
    path : Path
        The student's file.
    runs : Path
        The folder that both run folders are in.
    train_with_ours, train_with_theirs : callable
        The experiment, which differs in nothing but the name of its run folder.

    Returns
    -------
    dict
        The figures of the run with the student's function.

    Raises
    ------
    UserError
        If the file cannot be read, raises, or holds no function of ours; if the experiment does not call it.
    """
    with in_place_of_ours(path) as name:
        pass  # a file that cannot be used should be found out before the training, not after it
    print("first with our function")
    called = False
    ours_itself = getattr(F, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        called = True
        setattr(F, name, ours_itself)  # the first call is enough
        return ours_itself(*args, **kwargs)

    with _replaced(name, noted):
        ours = train_with_ours()
    if not called:
        raise UserError(f"{runs.name}'s network never calls {name}: nothing of {path} would be trained")
    with in_place_of_ours(path):
        print(f"\nthe same with {name} of {path}")
        theirs = train_with_theirs()
    before, after = _learning(ours), _learning(theirs)
    rows = [(figure, f"{before[figure]:.6g}", f"{value:.6g}") for figure, value in after.items()]
    print_table(f"With our {name} and with yours", ("figure", "ours", "yours"), rows)
    print(f"look at both: tensorboard --logdir {shlex.quote(str(runs))}")
    return theirs


def _learning(metrics: Metrics) -> dict[str, float]:
    """Return the figures that say how well it learnt, in plain words: one number each, or a list of one."""
    figures = {}
    for key, value in metrics.items():
        words = key.replace("_", " ")
        if isinstance(value, list) and len(value) == 1:
            words, value = words.removesuffix("s"), value[0]
        if isinstance(value, int | float) and any(word in words for word in LEARNING):
            figures[words] = value
    return figures
