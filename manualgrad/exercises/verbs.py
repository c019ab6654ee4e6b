"""What each verb of the command line does."""

from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from manualgrad.errors import UserError
from manualgrad.exercises import grade as grading
from manualgrad.exercises import show
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import Exercise, course, find
from manualgrad.exercises.folder import Folder, choose_next
from manualgrad.exercises.hints import hints
from manualgrad.exercises.outcome import Outcome, Request
from manualgrad.exercises.solution import our_solution, their_solution
from manualgrad.exercises.stub import write_stub
from manualgrad.exercises.watch import Watch
from manualgrad.table import print_table

PROGRAM = "python experiments/exercises.py"


def list_exercises(options: Namespace) -> int:
    """Show the exercises: what is done, what is next."""
    folder, exercises, console = Folder(options.dir), course(), Console()
    upcoming = choose_next(exercises, folder)
    show.show_list(console, exercises, folder, upcoming)
    _say_next(console, folder, upcoming)
    return 0


def start(options: Namespace) -> int:
    """Write the file to work in."""
    folder = Folder(options.dir)
    exercise = _chosen(options, folder)
    file = folder.start(exercise, write_stub(exercise, PROGRAM, folder.option))
    console = Console()
    _say(console, f"{file} is yours: read it, write in it, save it")
    _say(console, f"then: {PROGRAM} check {exercise.name}{folder.option}")
    return 0


def check(options: Namespace) -> int:
    """Say what is right, what is wrong, and why."""
    folder = Folder(options.dir)
    exercise = _chosen(options, folder)
    folder.need(exercise)
    with Checker() as checker:
        console = Console()
        outcome = _check(checker, console, exercise, folder, options)
    if outcome.passed:
        _say_next(console, folder, choose_next(course(), folder))
    return 0 if outcome.passed else 1


def watch(options: Namespace) -> int:
    """Check on every save, and move on when it passes."""
    folder, console = Folder(options.dir), Console()
    Watch(
        console,
        course(),
        folder,
        start=lambda exercise: folder.start(exercise, write_stub(exercise, PROGRAM, folder.option)),
        check=lambda checker, exercise: _check(checker, console, exercise, folder, options),
        hint=lambda exercise: _hint(console, exercise, folder),
    ).run()
    return 0


def hint(options: Namespace) -> int:
    """Show one more hint."""
    folder = Folder(options.dir)
    _hint(Console(), _chosen(options, folder), folder)
    return 0


def solution(options: Namespace) -> int:
    """Show our solution beside theirs."""
    folder, exercise = Folder(options.dir), find(options.name)
    if not folder.progress(exercise).passed and not options.insist:
        raise UserError(f"{exercise.name} has not passed yet; --insist shows the solution all the same")
    theirs = ""
    if folder.has(exercise):
        text = folder.file(exercise).read_text(encoding="utf-8", errors="replace")
        theirs = their_solution(exercise, text)
    show.show_solution(Console(), theirs, our_solution(exercise))
    return 0


def reset(options: Namespace) -> int:
    """Begin anew, with the old file kept under another name."""
    folder, exercise = Folder(options.dir), find(options.name)
    aside = folder.set_aside(exercise)
    file = folder.start(exercise, write_stub(exercise, PROGRAM, folder.option))
    _say(Console(), f"{file} is as it was at the start; yours is kept as {aside}")
    return 0


def grade(options: Namespace) -> int:
    """Check many submissions, for a teacher."""
    out: Path = options.out
    beside = out.with_suffix(".json")
    if beside == out:
        raise UserError(f"--out {out}: that is for the table; its name must not end in .json")
    for file in (out, beside):
        if file.exists() and not options.force:
            raise UserError(f"{file} exists; --force replaces it")
    exercises = [find(name) for name in options.exercises] if options.exercises else course()
    submissions = grading.find_submissions(options.folder, exercises)
    if not options.exercises:
        handed_in = {name for files in submissions.values() for name in files}
        exercises = [exercise for exercise in exercises if exercise.name in handed_in]
        if not exercises:
            raise UserError(f"{options.folder}: no file in it has the name of an exercise")
    out.touch()  # a folder that cannot be written should not be found out after the work
    grades = grading.grade(submissions, exercises, options.jobs, _limits(options))
    grading.write_csv(out, grades)
    grading.write_json(beside, grades)
    header = ("exercise", "passed", "mean points", "")
    print_table(f"{len(submissions)} submissions", header, grading.summarise(grades))
    print(f"one line each: {out}, with sums: {beside}")
    return 0


def _check(
    checker: Checker, console: Console, exercise: Exercise, folder: Folder, options: Namespace
) -> Outcome:
    file = str(folder.need(exercise).resolve())
    request = Request(exercise.name, file, console.width, console.is_terminal, _limits(options))
    outcome = checker.check(request)
    show.show_outcome(console, exercise, outcome)
    folder.note_check(exercise, outcome.passed, outcome.steps_done)
    return outcome


def _hint(console: Console, exercise: Exercise, folder: Folder) -> None:
    """Show one more hint; all of them when there is none left."""
    every = hints(exercise)
    shown = folder.progress(exercise).hints
    for index in [shown] if shown < len(every) else range(len(every)):
        console.print(Text(f"{exercise.name}, hint {index + 1} of {len(every)}", "bold"))
        console.print(Text(f"{every[index]}\n"))
    if shown >= len(every):
        console.print(Text("There are no more.", "dim"))
    folder.note_hint(exercise, min(shown + 1, len(every)))


def _chosen(options: Namespace, folder: Folder) -> Exercise:
    """Return the exercise that was named, or the next one."""
    if options.name is not None:
        return find(options.name)
    upcoming = choose_next(course(), folder)
    if upcoming is None:
        raise UserError("all exercises are done; name the one that you mean")
    return upcoming


def _limits(options: Namespace) -> dict[str, float]:
    if options.time_limit is None:
        return {}
    return {"cpu_seconds": options.time_limit, "wall_seconds": 3 * options.time_limit}


def _say_next(console: Console, folder: Folder, upcoming: Exercise | None) -> None:
    if upcoming is None:
        _say(console, "All exercises are done.")
        return
    verb = "check" if folder.has(upcoming) else "start"
    _say(console, f"next: {PROGRAM} {verb} {upcoming.name}{folder.option}")


def _say(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)
