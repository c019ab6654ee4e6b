"""The command line of the course."""

import argparse
import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from manualgrad.errors import UserError
from manualgrad.exercises.checker import check
from manualgrad.exercises.course import find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import DEFAULT, Folder
from manualgrad.exercises.prose import fill
from manualgrad.exercises.session import Session
from manualgrad.exercises.verdict import Limits
from manualgrad.exercises.watch import Watch

VERBS = {
    "list": "show the exercises: what is done, what is next",
    "start": "write the file to work in",
    "check": "say what is right, what is wrong, and why",
    "watch": "check on every save, and move on when it passes",
    "hint": "show one more hint",
    "solution": "show our solution beside yours",
    "reset": "begin anew; your file is kept under another name",
    "grade": "check many submissions, for a teacher",
    "autograder": "write what a course system runs, for a teacher",
}


def main(description: str, argv: Sequence[str] | None = None, program: str | None = None) -> int:
    """Do what the command line says, and return the exit status."""
    parser = _parser(description, program or f"python {sys.argv[0]}")
    options = parser.parse_args(argv, Namespace(program=parser.prog))
    if options.verb is None:
        parser.error(f"a verb is missing: {', '.join(VERBS)}")
    try:
        return _do(options)
    except UserError as problem:
        message = str(problem)
    except OSError as problem:  # a full disk, a folder that may not be written
        message = f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}"
    except KeyboardInterrupt:
        print("exercises: interrupted", file=sys.stderr)
        return 130
    message = f"exercises: error: {message}"
    width = shutil.get_terminal_size().columns
    print(fill(message, width) if sys.stderr.isatty() else message, file=sys.stderr)
    return 1


def _do(options: Namespace) -> int:
    """Do what one verb is for; 1 if a check finds something wrong."""
    if options.verb == "grade":
        return _grade(options)
    if options.verb == "autograder":
        from manualgrad.exercises.gradebook import write_autograder

        write_autograder(options.path, [find(name) for name in options.exercises])
        return 0
    session = _session(options)
    if options.verb == "list":
        session.show(options.all)
    elif options.verb == "watch":
        Watch(session).run()
    elif options.verb == "check":
        return _check(session, session.choose(options.name), options.json)
    elif options.verb == "solution":
        session.solution(session.choose(options.name), options.force)
    else:
        verb = {"start": session.start, "hint": session.hint, "reset": session.reset}[options.verb]
        verb(session.choose(options.name))
    return 0


def _session(options: Namespace) -> Session:
    """Return the student's session; the path of a file names its exercise and its folder."""
    file, folder = Path(getattr(options, "name", None) or ""), options.dir
    if file.suffix == ".py":
        options.name = file.name
        if folder is None and (file.is_file() or file.parent != Path()):
            folder = file.parent
    return Session(Folder(folder, options.program), _limits(options))


def _limits(options: Namespace) -> Limits:
    seconds = getattr(options, "time_limit", None)
    return Limits() if seconds is None else Limits(cpu_seconds=seconds, wall_seconds=3 * seconds)


def _check(session: Session, exercise: Exercise, as_json: bool) -> int:
    with session.console.status(f"checking {exercise.name}.py …"):  # on a terminal, while PyTorch loads
        verdict = check(session.request(exercise))
    if as_json:
        print(json.dumps({"exercise": exercise.name, "steps": len(exercise.steps)} | asdict(verdict)))
        session.folder.note_check(exercise, verdict.passed, verdict.steps_done)
        return 0 if verdict.passed else 1
    session.conclude(exercise, verdict)
    if verdict.passed:
        session.say_next()
    return 0 if verdict.passed else 1


def _grade(options: Namespace) -> int:
    """Grade a class, or one submission for another system."""
    from manualgrad.exercises import grade, gradebook  # a student's commands do without

    chosen, jobs, limits = [find(name) for name in options.exercises or ()], options.jobs, _limits(options)
    if options.out is not None:
        grade.grade_class(options.folder, options.out, chosen, jobs, limits, options.force)
        return 0
    grades = grade.grade_submission(options.folder, chosen, jobs, limits)
    results = gradebook.gradescope(grades) if options.gradescope else gradebook.classroom50(grades)
    file: Path = options.gradescope or options.classroom50
    file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"exercises: error: {message} (--help lists the options)\n")


def _parser(description: str, program: str) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog=program, description=description, formatter_class=raw, allow_abbrev=False)
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    verbs = {
        verb: subparsers.add_parser(verb, help=text, description=text, allow_abbrev=False)
        for verb, text in VERBS.items()
    }
    for verb in ("list", "start", "check", "watch", "hint", "solution", "reset"):
        verbs[verb].add_argument("--dir", type=Path, metavar="DIR", help=f"your folder (default: {DEFAULT})")
    for verb in ("start", "check", "hint"):
        text = "an exercise, or its file; without it, the next one"
        verbs[verb].add_argument("name", metavar="NAME", nargs="?", help=text)
    for verb in ("solution", "reset"):
        verbs[verb].add_argument("name", metavar="NAME", help="an exercise, or its file")
    for verb in ("check", "watch", "grade"):
        text = "seconds of computing for a check (default: 10)"
        verbs[verb].add_argument("--time-limit", type=_positive, metavar="S", help=text)
    verbs["list"].add_argument("--all", action="store_true", help="the exercises of every chapter")
    verbs["check"].add_argument("--json", action="store_true", help="print the verdict as JSON")
    verbs["solution"].add_argument("--force", action="store_true", help="also before yours has passed")

    grade, autograder = verbs["grade"], verbs["autograder"]
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="has one folder a submission")
    into = grade.add_mutually_exclusive_group(required=True)
    into.add_argument("--out", type=Path, metavar="FOLDER", help="where the tables and the feedback go")
    for system, file in (("--gradescope", "results.json"), ("--classroom50", "result.json")):
        into.add_argument(system, type=Path, metavar="FILE", help=f"FOLDER is one submission; write {file}")
    which = "which to grade (default: all that were handed in)"
    grade.add_argument("--exercises", nargs="+", metavar="NAME", help=which)
    at_once = "checks at once (default: one a processor)"
    grade.add_argument("--jobs", type=_positive, metavar="N", help=at_once)
    grade.add_argument("--force", action="store_true", help="forget an earlier grading")
    autograder.add_argument("path", metavar="FILE", type=Path, help=".zip: Gradescope, .py: Classroom 50")
    autograder.add_argument("--exercises", nargs="+", required=True, metavar="NAME", help="which to grade")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, got {text}")
    return int(text)
