"""What a student does with an exercise, in one folder and on one terminal."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from manualgrad.errors import UserError
from manualgrad.exercises import show
from manualgrad.exercises.course import course, find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import Folder, choose_next
from manualgrad.exercises.hints import hints
from manualgrad.exercises.prose import styled, wrap
from manualgrad.exercises.solution import our_solution, their_solution
from manualgrad.exercises.stub import write_stub
from manualgrad.exercises.verdict import Limits, Request, Verdict


@dataclass
class Session:
    """A student's folder, their terminal, and the limits of a check."""

    folder: Folder
    limits: Limits = field(default_factory=Limits)
    console: Console = field(default_factory=Console)

    def upcoming(self) -> Exercise | None:
        """Return the first exercise that has not passed; None if all have."""
        return choose_next(course(), self.folder)

    def choose(self, name: str | None) -> Exercise:
        """Return the exercise of that name, or the next one."""
        if name is not None:
            return find(name)
        upcoming = self.upcoming()
        if upcoming is None:
            raise UserError("all exercises are done; name the one that you mean")
        return upcoming

    def list(self) -> None:
        """Show the exercises: what is done, what is next."""
        show.show_list(self.console, course(), self.folder, self.upcoming())
        self.say_next()

    def start(self, exercise: Exercise) -> None:
        """Write the file to work in."""
        file = self.folder.start(exercise, write_stub(exercise, self.folder))
        self.say(f"{file} is yours: read it, write in it, save it")
        self.say(f"then: {self.folder.command('check', exercise)}")

    def request(self, exercise: Exercise) -> Request:
        """Return what is asked of the checker about the student's file."""
        file = self.folder.need(exercise).resolve()
        console = self.console
        return Request(
            exercise.name, file, file.read_bytes(), self.limits, console.width, console.is_terminal
        )

    def conclude(self, exercise: Exercise, verdict: Verdict) -> None:
        """Show a verdict and remember it."""
        show.show_verdict(self.console, exercise, verdict)
        self.folder.note_check(exercise, verdict.passed, verdict.steps_done)
        if verdict.passed:
            self.say(f"ours beside yours: {self.folder.command('solution', exercise)}")

    def hint(self, exercise: Exercise) -> None:
        """Show one more hint; all of them when there is none left."""
        every = hints(exercise)
        shown = self.folder.progress(exercise).hints
        for index in [shown] if shown < len(every) else range(len(every)):
            self.console.print(Text(f"{exercise.name}, hint {index + 1} of {len(every)}", "bold"))
            self.console.print(styled(wrap(every[index], self.console.width)), soft_wrap=True)
            self.console.print()
        if shown >= len(every):
            self.console.print(Text("There are no more.", "dim"))
        self.folder.note_hint(exercise, min(shown + 1, len(every)))

    def solution(self, exercise: Exercise, force: bool) -> None:
        """Show our solution beside theirs."""
        if not self.folder.progress(exercise).passed and not force:
            raise UserError(f"{exercise.name} has not passed yet; --force shows the solution all the same")
        theirs = ""
        if self.folder.has(exercise):
            text = self.folder.file(exercise).read_text(encoding="utf-8", errors="replace")
            theirs = their_solution(exercise, text)
        show.show_solution(self.console, theirs, our_solution(exercise))

    def reset(self, exercise: Exercise) -> None:
        """Begin anew, with the old file kept under another name."""
        aside = self.folder.set_aside(exercise)
        file = self.folder.start(exercise, write_stub(exercise, self.folder))
        self.say(f"{file} is as it was at the start; yours is kept as {aside}")

    def say_next(self) -> None:
        """Print what to do next."""
        upcoming = self.upcoming()
        if upcoming is None:
            self.say("All exercises are done.")
        else:
            verb = "check" if self.folder.has(upcoming) else "start"
            self.say(f"next: {self.folder.command(verb, upcoming)}")

    def say(self, line: str) -> None:
        """Print a line as it is, also where it is longer than the terminal is wide."""
        self.console.print(Text(line), soft_wrap=True)
