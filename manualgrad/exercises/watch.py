"""Check on every save, and move on when it passes."""

import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import Exercise
from manualgrad.exercises.folder import Folder, choose_next
from manualgrad.exercises.outcome import Outcome

LOOK_EVERY = 0.1  # seconds
SETTLED_AFTER = 0.03  # seconds without a change: an editor may write a file in several pieces

Check = Callable[[Checker, Exercise], Outcome]


class Watch:
    """The loop of ``watch``.

    Parameters
    ----------
    console : Console
        Where to show things.
    exercises : list of Exercise
        In order.
    folder : Folder
        The student's.
    start : callable
        Writes an exercise's file.
    check : callable
        Judges an exercise, shows the verdict and remembers it.
    hint : callable
        Shows one more hint.
    """

    def __init__(
        self,
        console: Console,
        exercises: list[Exercise],
        folder: Folder,
        start: Callable[[Exercise], object],
        check: Check,
        hint: Callable[[Exercise], object],
    ) -> None:
        self.console, self.exercises, self.folder = console, exercises, folder
        self.start, self.check, self.hint = start, check, hint
        self.current = choose_next(exercises, folder)
        self.keys = sys.stdin.isatty()

    def run(self) -> None:
        """Go on until all exercises are done, or q or Ctrl-C is typed."""
        with Checker() as checker:
            self._turn_to_next()
            if self.current is not None and self.folder.progress(self.current).checks:
                self.check(checker, self.current)
            stamps = self._stamps()
            try:
                while self.current is not None and self._pause():
                    latest = self._stamps()
                    for exercise in self.exercises:
                        stamp = latest.get(exercise.name)
                        if stamp is not None and stamp != stamps.get(exercise.name):
                            self._saved(checker, exercise)
                            latest = self._stamps() | {exercise.name: stamp}
                    stamps = latest
            except KeyboardInterrupt:
                self.console.print()

    def _saved(self, checker: Checker, exercise: Exercise) -> None:
        _wait_until_settled(self.folder.file(exercise))
        self.console.clear()
        if self.check(checker, exercise).passed:
            self._turn_to_next()
        self._say_keys()

    def _turn_to_next(self) -> None:
        self.current = choose_next(self.exercises, self.folder)
        if self.current is None:
            self.console.print(Text("All exercises are done.", "bold green"))
            return
        if not self.folder.has(self.current):
            self.start(self.current)
        file = self.folder.file(self.current)
        self.console.print(
            Text.assemble("\nNow: ", (self.current.name, "bold"), f". Open {file} and save it.")
        )

    def _pause(self) -> bool:
        """Wait a moment, or do what was typed; False to end."""
        if not self.keys:
            time.sleep(LOOK_EVERY)
            return True
        ready, _, _ = select.select([sys.stdin], [], [], LOOK_EVERY)
        if not ready:
            return True
        typed = sys.stdin.readline()
        if not typed or typed.strip().lower() == "q":
            return False
        if typed.strip().lower() == "h" and self.current is not None:
            self.hint(self.current)
        self._say_keys()
        return True

    def _say_keys(self) -> None:
        if self.keys and self.current is not None:
            self.console.print(Text("h Enter: a hint   q Enter: quit   save the file: check", "dim"))

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Return when each exercise's file was saved, and its size."""
        stamps = {}
        for exercise in self.exercises:
            try:
                status = self.folder.file(exercise).stat()
            except FileNotFoundError:  # not started, or just being replaced by an editor
                continue
            stamps[exercise.name] = (status.st_mtime_ns, status.st_size)
        return stamps


def _wait_until_settled(file: Path) -> None:
    before = None
    while True:
        try:
            status = file.stat()
            now = (status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            now = None
        if now is not None and now == before:
            return
        before = now
        time.sleep(SETTLED_AFTER)
