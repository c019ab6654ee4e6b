"""One exercise: where its lesson is, what the student's file holds, and in which steps it is judged."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import manualgrad
from manualgrad.exercises.lesson import Lesson

PACKAGE = Path(manualgrad.__path__[0])
FUNCTIONS = PACKAGE / "functions"
LESSONS = PACKAGE / "exercises" / "lessons"


@dataclass(frozen=True)
class Step:
    """One thing to get right, worth a point; the next step is looked at when this one is right.

    Without names, every sample counts, and the gradient of every argument.
    """

    title: str
    samples: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One exercise. The solution is the page's own code; nothing here repeats it."""

    name: str  # what the student types
    page: Path  # the file with the lesson and the solution
    steps: tuple[Step, ...]
    # A Function without its backward, one whose verdict is to be predicted, a network line by line, or a
    # training script with a mistake in it.
    kind: Literal["function", "prediction", "network", "script"] = "function"
    about: str = ""  # for the list, in the place of the lesson's title
    note: str = ""  # what the student is told besides the task
    forward: str = ""  # shown in the place of a forward that calls helpers: the same, in plain lines
    wrong_backward: str = ""  # a Function's lines that are to be mended, or whose kind is to be predicted
    answer: str = ""  # that kind
    mistakes: tuple[tuple[str, str], ...] = ()  # in a script: the solution's text, and what stands there

    @cached_property
    def lesson(self) -> Lesson:
        """The page, read when it is needed."""
        return Lesson(self.page.read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        return self.about or self.lesson.title

    @property
    def module(self) -> str:
        """The page's dotted name."""
        return ".".join(("manualgrad", *self.page.relative_to(PACKAGE).with_suffix("").parts))
