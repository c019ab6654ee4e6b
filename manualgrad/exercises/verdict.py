"""Define a request for a check and its verdict: plain data that passes between processes."""

from dataclasses import dataclass, field
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """What one check may use.

    Attributes
    ----------
    cpu_seconds : int
        Of computing. Other programs' time does not count, so a busy machine changes no verdict.
    wall_seconds : float
        Until the check is stopped in any case, if it sleeps or waits.
    memory_mb : int
        On top of what the process has at its start.
    output_mb : int
        The largest file that it may write, the one with its prints among them.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 30.0
    memory_mb: int = 1024
    output_mb: int = 2


@dataclass(frozen=True)
class Request:
    """One file to check.

    Attributes
    ----------
    exercise : str
        Its name.
    file : Path
        Where the file lies: messages name it, and it can import its neighbours.
    source : bytes
        What is judged; the file itself is not read again.
    limits : Limits
        What the check may use.
    width : int
        Of the terminal, for the report.
    colour : bool
        Whether the report may be coloured.
    html : bool
        Whether the report is wanted as HTML, too.
    """

    exercise: str
    file: Path
    source: bytes
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
    report : str
        The table that goes with it, for a terminal.
    html : str
        The same for a notebook.
    printed : str
        What the student's code printed.
    seconds : float
        How long the check took, without the start of the process.
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
