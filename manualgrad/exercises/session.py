"""What a student does with an exercise, in one folder and on one terminal."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from manualgrad.errors import UserError
from manualgrad.exercises.course import CHAPTERS, COURSE, find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.prose import hints, styled, wrap
from manualgrad.exercises.stub import our_solution, their_solution, write_stub
from manualgrad.exercises.verdict import Request, Verdict

MOST_PRINTED_LINES = 12


@dataclass
class Session:
    """A student's folder, and their terminal."""

    folder: Folder
    console: Console = field(default_factory=Console)

    def choose(self, name: str | None) -> Exercise:
        """Return the exercise of that name, or the next one."""
        exercise = self.folder.upcoming() if name is None else find(name)
        if exercise is None:
            raise UserError("all exercises are done; name the one that you mean")
        return exercise

    def show(self, every: bool) -> None:
        """Show the chapters, what is done and what is next; the exercises of the current one, or of all."""
        passed, upcoming = self.folder.passed(), self.folder.upcoming()
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
        self.say(f"\n{len(passed)} of {len(COURSE)} done, in {self.folder.path}")
        if not every:
            self.say("`list --all` shows the exercises of every chapter", "dim")
        self.say_next()

    def _state(self, exercise: Exercise) -> str:
        """Say how far an exercise has come, as a sentence; nothing if it was not started."""
        progress, steps = self.folder.progress(exercise), len(exercise.steps)
        if progress.passed:
            return "Done. "
        if not self.folder.file(exercise).is_file():
            return ""
        state = f"{progress.steps_done} of {steps} steps" if steps > 1 else "Started"
        return state + f", hints: {progress.hints}" * (progress.hints > 0) + ". "

    def start(self, exercise: Exercise) -> None:
        """Write the file to work in."""
        file = self.folder.start(exercise, write_stub(exercise, self.folder))
        self.say(f"{file} is yours: read it, write in it, save it")
        self.say(f"then: {self.folder.command('check', exercise)}")

    def request(self, exercise: Exercise) -> Request:
        """Return what is asked of the checker about the student's file."""
        file, console = self.folder.need(exercise).resolve(), self.console
        source = file.read_bytes()
        return Request(exercise.name, file, source, width=console.width, colour=console.is_terminal)

    def conclude(self, exercise: Exercise, verdict: Verdict) -> None:
        """Remember a verdict, and show it."""
        self.folder.note_check(exercise, verdict.passed, verdict.steps_done)
        show_verdict(self.console, exercise, verdict)
        if verdict.passed:
            self.say(f"ours beside yours: {self.folder.command('solution', exercise)}")

    def hint(self, exercise: Exercise) -> None:
        """Show one more hint; all of them when there is none left."""
        every, progress, steps = hints(exercise), self.folder.progress(exercise), exercise.steps
        if len(steps) > 1 and progress.steps_done < len(steps):
            step = steps[progress.steps_done].title
            self.say(f"you are at step {progress.steps_done + 1} of {len(steps)}: {step}", "dim")
        shown = range(progress.hints, len(every))[:1]
        if not shown:
            self.say("There are no more. Here are all of them again.", "dim")
        for index in shown or range(len(every)):
            self.say(f"{exercise.name}, hint {index + 1} of {len(every)}", "bold")
            self.say(styled(wrap(every[index], self.console.width)))
            self.say("")
        self.folder.note(exercise, hints=min(progress.hints + 1, len(every)))

    def solution(self, exercise: Exercise, force: bool) -> None:
        """Show our solution beside theirs."""
        if not self.folder.progress(exercise).passed and not force:
            raise UserError(f"{exercise.name} has not passed yet; --force shows the solution all the same")
        codes, file = {"ours": our_solution(exercise)}, self.folder.file(exercise)
        if file.is_file():
            codes = {"yours": their_solution(exercise, file.read_text("utf-8", "replace")), **codes}
        for title, code in codes.items():
            self.console.rule(title, style="dim")
            self.say(Syntax(code, "python", background_color="default").highlight(code))

    def reset(self, exercise: Exercise) -> None:
        """Begin anew, with the old file kept under another name."""
        aside = self.folder.set_aside(exercise)
        file = self.folder.start(exercise, write_stub(exercise, self.folder))
        self.say(f"{file} is as it was at the start")
        self.say(f"yours is kept as {aside}")

    def say_next(self) -> None:
        """Print what to do next."""
        upcoming = self.folder.upcoming()
        if upcoming is None:
            self.say("All exercises are done.")
        else:
            verb = "check" if self.folder.file(upcoming).is_file() else "start"
            self.say(f"next: {self.folder.command(verb, upcoming)}")

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
