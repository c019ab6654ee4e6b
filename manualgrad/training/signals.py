"""Finish the present step, then stop, on SIGINT or SIGTERM."""

import os
import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from manualgrad.training import parallel


class Interrupted(KeyboardInterrupt):
    """The training has stopped after a whole step, and is saved."""


class GracefulShutdown:
    """Note the signals for the length of a ``with`` block; in a process alone a second one stops at once.

    Attributes
    ----------
    requested : bool
        A signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._handle) for number in signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if parallel.world_size() > 1:  # torchrun sends it again to each as soon as one has ended
            self.requested = True
            return
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # Not print: the signal may have come in the middle of one, which cannot be entered twice.
        with suppress(OSError):  # Ctrl-C has ended a `tee` that reads this, too
            os.write(2, b"\nstopping after this step (once more: at once)\n")
