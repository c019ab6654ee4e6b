"""The command line of the course."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from manualgrad.errors import UserError
from manualgrad.exercises import show
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import Exercise, course, find
from manualgrad.exercises.folder import DEFAULT, Folder, choose_next
from manualgrad.exercises.hints import hints
from manualgrad.exercises.outcome import Outcome, Request
from manualgrad.exercises.stub import write_stub

PROGRAM = "python experiments/exercises.py"


def main(description: str, argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Parameters
    ----------
    description : str
        For ``--help``.
    argv : sequence of str, optional
        The arguments; None takes those of the process.

    Returns
    -------
    int
        0; 1 if a check finds something wrong or a problem stands in the way; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        With status 2 for a wrong argument.
    """
    options = _parser(description).parse_args(argv)
    try:
        return int(options.do(options))
    except UserError as problem:
        print(f"exercises: error: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:  # a full disk, a folder that may not be written
        where = f": {problem.filename}" if problem.filename else ""
        print(f"exercises: error: {problem.strerror or problem}{where}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("exercises: interrupted", file=sys.stderr)
        return 130


def do_list(options: argparse.Namespace) -> int:
    """Show the exercises."""
    folder, exercises = Folder(options.dir), course()
    upcoming = choose_next(exercises, folder)
    console = Console()
    show.show_list(console, exercises, folder, upcoming)
    if upcoming is not None:
        verb = "check" if folder.has(upcoming) else "start"
        _say(console, f"next: {_command(options)} {verb} {upcoming.name}")
    return 0


def do_start(options: argparse.Namespace) -> int:
    """Write the student's file."""
    folder = Folder(options.dir)
    exercise = _chosen(options, folder)
    file = folder.start(exercise, write_stub(exercise, _command(options)))
    console = Console()
    _say(console, f"{file} is yours: read it, write in it, save it")
    _say(console, f"then: {_command(options)} check {exercise.name}")
    return 0


def do_check(options: argparse.Namespace) -> int:
    """Judge the student's file."""
    folder = Folder(options.dir)
    exercise = _chosen(options, folder)
    folder.need(exercise)
    with Checker() as checker:
        console = Console()
        outcome = check(checker, console, exercise, folder)
    if outcome.passed:
        upcoming = choose_next(course(), folder)
        if upcoming is None:
            _say(console, "that was the last one: all exercises are done")
        else:
            verb = "check" if folder.has(upcoming) else "start"
            _say(console, f"next: {_command(options)} {verb} {upcoming.name}")
    return 0 if outcome.passed else 1


def do_hint(options: argparse.Namespace) -> int:
    """Show one more hint."""
    folder = Folder(options.dir)
    exercise = _chosen(options, folder)
    show_hint(Console(), exercise, folder)
    return 0


def show_hint(console: Console, exercise: Exercise, folder: Folder) -> None:
    """Print one more hint; all of them when there is none left.

    Parameters
    ----------
    console : Console
        Where to.
    exercise : Exercise
        Which one.
    folder : Folder
        Remembers how many were shown.
    """
    every = hints(exercise)
    shown = folder.progress(exercise).hints
    chosen = [shown] if shown < len(every) else range(len(every))
    for index in chosen:
        console.print(Text(f"{exercise.name}, hint {index + 1} of {len(every)}", "bold"))
        console.print(Text(f"{every[index]}\n"))
    if shown >= len(every):
        console.print(Text("There are no more.", "dim"))
    folder.note_hint(exercise, min(shown + 1, len(every)))


def check(checker: Checker, console: Console, exercise: Exercise, folder: Folder) -> Outcome:
    """Judge a file, show the verdict and remember it.

    Parameters
    ----------
    checker : Checker
        Whom to ask.
    console : Console
        Where to show it.
    exercise : Exercise
        Which one.
    folder : Folder
        Where the file is.

    Returns
    -------
    Outcome
        The verdict.
    """
    request = Request(exercise.name, str(folder.need(exercise)), console.width, console.is_terminal)
    outcome = checker.check(request)
    show.show_outcome(console, exercise, outcome)
    folder.note_check(exercise, outcome.passed, outcome.steps_done)
    return outcome


def _chosen(options: argparse.Namespace, folder: Folder) -> Exercise:
    """Return the exercise that was named, or the next one."""
    if options.name is not None:
        return find(options.name)
    upcoming = choose_next(course(), folder)
    if upcoming is None:
        raise UserError("all exercises are done; name the one that you mean")
    return upcoming


def _command(options: argparse.Namespace) -> str:
    """Return what has to be typed before a verb."""
    return PROGRAM


def _say(console: Console, line: str) -> None:
    console.print(Text(line))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def _parser(description: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="exercises",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(
        verb: str, do: Callable[[argparse.Namespace], int], help: str, name: str = ""
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(verb, help=help, description=help, allow_abbrev=False)
        added.set_defaults(do=do)
        added.add_argument(
            "--dir", type=Path, default=DEFAULT, metavar="DIR", help=f"your folder (default: {DEFAULT})"
        )
        if name:
            optional = {"nargs": "?"} if name == "?" else {}
            text = "an exercise; without it, the next one" if optional else "an exercise"
            added.add_argument("name", metavar="NAME", help=text, **optional)  # type: ignore[arg-type]
        return added

    add("list", do_list, "show the exercises: what is done, what is next")
    add("start", do_start, "write the file to work in", "?")
    add("check", do_check, "judge your file: what is right, what is wrong, and why", "?")
    add("hint", do_hint, "show one more hint", "?")
    return parser
