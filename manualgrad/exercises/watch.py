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

MOST_LOOKS = 50

Stamp = tuple[int, int]  # time of saving in nanoseconds, size in bytes
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
            self._say_keys()
            stamps = self._stamps()
            try:
                while self.current is not None and self._pause():
                    latest = self._stamps()
                    for exercise in self.exercises:
                        if latest.get(exercise.name) != stamps.get(exercise.name):
                            latest[exercise.name] = self._saved(checker, exercise)
                    # What was saved during a check is looked at next; a file that was started is not.
                    known = {name: stamp for name, stamp in latest.items() if stamp is not None}
                    stamps = {**self._stamps(), **known}
            except KeyboardInterrupt:
                self.console.print()

    def _saved(self, checker: Checker, exercise: Exercise) -> Stamp | None:
        """Check what was saved, and return the stamp of what was checked."""
        stamp = _wait_until_settled(self.folder.file(exercise))
        if stamp is None:
            return None
        self.console.clear()
        if self.check(checker, exercise).passed:
            self._turn_to_next()
        self._say_keys()
        return stamp

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

    def _stamps(self) -> dict[str, Stamp | None]:
        return {exercise.name: _stamp(self.folder.file(exercise)) for exercise in self.exercises}


def _stamp(file: Path) -> Stamp | None:
    """Return when a file was saved, and its size; None if it is not there."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _wait_until_settled(file: Path) -> Stamp | None:
    before, now = None, _stamp(file)
    for _ in range(MOST_LOOKS):  # a file that never settles is checked as it is
        if now == before:
            break
        time.sleep(SETTLED_AFTER)
        before, now = now, _stamp(file)
    return now
