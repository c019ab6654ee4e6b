"""End a check that takes too long: between two calls of the subject, and as a last resort within one."""

import _thread
import ctypes
import threading
import time
from types import TracebackType

GRACE = 1.5  # times the limit: an endless loop within one call of the subject ends then


class OutOfTimeError(BaseException):
    """The time limit is reached. Not an Exception: code that is checked shall not catch it."""


class Clock:
    """Raises :class:`OutOfTimeError` in this thread once ``limit`` seconds have passed; None is no limit."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit = float("inf") if limit is None else limit
        self._end = time.monotonic() + self.limit
        self._over = threading.Event()

    def check(self) -> None:
        """Raise if the time is over."""
        if time.monotonic() > self._end:
            raise OutOfTimeError

    def __enter__(self) -> "Clock":
        # A threading.Timer would wait for its own start.
        _thread.start_new_thread(self._interrupt, (threading.get_ident(),))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _interrupt(self, thread: int) -> None:
        # An endless loop in the subject comes to no check: the interpreter raises there.
        if not self._over.wait(min(GRACE * self.limit, threading.TIMEOUT_MAX)):
            error = ctypes.py_object(OutOfTimeError)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)
