"""Check on every save, and move on when it passes."""

import select
import sys
import time
from pathlib import Path

from rich.text import Text

from manualgrad.exercises.checker import Check, Checker
from manualgrad.exercises.course import course
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.session import Session
from manualgrad.exercises.stub import write_stub

LOOK_EVERY = 0.1  # seconds
SETTLED_AFTER = 0.03  # seconds without a change: an editor may write a file in several pieces
MOST_LOOKS = 50

Stamp = tuple[int, int]  # time of saving in nanoseconds, size in bytes


class Watch:
    """The loop of ``watch``.

    Parameters
    ----------
    session : Session
        The student's.
    checker : Checker
        Judges what is saved.
    """

    def __init__(self, session: Session, checker: Checker) -> None:
        self.session, self.checker = session, checker
        self.folder = session.folder
        self.current: Exercise | None = None
        self.running: tuple[Exercise, Check] | None = None
        self.passed_before = self._passed()
        self.stamps = {exercise.name: _stamp(self.folder.file(exercise)) for exercise in course()}
        self.has_keys = sys.stdin.isatty()

    def run(self) -> None:
        """Go on until all exercises are done, or q or Ctrl-C is typed."""
        self._turn_to_next()
        if self.current is not None and self.folder.progress(self.current).checks:
            self._start(self.current)
        self._say_keys()
        try:
            while self.current is not None and self._wait():
                for exercise in course():
                    stamp = _stamp(self.folder.file(exercise))
                    if stamp is not None and stamp != self.stamps[exercise.name]:
                        self.stamps[exercise.name] = _wait_until_settled(self.folder.file(exercise))
                        self._start(exercise)
        except KeyboardInterrupt:
            self.session.console.print()
        finally:
            self._stop()
        passed = self._passed()
        new = ", ".join(name for name in passed if name not in self.passed_before)
        done = f"{len(passed)} of {len(course())} exercises done"
        self.session.say(f"passed just now: {new}; {done}" if new else done)

    def _passed(self) -> list[str]:
        """Return the names of the exercises that have passed, in the course's order."""
        return [exercise.name for exercise in course() if self.folder.progress(exercise).passed]

    def _wait(self) -> bool:
        """Wait a moment for a verdict or for a key; False to end."""
        check = self.running[1].sentinel if self.running else None
        ready, _, _ = select.select(
            [source for source in (check, sys.stdin if self.has_keys else None) if source is not None],
            [],
            [],
            LOOK_EVERY,
        )
        if self.running and (check in ready or self.running[1].is_late()):
            self._conclude()
        if sys.stdin not in ready:
            return True
        typed = sys.stdin.readline().strip().lower()
        if typed == "h" and self.current is not None:
            self.session.hint(self.current)
        self._say_keys()
        return typed != "q"

    def _start(self, exercise: Exercise) -> None:
        """Check what was saved; a check of what was there before is of no use any more."""
        self._stop()
        self.current = exercise  # what hints are about
        self.session.console.clear()
        self.session.say(f"checking {exercise.name}.py ...")
        self.running = exercise, self.checker.start(self.session.request(exercise))

    def _stop(self) -> None:
        """End the check that is running."""
        if self.running is not None:
            self.running[1].stop()
            self.running[1].wait()
        self.running = None

    def _conclude(self) -> None:
        """Show the verdict of the check that has ended."""
        assert self.running is not None
        (exercise, check), self.running = self.running, None
        verdict = check.wait()
        self.session.conclude(exercise, verdict)
        if verdict.passed:
            self._turn_to_next()
        self._say_keys()

    def _turn_to_next(self) -> None:
        """Name the next exercise, and write its file if there is none."""
        self.current = exercise = self.session.upcoming()
        if exercise is None:
            self.session.console.print(Text("All exercises are done.", "bold green"))
            return
        file = self.folder.file(exercise)
        if not self.folder.has(exercise):
            self.folder.start(exercise, write_stub(exercise, self.folder))
            self.stamps[exercise.name] = _stamp(file)
        self.session.console.print(
            Text.assemble("\nNow: ", (exercise.name, "bold"), f". Open {file} and save it.")
        )

    def _say_keys(self) -> None:
        if self.has_keys and self.current is not None:
            self.session.console.print(Text("h Enter: a hint   q Enter: quit   save the file: check", "dim"))


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
