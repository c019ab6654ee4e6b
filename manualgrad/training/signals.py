"""Finish the present step, then stop, on SIGINT or SIGTERM."""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Any

from manualgrad.training import parallel


class Interrupted(KeyboardInterrupt):
    """The training has stopped after a whole step, and is saved."""


class GracefulShutdown:
    """Note in ``requested`` that a signal has come; in a process alone a second one stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Handle the signals from now on."""
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._handle) for number in signals}

    def restore(self) -> None:
        """Give the signals back to those who handled them before."""
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
