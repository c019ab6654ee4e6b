"""One worker for all tests: it takes seconds to start, and milliseconds a check."""

import pytest

from manualgrad.exercises import grade, verbs
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import find
from manualgrad.exercises.outcome import Request


@pytest.fixture(scope="session")
def checker():
    with Checker() as checker:
        yield checker


@pytest.fixture
def warm(monkeypatch, checker):
    """Let commands use the tests' worker instead of starting their own."""

    class Shared:
        def __enter__(self):
            return checker

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(verbs, "Checker", Shared)
    monkeypatch.setattr(grade, "Checker", Shared)


@pytest.fixture
def judge(checker, tmp_path):
    """Judge a text as an exercise's file."""

    def judge(exercise, text, **limits):
        file = tmp_path / f"{find(exercise).name}.py"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return checker.check(Request(exercise, str(file), limits=limits))

    return judge
