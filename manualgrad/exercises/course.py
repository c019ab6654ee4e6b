"""The course: which exercises there are, in which order, and in which steps each is judged."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import manualgrad
from manualgrad.errors import UserError
from manualgrad.exercises.lesson import Lesson

PACKAGE = Path(manualgrad.__path__[0])
FUNCTIONS = PACKAGE / "functions"
LESSONS = PACKAGE / "exercises" / "lessons"

# What the student's file is: one Function with its backward missing, a network line by line, or a training
# script with a mistake in it.
Kind = Literal["function", "network", "script"]


@dataclass(frozen=True)
class Step:
    """One thing to get right; the next step is looked at when this one is.

    Parameters
    ----------
    title : str
        What the step is about.
    samples : tuple of str
        The names of the samples to be judged by, from the function's cases; empty for all of them.
    arguments : tuple of str
        Whose gradients are judged; empty for all of them.
    """

    title: str
    samples: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One exercise. The solution is the lesson's own code; nothing here repeats it.

    Parameters
    ----------
    name : str
        What the student types.
    page : Path
        The file with the lesson and the solution.
    kind : {"function", "network", "script"}
        What is written, and how it is judged.
    steps : tuple of Step
        In order; each is worth a point.
    mistake : tuple of (str, str)
        For find-the-bug exercises: a text of the solution, and the wrong one that the student is given.
    """

    name: str
    page: Path
    kind: Kind = "function"
    steps: tuple[Step, ...] = (Step("every sample"),)
    mistake: tuple[str, str] | None = None

    @cached_property
    def lesson(self) -> Lesson:
        """The page, read when it is needed."""
        return Lesson(self.page)

    @property
    def is_library_function(self) -> bool:
        """Whether the lesson is one of the package's functions."""
        return self.page.parent == FUNCTIONS

    @property
    def module(self) -> str:
        """The page's dotted name."""
        return ".".join(("manualgrad", *self.page.relative_to(PACKAGE).with_suffix("").parts))


def _function(name: str, *steps: Step, called: str | None = None) -> Exercise:
    return Exercise(called or name, FUNCTIONS / f"{name}.py", steps=steps or (Step("every sample"),))


_BEFORE_NETWORK = (
    _function("power", Step("exponent 2", samples=("exponent 2",)), called="square"),
    _function(
        "power",
        Step("exponents 1, 2 and 3", samples=("cube", "exponent 1", "exponent 2")),
        Step("any exponent, 0 and -1 too"),
    ),
    _function("exp"),
    _function("sin"),
    Exercise("chain_of_three", LESSONS / "chain_of_three.py"),
    _function("sigmoid"),
    _function("tanh"),
    _function("relu"),
    _function(
        "mse_loss",
        Step("the mean, target as data", samples=("data as target", "one number")),
        Step("the mean, both gradients", samples=("mean",)),
        Step('reduction "sum" and "none"'),
    ),
    _function(
        "linear",
        Step("input", samples=("batch",), arguments=("input",)),
        Step("weight", samples=("batch",), arguments=("weight",)),
        Step("bias", samples=("batch",), arguments=("bias",)),
        Step("only what is asked for", samples=("no bias", "data as input")),
        Step("any number of batch dimensions"),
    ),
)
_AFTER_NETWORK: tuple[Exercise, ...] = ()


def course() -> list[Exercise]:
    """Return every exercise, in the order in which they teach.

    A function of the package that no line above names comes after those that are named.

    Returns
    -------
    list of Exercise
        Their names differ.
    """
    named = {exercise.page for exercise in _BEFORE_NETWORK}
    pages = sorted(page for page in FUNCTIONS.glob("[!_]*.py") if page not in named)
    return [*_BEFORE_NETWORK, *(_function(page.stem) for page in pages), *_AFTER_NETWORK]


def find(name: str) -> Exercise:
    """Return the exercise of that name.

    Parameters
    ----------
    name : str
        As listed; hyphens serve for underscores, and ``.py`` may follow.

    Returns
    -------
    Exercise
        The one with this name.

    Raises
    ------
    UserError
        If there is none, with the closest names there are.
    """
    exercises = {exercise.name: exercise for exercise in course()}
    plain = name.removesuffix(".py").replace("-", "_").lower()
    if plain in exercises:
        return exercises[plain]
    raise UserError(f"no exercise is called {name!r}{_closest(plain, exercises)}")


def _closest(name: str, names: Iterable[str]) -> str:
    import difflib  # only a wrong name needs it

    similar = difflib.get_close_matches(name, names, n=3)
    return f": did you mean {' or '.join(similar)}?" if similar else ": `list` shows them all"
