"""The student's folder: their files, and how far they have come. Nothing in it is ever overwritten."""

import json
import shlex
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import Exercise

DEFAULT = Path("my-backwards")
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far one exercise has come: when it first passed, and what its latest check and hints were."""

    passed: str = ""
    checks: int = 0
    hints: int = 0
    steps_done: int = 0


class Folder:
    """A folder of a student's own: the current one if it is one already, else ``my-backwards``."""

    def __init__(self, path: Path | None = None, program: str = "python -m manualgrad.exercises") -> None:
        self.usual = Path() if Path(PROGRESS).is_file() else DEFAULT
        self.path = self.usual if path is None else path
        self.program = program

    def command(self, verb: str, exercise: Exercise) -> str:
        """Return what has to be typed for a verb."""
        option = "" if self.path == self.usual else f" --dir {shlex.quote(str(self.path))}"
        return f"{self.program} {verb} {exercise.name}{option}"

    def file(self, exercise: Exercise) -> Path:
        """Return where the student's file for an exercise is, or would be."""
        return self.path / f"{exercise.name}.py"

    def need(self, exercise: Exercise) -> Path:
        """Return the student's file, which has to be there."""
        file = self.file(exercise)
        if not file.is_file():
            raise UserError(f"{file}: no such file; `{self.command('start', exercise)}` writes it")
        return file

    def start(self, exercise: Exercise, text: str) -> Path:
        """Write the file that the student begins with, unless there is one, and return it."""
        file = self.file(exercise)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="utf-8") as new:
                new.write(text)
        except FileExistsError:
            reset = self.command("reset", exercise)
            raise UserError(f"{file} is there already and is left as it is; `{reset}` begins anew") from None
        self.note(exercise)
        return file

    def set_aside(self, exercise: Exercise) -> Path:
        """Rename the student's file, forget its progress, and return the new name."""
        file = self.need(exercise)
        number = 1
        while (aside := file.with_name(f"{exercise.name}.old-{number}.py")).exists():
            number += 1
        file.rename(aside)
        self.note(exercise, **asdict(Progress()))
        return aside

    def passed(self) -> list[str]:
        """Return the names of the exercises that have passed, in the course's order."""
        progress = self._read()
        return [one.name for one in COURSE if one.name in progress and progress[one.name].passed]

    def upcoming(self) -> Exercise | None:
        """Return the first exercise that has not passed; None if all have."""
        passed = self.passed()
        return next((exercise for exercise in COURSE if exercise.name not in passed), None)

    def progress(self, exercise: Exercise) -> Progress:
        """Return how far an exercise has come."""
        return self._read().get(exercise.name, Progress())

    def note_check(self, exercise: Exercise, passed: bool, steps_done: int) -> None:
        """Remember a check. What has passed once stays passed until it is reset."""
        before = self.progress(exercise)
        date = before.passed or (time.strftime("%Y-%m-%d %H:%M") if passed else "")
        self.note(exercise, passed=date, checks=before.checks + 1, steps_done=steps_done)

    def note(self, exercise: Exercise, **changes: Any) -> None:
        """Remember how far an exercise has come, beside what another terminal has written meanwhile."""
        progress = self._read() | {exercise.name: replace(self.progress(exercise), **changes)}
        self.path.mkdir(parents=True, exist_ok=True)
        content = json.dumps({name: asdict(entry) for name, entry in progress.items()}, indent=2)
        write_atomically(self.path / PROGRESS, f"{content}\n".encode())

    def _read(self) -> dict[str, Progress]:
        file = self.path / PROGRESS
        if not file.exists():
            return {}
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return {name: Progress(**fields) for name, fields in content.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"{file} cannot be read ({error}); mend it, or move it away to count anew"
            ) from None
