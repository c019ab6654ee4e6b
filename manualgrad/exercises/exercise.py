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

# What the student's file is: one Function with its backward missing, a wrong one whose verdict is to be
# predicted, a network line by line, or a training script with a mistake in it.
Kind = Literal["function", "prediction", "network", "script"]


@dataclass(frozen=True)
class Step:
    """One thing to get right; the next step is looked at when this one is.

    Parameters
    ----------
    title : str
        What the step is about.
    samples : tuple of str
        The names of the samples to be judged by, from the function's samples; empty for all of them.
    arguments : tuple of str
        Whose gradients are judged; empty for all of them.
    """

    title: str
    samples: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


WHOLE = (Step("every sample"),)  # one step for all there is


@dataclass(frozen=True)
class Exercise:
    """One exercise. The solution is the lesson's own code; nothing here repeats it.

    Parameters
    ----------
    name : str
        What the student types.
    page : Path
        The file with the lesson and the solution.
    kind : {"function", "prediction", "network", "script"}
        What is written, and how it is judged.
    steps : tuple of Step
        In order; each is worth a point.
    about : str
        For the list; empty for the lesson's title.
    note : str
        What the student is told besides the task.
    mistakes : tuple of (str, str)
        To find in a script: a text of the solution, and what stands there in the student's file.
    wrong_backward : str
        To find in a function: the lines that the student is given in the place of the right ones.
    forward : str
        What the student sees of forward where ours calls helpers: the same for this exercise, in plain lines.
    answer : str
        The kind that gradcheck names for it, where that is to be predicted.
    """

    name: str
    page: Path
    kind: Kind = "function"
    steps: tuple[Step, ...] = WHOLE
    about: str = ""
    note: str = ""
    mistakes: tuple[tuple[str, str], ...] = ()
    wrong_backward: str = ""
    answer: str = ""
    forward: str = ""

    @cached_property
    def lesson(self) -> Lesson:
        """The page, read when it is needed."""
        return Lesson(self.page)

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        return self.about or self.lesson.title

    @property
    def is_bug(self) -> bool:
        """Whether something wrong is given, to be found."""
        return self.kind != "prediction" and bool(self.mistakes or self.wrong_backward)

    @property
    def is_library_function(self) -> bool:
        """Whether the lesson is one of the package's functions."""
        return self.page.parent == FUNCTIONS

    @property
    def module(self) -> str:
        """The page's dotted name."""
        return ".".join(("manualgrad", *self.page.relative_to(PACKAGE).with_suffix("").parts))
