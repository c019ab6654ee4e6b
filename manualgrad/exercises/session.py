"""What a student does in one folder and on one terminal; no file of theirs is ever overwritten."""

import json
import shlex
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.exercises import stub
from manualgrad.exercises.course import CHAPTERS, COURSE, find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.verdict import Request, Verdict

DEFAULT = Path("my-backwards")
PROGRESS = "progress.json"
MOST_PRINTED_LINES = 12


@dataclass(frozen=True)
class Progress:
    """How far one exercise has come: when it first passed, and what its latest check and hints were."""

    passed: str = ""
    checks: int = 0
    hints: int = 0
    steps_done: int = 0


class Session:
    """A folder of a student's own, the current one if it is one already, and their terminal."""

    def __init__(self, path: Path | None = None, program: str = stub.PROGRAM) -> None:
        self.usual = Path() if Path(PROGRESS).is_file() else DEFAULT
        self.path = self.usual if path is None else path
        self.program = program
        self.console = Console()

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

    def write(self, exercise: Exercise) -> Path:
        """Write the file that the student begins with, unless there is one, and return it."""
        file = self.file(exercise)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="utf-8") as new:
                new.write(stub.write_stub(exercise, self.command))
        except FileExistsError:
            reset = self.command("reset", exercise)
            raise UserError(f"{file} is there already and is left as it is; `{reset}` begins anew") from None
        self.note(exercise)
        return file

    def read(self) -> dict[str, Progress]:
        """Return how far each exercise has come that was begun."""
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

    def progress(self, exercise: Exercise) -> Progress:
        """Return how far an exercise has come."""
        return self.read().get(exercise.name, Progress())

    def note(self, exercise: Exercise, **changes: Any) -> None:
        """Remember how far an exercise has come, beside what another terminal has written meanwhile."""
        progress = self.read() | {exercise.name: replace(self.progress(exercise), **changes)}
        self.path.mkdir(parents=True, exist_ok=True)
        content = json.dumps({name: asdict(entry) for name, entry in progress.items()}, indent=2)
        write_atomically(self.path / PROGRESS, f"{content}\n".encode())

    def note_check(self, exercise: Exercise, verdict: Verdict) -> None:
        """Remember a check. What has passed once stays passed until it is reset."""
        before = self.progress(exercise)
        date = before.passed or (time.strftime("%Y-%m-%d %H:%M") if verdict.passed else "")
        self.note(exercise, passed=date, checks=before.checks + 1, steps_done=verdict.steps_done)

    def passed(self) -> list[str]:
        """Return the names of the exercises that have passed, in the course's order."""
        progress = self.read()
        return [one.name for one in COURSE if one.name in progress and progress[one.name].passed]

    def upcoming(self) -> Exercise | None:
        """Return the first exercise that has not passed; None if all have."""
        passed = self.passed()
        return next((exercise for exercise in COURSE if exercise.name not in passed), None)

    def choose(self, name: str | None) -> Exercise:
        """Return the exercise of that name, or the next one."""
        exercise = self.upcoming() if name is None else find(name)
        if exercise is None:
            raise UserError("all exercises are done; name the one that you mean")
        return exercise

    def show(self, every: bool) -> None:
        """Show the chapters, what is done and what is next; the exercises of the current one, or of all."""
        passed, upcoming = self.passed(), self.upcoming()
        for title, exercises in CHAPTERS.items():
            done = sum(exercise.name in passed for exercise in exercises)
            shown = every or upcoming in exercises
            mark = "✓" if done == len(exercises) else "→" if upcoming in exercises else " "
            self.say(f"{mark} {title}: {done} of {len(exercises)}", "bold" if shown else "")
            table = Table.grid(padding=(0, 2, 0, 0))
            for exercise in exercises if shown else ():
                mark = "✓" if exercise.name in passed else "→" if exercise == upcoming else " "
                state = self._state(exercise)
                style = {"✓": "green", "→": "bold"}.get(mark, "" if state else "dim")
                table.add_row(f"  {mark} {exercise.name}", state + exercise.title.rstrip("."), style=style)
            if shown:
                self.console.print(table)
        self.say(f"\n{len(passed)} of {len(COURSE)} done, in {self.path}")
        if not every:
            self.say("`list --all` shows the exercises of every chapter", "dim")
        self.say_next()

    def _state(self, exercise: Exercise) -> str:
        """Say how far an exercise has come, as a sentence; nothing if it was not started."""
        progress, steps = self.progress(exercise), len(exercise.steps)
        if progress.passed:
            return "Done. "
        if not self.file(exercise).is_file():
            return ""
        state = f"{progress.steps_done} of {steps} steps" if steps > 1 else "Started"
        return state + f", hints: {progress.hints}" * (progress.hints > 0) + ". "

    def start(self, exercise: Exercise) -> None:
        """Write the file to work in."""
        file = self.write(exercise)
        self.say(f"{file} is yours: read it, write in it, save it")
        self.say(f"then: {self.command('check', exercise)}")

    def request(self, exercise: Exercise) -> Request:
        """Return what is asked of the checker about the student's file."""
        file, console = self.need(exercise).resolve(), self.console
        source = file.read_bytes()
        return Request(exercise.name, file, source, width=console.width, colour=console.is_terminal)

    def conclude(self, exercise: Exercise, verdict: Verdict) -> None:
        """Remember a verdict, and show it."""
        self.note_check(exercise, verdict)
        show_verdict(self.console, exercise, verdict)
        if verdict.passed:
            self.say(f"ours beside yours: {self.command('solution', exercise)}")

    def hint(self, exercise: Exercise) -> None:
        """Show one more hint; all of them when there is none left."""
        every, progress, steps = stub.hints(exercise), self.progress(exercise), exercise.steps
        if len(steps) > 1 and progress.steps_done < len(steps):
            step = steps[progress.steps_done].title
            self.say(f"you are at step {progress.steps_done + 1} of {len(steps)}: {step}", "dim")
        shown = range(progress.hints, len(every))[:1]
        if not shown:
            self.say("There are no more. Here are all of them again.", "dim")
        for index in shown or range(len(every)):
            self.say(f"{exercise.name}, hint {index + 1} of {len(every)}", "bold")
            self.say(stub.styled(stub.wrap(every[index], self.console.width)))
            self.say("")
        self.note(exercise, hints=min(progress.hints + 1, len(every)))

    def solution(self, exercise: Exercise, force: bool) -> None:
        """Show our solution beside theirs."""
        if not self.progress(exercise).passed and not force:
            raise UserError(f"{exercise.name} has not passed yet; --force shows the solution all the same")
        codes, file = {"ours": stub.our_solution(exercise)}, self.file(exercise)
        if file.is_file():
            codes = {"yours": stub.their_solution(exercise, file.read_text("utf-8", "replace")), **codes}
        for title, code in codes.items():
            self.console.rule(title, style="dim")
            code = stub.fit(code, self.console.width)
            self.say(Syntax(code, "python", background_color="default").highlight(code))

    def reset(self, exercise: Exercise) -> None:
        """Begin anew, with the old file kept under another name."""
        file, number = self.need(exercise), 1
        while (aside := file.with_name(f"{exercise.name}.old-{number}.py")).exists():
            number += 1
        file.rename(aside)
        self.note(exercise, **asdict(Progress()))
        self.write(exercise)
        self.say(f"{file} is as it was at the start")
        self.say(f"yours is kept as {aside}")

    def say_next(self) -> None:
        """Print what to do next."""
        upcoming = self.upcoming()
        if upcoming is None:
            self.say("All exercises are done.")
        else:
            verb = "check" if self.file(upcoming).is_file() else "start"
            self.say(f"next: {self.command(verb, upcoming)}")

    def say(self, text: str | Text, style: str = "") -> None:
        """Print a text as it is; a line that is too long is the terminal's to break."""
        self.console.print(Text(text, style) if isinstance(text, str) else text, soft_wrap=True)


def show_verdict(console: Console, exercise: Exercise, verdict: Verdict) -> None:
    """Print a verdict: what the code printed, the table, and what is wrong."""
    printed = verdict.printed.splitlines()
    if printed:
        console.print(Text("Your code printed:", "dim"))
        for line in [*printed[:MOST_PRINTED_LINES], *["… and more"][: len(printed) > MOST_PRINTED_LINES]]:
            console.print(Text(f"  {line}"))
    steps, several = len(exercise.steps), len(exercise.steps) > 1
    if verdict.passed:
        every = f", all {steps} steps" if several else ""
        right = (f"✓ {exercise.name} is right", "bold green")
        console.print(Text.assemble(right, f"{every}  ({verdict.seconds:.1f} s)"))
    else:
        done = f"  {verdict.steps_done} of {steps} steps right" if several else ""
        now = f"{'; now:' if several else ' '} {verdict.step}" if verdict.step else ""
        console.print(Text.assemble((f"✗ {exercise.name}", "bold red"), done, now))
    if verdict.report:
        console.print(Text.from_ansi(verdict.report))
    elif not verdict.passed:
        console.print(Text.assemble((verdict.kind, "bold red"), f": {verdict.message}"))
