"""The bank of wrong attempts, read from ``wrong_attempts.txt``."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Attempt:
    """One attempt: its lines, the kinds that are true of it, and a pattern for the message."""

    exercise: str
    kinds: list[str]
    says: str
    lines: list[str]


def read_attempts():
    """Every attempt of the bank."""
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    rows = [line.split(" :: ") for line in text.splitlines() if not line.startswith("#")]
    return [Attempt(name, kinds.split(), says, lines.split("; ")) for name, kinds, says, lines in rows]
