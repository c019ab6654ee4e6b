"""The command line of the course."""

import argparse
import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from manualgrad.errors import UserError
from manualgrad.exercises.course import find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.sandbox import check
from manualgrad.exercises.session import DEFAULT, Session
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


def main(description: str, program: str, argv: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit status."""
    options = _parse(description, program, argv)
    try:
        return _do(options, program)
    except UserError as problem:
        message = str(problem)
    except OSError as problem:  # a full disk, a folder that may not be written
        message = f"{problem.strerror or problem}{f': {problem.filename}' if problem.filename else ''}"
    except KeyboardInterrupt:
        print("exercises: interrupted", file=sys.stderr)
        return 130
    console = Console(stderr=True)
    console.print(Text(f"exercises: error: {message}"), soft_wrap=not console.is_terminal)
    return 1


def _do(options: Namespace, program: str) -> int:
    """Do what one verb is for; 1 if a check finds something wrong."""
    if options.verb in ("grade", "autograder"):
        return _teach(options)
    file, folder = Path(getattr(options, "name", None) or ""), options.dir
    if file.suffix == ".py":  # its path names the exercise and the folder
        options.name = file.name
        if folder is None and (file.is_file() or file.parent != Path()):
            folder = file.parent
    session = Session(folder, program)
    match options.verb:
        case "list":
            session.show(options.all)
        case "watch":
            Watch(session).run()
        case "check":
            return _check(session, session.choose(options.name), options.json)
        case "solution":
            session.solution(session.choose(options.name), options.force)
        case verb:  # start, hint, reset
            getattr(session, verb)(session.choose(options.name))
    return 0


def _check(session: Session, exercise: Exercise, as_json: bool) -> int:
    with session.console.status(f"checking {exercise.name}.py …"):  # on a terminal, while PyTorch loads
        verdict = check(session.request(exercise))
    if as_json:
        print(json.dumps({"exercise": exercise.name, "steps": len(exercise.steps)} | asdict(verdict)))
        session.note_check(exercise, verdict)
    else:
        session.conclude(exercise, verdict)
        if verdict.passed:
            session.say_next()
    return 0 if verdict.passed else 1


def _teach(options: Namespace) -> int:
    """Grade a class, or one submission for another system, or write what that system runs."""
    from manualgrad.exercises import grade, gradebook  # a student's commands do without

    chosen = [find(name) for name in options.exercises or ()]
    if options.verb == "autograder":
        gradebook.write_autograder(options.path, [exercise.name for exercise in chosen])
        return 0
    limits = Limits(cpu_seconds=options.time_limit, wall_seconds=3 * options.time_limit)
    if options.out is not None:
        grade.grade_class(options.folder, options.out, chosen, options.jobs, limits, options.force)
        return 0
    grades = grade.grade_submission(options.folder, chosen, options.jobs, limits)
    results = gradebook.gradescope(grades) if options.gradescope else gradebook.classroom50(grades)
    file: Path = options.gradescope or options.classroom50
    file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"exercises: error: {message} (--help lists the options)\n")


def _parse(description: str, program: str, argv: Sequence[str] | None) -> Namespace:
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
    verbs["list"].add_argument("--all", action="store_true", help="the exercises of every chapter")
    verbs["check"].add_argument("--json", action="store_true", help="print the verdict as JSON")
    verbs["solution"].add_argument("--force", action="store_true", help="also before yours has passed")

    grade = verbs["grade"]
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="has one folder a submission")
    into = grade.add_mutually_exclusive_group(required=True)
    into.add_argument("--out", type=Path, metavar="FOLDER", help="where the tables and the feedback go")
    for system, file in (("--gradescope", "results.json"), ("--classroom50", "result.json")):
        into.add_argument(system, type=Path, metavar="FILE", help=f"FOLDER is one submission; write {file}")
    which = "which to grade (default: all that were handed in)"
    grade.add_argument("--exercises", nargs="+", metavar="NAME", help=which)
    jobs, seconds = (
        "checks at once (default: one a processor)",
        "seconds of computing for a check (default: 10)",
    )
    grade.add_argument("--jobs", type=_positive, metavar="N", help=jobs)
    grade.add_argument("--time-limit", type=_positive, default=10, metavar="S", help=seconds)
    grade.add_argument("--force", action="store_true", help="forget an earlier grading")
    autograder = verbs["autograder"]
    autograder.add_argument("path", metavar="FILE", type=Path, help=".zip: Gradescope, .py: Classroom 50")
    autograder.add_argument("--exercises", nargs="+", required=True, metavar="NAME", help="which to grade")
    options = parser.parse_args(argv)
    if options.verb is None:
        parser.error(f"a verb is missing: {', '.join(VERBS)}")
    return options


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, got {text}")
    return int(text)
