"""Check on every save, and move on when it passes."""

import select
import sys

from rich.text import Text

from manualgrad.exercises import sandbox
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.session import Session


class Watch:
    """The loop of ``watch``."""

    def __init__(self, session: Session) -> None:
        sandbox.start_server()
        self.session = session
        self.current: Exercise | None = None  # what hints are about
        self.saved = {exercise.name: self._stamp(exercise) for exercise in COURSE}
        self.has_keys = sys.stdin.isatty()

    def run(self) -> None:
        """Go on until all exercises are done, or q or Ctrl-C is typed."""
        before = self.session.passed()
        self._turn_to_next()
        try:
            if self.current is not None and self.session.progress(self.current).checks:
                self._check(self.current)
            self._say_keys()
            while self.current is not None and self._wait():
                for exercise in COURSE:
                    while self._is_saved(exercise):
                        self._check(exercise)
        except KeyboardInterrupt:
            self.session.say("")
        passed = self.session.passed()
        new = ", ".join(name for name in passed if name not in before)
        done = f"{len(passed)} of {len(COURSE)} exercises done"
        self.session.say(f"passed just now: {new}; {done}" if new else done)

    def _stamp(self, exercise: Exercise) -> tuple[int, int] | None:
        """Return when a file was saved, in nanoseconds, and its size; None if it is not there."""
        try:
            status = self.session.file(exercise).stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size

    def _is_saved(self, exercise: Exercise) -> bool:
        """Return whether a file was saved since it was checked."""
        return self._stamp(exercise) not in (None, self.saved[exercise.name])

    def _wait(self) -> bool:
        """Wait a moment for a key; False to end."""
        ready, _, _ = select.select([sys.stdin] * self.has_keys, [], [], sandbox.LOOK_EVERY)
        if not ready:
            return True
        typed = sys.stdin.readline().strip().lower()
        if typed == "h" and self.current is not None:
            self.session.hint(self.current)
        self._say_keys()
        return typed != "q"

    def _check(self, exercise: Exercise) -> None:
        """Check what was saved; a check of what was there before another save is given up."""
        self.current, self.saved[exercise.name] = exercise, self._stamp(exercise)
        self.session.console.clear()
        self.session.say(f"checking {exercise.name}.py ...")
        verdict = sandbox.check(self.session.request(exercise), lambda: self._is_saved(exercise))
        if verdict.kind == "given-up":
            return
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
        file = self.session.file(exercise)
        if not file.exists():
            self.session.write(exercise)
            self.saved[exercise.name] = self._stamp(exercise)
        self.session.say(Text.assemble("\nNow: ", (exercise.name, "bold"), f". Open {file} and save it."))

    def _say_keys(self) -> None:
        if self.has_keys and self.current is not None:
            self.session.say("h Enter: a hint   q Enter: quit   save the file: check", "dim")
