"""Train with a student's function in the place of ours: the same experiment twice, side by side."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import manualgrad.functions as F
from manualgrad.exercises.student import load_function
from manualgrad.table import print_table

Metrics = dict[str, Any]


@contextmanager
def in_place_of_ours(path: Path | str) -> Iterator[str]:
    """Put a student's function in the place of ours, for the length of a ``with`` block.

    The modules of ``manualgrad.nn`` look a function up at each call, so they take it, too.

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
        If the file cannot be read, raises, or holds no such function.
    """
    name, theirs = load_function(path)
    ours = getattr(F, name)
    setattr(F, name, theirs)
    try:
        yield name
    finally:
        setattr(F, name, ours)


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
        If the file cannot be read, raises, or holds no function of ours.
    """
    with in_place_of_ours(path):
        pass  # a file that cannot be used should be found out before the training, not after it
    print("first with our function")
    ours = train_with_ours()
    with in_place_of_ours(path) as name:
        print(f"\nthe same with {name} of {path}")
        theirs = train_with_theirs()
    figures = _numbers(ours), _numbers(theirs)
    rows = [(key, f"{figures[0][key]:.6g}", f"{value:.6g}") for key, value in figures[1].items()]
    print_table(f"With our {name} and with yours", ("figure", "ours", "yours"), rows)
    print(f"look at both: tensorboard --logdir {shlex.quote(str(runs))}")
    return theirs


def _numbers(metrics: Metrics) -> dict[str, float]:
    """Return the figures that are one number, or a list of one."""
    alone = {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in metrics.items()
    }
    return {key: value for key, value in alone.items() if isinstance(value, int | float)}
