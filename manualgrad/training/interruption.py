"""Ctrl-C and SIGTERM as a wish, which the loop grants between two steps."""

import os
import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from manualgrad.training import distributed

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """The training was asked to stop, and has stopped after a whole step."""


class Interruption:
    """Hears the signals for the length of a ``with`` block; to a process alone a second one means at once.

    Attributes
    ----------
    asked : bool
        A signal has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if distributed.size() > 1:  # torchrun repeats itself as soon as one process has ended
            self.asked = True
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # Not print: the signal may have come in the middle of one, which cannot be entered twice.
        with suppress(OSError):  # Ctrl-C has ended a `tee` that reads this, too
            os.write(2, b"\nstopping after this step (once more: at once)\n")
