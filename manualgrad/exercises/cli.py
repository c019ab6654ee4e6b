"""The command line of the course."""

import argparse
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from manualgrad.errors import UserError
from manualgrad.exercises import grade as grading
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import course, find
from manualgrad.exercises.folder import DEFAULT, Folder
from manualgrad.exercises.session import Session
from manualgrad.exercises.verdict import Limits
from manualgrad.exercises.watch import Watch
from manualgrad.table import print_table


def main(description: str, argv: Sequence[str] | None = None, program: str | None = None) -> int:
    """Do what the command line says.

    Parameters
    ----------
    description : str
        For ``--help``.
    argv : sequence of str, optional
        The arguments; None takes those of the process.
    program : str, optional
        How the command was called, for messages; by default as Python was told to.

    Returns
    -------
    int
        0; 1 if a check finds something wrong or a problem stands in the way; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        With status 2 for a wrong argument.
    """
    parser = _parser(description, program or f"python {sys.argv[0]}")
    options = parser.parse_args(argv)
    if options.do is None:
        parser.error(f"a verb is missing: {', '.join(options.verbs)}")
    try:
        return int(options.do(options) or 0)
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


def _session(options: Namespace) -> Session:
    """Return the student's session; the path of a file names its exercise and its folder."""
    name, folder = getattr(options, "name", None), options.dir
    if name and name.endswith(".py") and Path(name).parent != Path() and folder is None:
        folder = Path(name).parent
    if name:
        options.name = Path(name).name
    return Session(Folder(folder, options.program), _limits(options))


def _limits(options: Namespace) -> Limits:
    seconds = getattr(options, "time_limit", None)
    return Limits() if seconds is None else replace(Limits(), cpu_seconds=seconds, wall_seconds=3 * seconds)


def _list(options: Namespace) -> None:
    _session(options).list()


def _start(options: Namespace) -> None:
    session = _session(options)
    session.start(session.choose(options.name))


def _check(options: Namespace) -> int:
    session = _session(options)
    exercise = session.choose(options.name)
    request = session.request(exercise)
    verdict = Checker().check(request)
    if options.json:
        print(json.dumps({"exercise": exercise.name, "steps": len(exercise.steps)} | asdict(verdict)))
        session.folder.note_check(exercise, verdict.passed, verdict.steps_done)
    else:
        session.conclude(exercise, verdict)
        if verdict.passed:
            session.say_next()
    return 0 if verdict.passed else 1


def _watch(options: Namespace) -> None:
    Watch(_session(options), Checker()).run()


def _hint(options: Namespace) -> None:
    session = _session(options)
    session.hint(session.choose(options.name))


def _solution(options: Namespace) -> None:
    session = _session(options)
    session.solution(session.choose(options.name), options.force)


def _reset(options: Namespace) -> None:
    session = _session(options)
    session.reset(session.choose(options.name))


def _grade(options: Namespace) -> None:
    out: Path = options.out
    if out.exists() and not options.force:
        raise UserError(f"{out} exists; --force replaces it")
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
    header = ("exercise", "passed", "mean points", "")
    print_table(f"{len(submissions)} submissions", header, grading.summarise(grades))
    print(f"one line each: {out}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"exercises: error: {message} (--help lists the options)\n")


def _parser(description: str, program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB")
    parser.set_defaults(do=None, verbs=subparsers.choices, program=program)

    def add(verb: str, do: Callable[[Namespace], int | None], help: str) -> argparse.ArgumentParser:
        added = subparsers.add_parser(verb, help=help, description=help, allow_abbrev=False)
        added.set_defaults(do=do)
        return added

    def add_for_student(
        verb: str, do: Callable[[Namespace], int | None], help: str, name: str = ""
    ) -> argparse.ArgumentParser:
        added = add(verb, do, help)
        added.add_argument("--dir", type=Path, metavar="DIR", help=f"your folder (default: {DEFAULT})")
        if name == "optional":
            text = "an exercise, or its file; without it, the next one"
            added.add_argument("name", metavar="NAME", nargs="?", help=text)
        elif name:
            added.add_argument("name", metavar="NAME", help="an exercise")
        return added

    add_for_student("list", _list, "show the exercises: what is done, what is next")
    add_for_student("start", _start, "write the file to work in", "optional")
    check = add_for_student("check", _check, "say what is right, what is wrong, and why", "optional")
    check.add_argument("--json", action="store_true", help="print the verdict as JSON")
    watch = add_for_student("watch", _watch, "check on every save, and move on when it passes")
    add_for_student("hint", _hint, "show one more hint", "optional")
    solution = add_for_student("solution", _solution, "show our solution beside yours", "required")
    solution.add_argument("--force", action="store_true", help="also before yours has passed")
    add_for_student("reset", _reset, "begin anew; your file is kept under another name", "required")

    grade = add("grade", _grade, "check many submissions, for a teacher")
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="a folder with one folder a submission")
    grade.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="where the grades go")
    grade.add_argument(
        "--exercises", nargs="+", metavar="NAME", help="which to grade (default: all that were handed in)"
    )
    grade.add_argument(
        "--jobs", type=_positive, metavar="N", help="checks at once (default: one a processor)"
    )
    grade.add_argument("--force", action="store_true", help="replace the file of an earlier grading")
    for limited in (check, watch, grade):
        limited.add_argument(
            "--time-limit", type=_positive, metavar="S", help="seconds of computing for a check (default: 10)"
        )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


_positive.__name__ = "int"  # argparse says "invalid int value" by it
