"""What a check has to say, as plain data that passes between processes."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The verdict on one file.

    Attributes
    ----------
    passed : bool
        Whether every step is right.
    steps_done, steps : int
        How many steps are right, and how many there are.
    step : str
        The step that is not right.
    kind : str
        Of the first finding: gradcheck's kinds, and those of ``ENDINGS`` and of the reading of the file.
    message : str
        What is wrong, in a sentence or two.
    report : str
        The table that goes with it, for a terminal.
    printed : str
        What the student's code printed.
    seconds : float
        How long the check took, without the start of the process.
    """

    passed: bool = False
    steps_done: int = 0
    steps: int = 1
    step: str = ""
    kind: str = ""
    message: str = ""
    report: str = ""
    printed: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for json."""
        return asdict(self)


@dataclass(frozen=True)
class Request:
    """One thing to check.

    Attributes
    ----------
    exercise : str
        Its name.
    file : str
        The student's file.
    width : int
        Of the terminal, for the report.
    colour : bool
        Whether the report may be coloured.
    """

    exercise: str
    file: str
    width: int = 110
    colour: bool = False
    limits: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for json."""
        return asdict(self)
