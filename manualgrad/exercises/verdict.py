"""A request for a check, and its verdict: plain data that passes between processes."""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """What one check may use."""

    cpu_seconds: int = 10  # of computing: a busy machine changes nothing
    wall_seconds: float = 30.0  # until the check is stopped in any case, if it sleeps or waits
    memory_mb: int = 1024  # on top of what the process has at its start
    output_mb: int = 2  # of the largest file that it may write, the one with its prints among them


@dataclass(frozen=True)
class Request:
    """One file to check, and how its report is to look."""

    exercise: str
    file: Path  # where it lies: messages name it, and it can import its neighbours
    source: bytes  # what is judged; the file itself is not read again
    limits: Limits = field(default_factory=Limits)
    width: int = 110
    colour: bool = False
    html: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes
    ----------
    passed : bool
        Whether every step is right.
    steps_done : int
        How many steps are right.
    step : str
        The step that is not right.
    kind : str
        Of the first finding: one of gradcheck's kinds, or how the process ended.
    message : str
        What is wrong, in a sentence or two.
    report, html : str
        The table that goes with it, for a terminal and for a notebook.
    printed : str
        What the student's code printed.
    seconds : float
        How long the check took.
    """

    passed: bool = False
    steps_done: int = 0
    step: str = ""
    kind: str = ""
    message: str = ""
    report: str = ""
    html: str = ""
    printed: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        head = "right" if self.passed else f"not right yet{f': {self.step}' * bool(self.step)}"
        return "\n".join(filter(None, [head, self.report or f"{self.kind}: {self.message}".strip(": ")]))

    def _repr_html_(self) -> str:
        """Draw the verdict in a notebook."""
        mark = "✓ right" if self.passed else f"✗ {escape(self.step or 'not right yet')}"
        text = self.html or ("" if self.passed else f"<p>{escape(self.kind)}: {escape(self.message)}</p>")
        printed = f"<pre>{escape(self.printed)}</pre>" if self.printed else ""
        return f"<p><b>{mark}</b></p>{printed}{text}"
