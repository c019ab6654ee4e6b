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
from manualgrad.exercises.checker import check
from manualgrad.exercises.course import course, find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import DEFAULT, Folder
from manualgrad.exercises.session import Session
from manualgrad.exercises.verdict import Limits
from manualgrad.exercises.watch import Watch


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
    file, folder = Path(getattr(options, "name", None) or ""), options.dir
    if file.suffix == ".py":
        options.name = file.name
        if folder is None and (file.is_file() or file.parent != Path()):
            folder = file.parent
    return Session(Folder(folder, options.program), _limits(options))


def _limits(options: Namespace) -> Limits:
    seconds = getattr(options, "time_limit", None)
    return Limits() if seconds is None else replace(Limits(), cpu_seconds=seconds, wall_seconds=3 * seconds)


def _list(options: Namespace) -> None:
    _session(options).show(options.all)


def _watch(options: Namespace) -> None:
    Watch(_session(options)).run()


def _check(session: Session, exercise: Exercise, options: Namespace) -> int:
    verdict = check(session.request(exercise))
    if options.json:
        print(json.dumps({"exercise": exercise.name, "steps": len(exercise.steps)} | asdict(verdict)))
        session.folder.note_check(exercise, verdict.passed, verdict.steps_done)
    else:
        session.conclude(exercise, verdict)
        if verdict.passed:
            session.say_next()
    return 0 if verdict.passed else 1


def _grade(options: Namespace) -> None:
    """Grade a class, or one submission for another system."""
    from manualgrad.exercises import grade, gradebook, submissions  # a student's commands do without

    chosen = [find(name) for name in options.exercises or ()]
    if options.out is not None:
        grade.grade_class(options.folder, options.out, chosen, options.jobs, _limits(options), options.force)
        return
    submission = submissions.read_submission(options.folder, chosen or course())
    exercises = chosen or grade.handed_in([submission], options.folder)
    grades = list(grade.Grader(exercises, options.jobs, _limits(options)).grade([submission]))
    grades.sort(key=lambda grade: [exercise.name for exercise in exercises].index(grade.exercise))
    content = (gradebook.gradescope if options.gradescope else gradebook.classroom50)(grades)
    path: Path = options.gradescope or options.classroom50
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _autograder(options: Namespace) -> None:
    from manualgrad.exercises import gradebook

    exercises = [find(name) for name in options.exercises]
    gradebook.write_autograder(options.path, exercises)
    print(f"{options.path} grades {', '.join(exercise.name for exercise in exercises)}")


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
        verb: str, do: Callable[[Namespace], int | None], help: str
    ) -> argparse.ArgumentParser:
        added = add(verb, do, help)
        added.add_argument("--dir", type=Path, metavar="DIR", help=f"your folder (default: {DEFAULT})")
        return added

    def add_for_exercise(
        verb: str, do: Callable[[Session, Exercise, Namespace], int | None], help: str, named: bool = False
    ) -> argparse.ArgumentParser:
        def choose_and_do(options: Namespace) -> int | None:
            session = _session(options)
            return do(session, session.choose(options.name), options)

        added = add_for_student(verb, choose_and_do, help)
        text = "an exercise, or its file" + ("" if named else "; without it, the next one")
        added.add_argument("name", metavar="NAME", nargs=None if named else "?", help=text)
        return added

    listing = add_for_student("list", _list, "show the exercises: what is done, what is next")
    listing.add_argument("--all", action="store_true", help="the exercises of every chapter")
    add_for_exercise(
        "start", lambda session, exercise, _: session.start(exercise), "write the file to work in"
    )
    check = add_for_exercise("check", _check, "say what is right, what is wrong, and why")
    check.add_argument("--json", action="store_true", help="print the verdict as JSON")
    watch = add_for_student("watch", _watch, "check on every save, and move on when it passes")
    add_for_exercise("hint", lambda session, exercise, _: session.hint(exercise), "show one more hint")
    solution = add_for_exercise(
        "solution",
        lambda session, exercise, options: session.solution(exercise, options.force),
        "show our solution beside yours",
        named=True,
    )
    solution.add_argument("--force", action="store_true", help="also before yours has passed")
    add_for_exercise(
        "reset",
        lambda session, exercise, _: session.reset(exercise),
        "begin anew; your file is kept under another name",
        named=True,
    )

    grade = add("grade", _grade, "check many submissions, for a teacher")
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="has one folder a submission")
    into = grade.add_mutually_exclusive_group(required=True)
    into.add_argument("--out", type=Path, metavar="FOLDER", help="where the tables and the feedback go")
    for system, file in (("--gradescope", "results.json"), ("--classroom50", "result.json")):
        into.add_argument(system, type=Path, metavar="FILE", help=f"FOLDER is one submission; write {file}")
    which = "which to grade (default: all that were handed in)"
    grade.add_argument("--exercises", nargs="+", metavar="NAME", help=which)
    grade.add_argument(
        "--jobs", type=_positive, metavar="N", help="checks at once (default: one a processor)"
    )
    grade.add_argument("--force", action="store_true", help="forget an earlier grading")
    autograder = add("autograder", _autograder, "write what a course system runs, for a teacher")
    autograder.add_argument("path", metavar="FILE", type=Path, help=".zip: Gradescope, .py: Classroom 50")
    autograder.add_argument("--exercises", nargs="+", required=True, metavar="NAME", help="which to grade")
    seconds = "seconds of computing for a check (default: 10)"
    for limited in (check, watch, grade):
        limited.add_argument("--time-limit", type=_positive, metavar="S", help=seconds)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


_positive.__name__ = "int"  # argparse says "invalid int value" by it
