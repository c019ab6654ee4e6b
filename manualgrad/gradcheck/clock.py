"""End a check that takes too long: between two calls of the subject, and as a last resort within one."""

import ctypes
import threading
import time
from types import TracebackType

GRACE = 2.0  # seconds that one call of the subject may go on beyond the limit


class OutOfTimeError(BaseException):
    """The time limit is reached. Not an Exception: code that is checked shall not catch it."""


class Clock:
    """Raises :class:`OutOfTimeError` in this thread once ``limit`` seconds have passed.

    Parameters
    ----------
    limit
        In seconds; None for no limit.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._end = None if limit is None else time.monotonic() + limit
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._running = True
        self._timer = None if limit is None else threading.Timer(limit + GRACE, self._interrupt)

    def check(self) -> None:
        """Raise if the time is over."""
        if self._end is not None and time.monotonic() > self._end:
            raise OutOfTimeError

    def _interrupt(self) -> None:
        # An endless loop in the subject comes to no check: the interpreter raises there.
        with self._lock:
            if self._running:
                _raise_in(self._thread, OutOfTimeError)

    def __enter__(self) -> "Clock":
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._running = False
        if self._timer is not None:
            self._timer.cancel()


def _raise_in(thread: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
