"""What a student may hand in: stubs, stubs with lines written in them, and solved files."""

from dataclasses import dataclass
from pathlib import Path

from manualgrad.exercises.course import find
from manualgrad.exercises.stub import write_stub

PLACE = "raise NotImplementedError  # replace this line by yours"


def stub(exercise):
    """The file as `start` writes it."""
    return write_stub(find(exercise) if isinstance(exercise, str) else exercise)


def attempt(exercise, *lines):
    """The stub with lines in the one place to write."""
    text = stub(exercise)
    assert text.count(PLACE) == 1
    return text.replace(PLACE, "\n        ".join(lines))


def written(exercise, **values):
    """The network's stub with some of its lines written."""
    text = stub(exercise)
    for name, value in values.items():
        assert f"    {name} = ..." in text
        text = text.replace(f"    {name} = ...", f"    {name} = {value}")
    return text


@dataclass(frozen=True)
class Attempt:
    """A row of ``attempts.txt``: the kinds that are true of it, a pattern for the message, and its lines."""

    exercise: str
    kinds: list[str]
    says: str
    lines: list[str]


def read_attempts():
    """Every attempt that somebody made who had not read the checker."""
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    rows = [line.split(" :: ") for line in text.splitlines() if not line.startswith("#")]
    return [Attempt(name, kinds.split(), says, lines.split(" ⏎ ")) for name, kinds, says, lines in rows]
