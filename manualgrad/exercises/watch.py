"""Check on every save, and move on when it passes."""

import select
import sys

from rich.text import Text

from manualgrad.exercises.checker import Check, start_server
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.session import Session
from manualgrad.exercises.stub import write_stub

LOOK_EVERY = 0.03  # seconds


class Watch:
    """The loop of ``watch``."""

    def __init__(self, session: Session) -> None:
        start_server()
        self.session, self.folder = session, session.folder
        self.current: Exercise | None = None  # what hints are about
        self.running: tuple[Exercise, Check] | None = None
        self.saved = {exercise.name: self._stamp(exercise) for exercise in COURSE}
        self.has_keys = sys.stdin.isatty()

    def run(self) -> None:
        """Go on until all exercises are done, or q or Ctrl-C is typed."""
        before = self.session.passed()
        self._turn_to_next()
        if self.current is not None and self.folder.progress(self.current).checks:
            self._start(self.current)
        self._say_keys()
        try:
            while self.current is not None and self._wait():
                for exercise in COURSE:
                    stamp = self._stamp(exercise)
                    if stamp not in (None, self.saved[exercise.name]):
                        self.saved[exercise.name] = stamp
                        self._start(exercise)
        except KeyboardInterrupt:
            self.session.say("")
        finally:
            self._stop()
        passed = self.session.passed()
        new = ", ".join(name for name in passed if name not in before)
        done = f"{len(passed)} of {len(COURSE)} exercises done"
        self.session.say(f"passed just now: {new}; {done}" if new else done)

    def _stamp(self, exercise: Exercise) -> tuple[int, int] | None:
        """Return when a file was saved, in nanoseconds, and its size; None if it is not there."""
        try:
            status = self.folder.file(exercise).stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size

    def _wait(self) -> bool:
        """Wait a moment for a verdict or for a key; False to end."""
        sources = [self.running[1].sentinel] if self.running else []
        ready, _, _ = select.select([*sources, *[sys.stdin] * self.has_keys], [], [], LOOK_EVERY)
        if self.running and (sources[0] in ready or not self.running[1].seconds_left()):
            self._conclude(*self.running)
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
        self.current = exercise
        self.session.console.clear()
        self.session.say(f"checking {exercise.name}.py ...")
        self.running = exercise, Check(self.session.request(exercise))

    def _stop(self) -> None:
        """End the check that is running."""
        if self.running is not None:
            self.running[1].stop()
            self.running[1].wait()
        self.running = None

    def _conclude(self, exercise: Exercise, check: Check) -> None:
        """Show the verdict of the check that has ended."""
        self.running = None
        verdict = check.wait()
        self.session.conclude(exercise, verdict)
        if verdict.passed:
            self._turn_to_next()
        self._say_keys()

    def _turn_to_next(self) -> None:
        """Name the next exercise, and write its file if there is none."""
        self.current = exercise = self.session.upcoming()
        if exercise is None:
            self.session.say("All exercises are done.", "bold green")
            return
        file = self.folder.file(exercise)
        if not file.exists():
            self.folder.start(exercise, write_stub(exercise, self.folder))
            self.saved[exercise.name] = self._stamp(exercise)
        now = Text.assemble("\nNow: ", (exercise.name, "bold"), f". Open {file} and save it.")
        self.session.console.print(now)

    def _say_keys(self) -> None:
        if self.has_keys and self.current is not None:
            self.session.say("h Enter: a hint   q Enter: quit   save the file: check", "dim")
