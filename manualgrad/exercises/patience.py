"""Ask a search that runs a student's code for a while: one that fails or takes too long has found nothing."""

import contextlib
import io
import signal
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
COMPUTING, WAITING = 2.0, 4.0  # seconds that all questions of one check may take
AGAIN = 0.1  # a bare `except` in a loop swallows the first


class OverError(BaseException):
    """The time is over. Not an Exception: the code that runs shall not catch it."""


class Patience:
    """What is left of the time that a check has for its questions."""

    def __init__(self) -> None:
        self._left = {signal.ITIMER_PROF: COMPUTING, signal.ITIMER_REAL: WAITING}
        self._is_over = False

    def ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer; None without one. What the student's code prints meanwhile is dropped."""
        if self._is_over:
            return None
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                signal.signal(signal.SIGPROF, self._end)
                signal.signal(signal.SIGALRM, self._end)
                for timer, seconds in self._left.items():
                    signal.setitimer(timer, seconds, AGAIN)
                return question()
        except (Exception, SystemExit, OverError):
            return None
        finally:
            self._left = {timer: signal.setitimer(timer, 0)[0] for timer in self._left}

    def _end(self, *_: Any) -> None:
        self._is_over = True
        raise OverError
