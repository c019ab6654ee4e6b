"""The command line of the course."""

import argparse
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.exercises import formats
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import course, find
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import DEFAULT, Folder
from manualgrad.exercises.grade import Grader
from manualgrad.exercises.gradebook import details, feedback, gradebook, read_details, summarise
from manualgrad.exercises.sandbox import landlock_version
from manualgrad.exercises.session import Session
from manualgrad.exercises.submissions import Submission, find_submissions, read_submission
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
    """Grade one submission for another system, or a class."""
    exercises = [find(name) for name in options.exercises] if options.exercises else course()
    single = options.gradescope or options.classroom50
    if single is None:
        return _grade_class(options, exercises)
    submission = read_submission(options.folder, exercises)
    exercises = exercises if options.exercises else _handed_in([submission], exercises, options.folder)
    grades = list(Grader(exercises, options.jobs, _limits(options)).grade([submission]))
    grades.sort(key=lambda grade: [exercise.name for exercise in exercises].index(grade.exercise))
    write = formats.gradescope if options.gradescope else formats.classroom50
    formats.write_json(single, write(grades))
    return None


def _grade_class(options: Namespace, exercises: Sequence[Exercise]) -> None:
    """Write the tables of a class; what was graded before an interruption is not graded again."""
    out: Path = options.out if options.out.suffix == ".csv" else options.out / "grades.csv"
    rows = out.with_name("details.csv")
    if out.exists() and not rows.exists() and not options.force:
        raise UserError(f"{out} exists; --force replaces it")
    submissions = find_submissions(options.folder, exercises)
    exercises = exercises if options.exercises else _handed_in(submissions, exercises, options.folder)
    known = read_details(rows) if rows.exists() and not options.force else []
    if options.out.suffix != ".csv":
        options.out.mkdir(exist_ok=True)
    confined = "submissions can write in a scratch folder only, and reach no other process"
    exposed = (
        "this system cannot confine them: submissions can write where you can; docs/grading.md has a way out"
    )
    print(confined if landlock_version() >= 6 else exposed)
    if known:
        print(f"{len(known)} grades of {rows} stand; --force begins anew")
    grades = {(grade.submission, grade.exercise): grade for grade in known}
    rows.write_bytes(details(known))  # a folder that cannot be written is found out before the work
    for grade in Grader(exercises, options.jobs, _limits(options)).grade(submissions, known):
        grades[grade.submission, grade.exercise] = grade
        with rows.open("ab") as file:
            file.write(details([grade]).split(b"\r\n", 1)[1])
    ordered = [grades[submission.name, exercise.name] for submission in submissions for exercise in exercises]
    write_atomically(rows, details(ordered))
    write_atomically(out, gradebook(submissions, exercises, ordered))
    folder = out.with_name("feedback")
    folder.mkdir(exist_ok=True)
    for submission in submissions:
        (folder / f"{submission.name}.md").write_text(feedback(submission, ordered), encoding="utf-8")
    header = ("exercise", "passed", "mean points", "")
    print_table(f"{len(submissions)} submissions", header, summarise(ordered))
    for grade in ordered:
        if grade.look_at:
            print(f"look at {grade.submission}: {grade.exercise}.py {grade.look_at}")
    print(f"a row a student: {out}; a row an exercise: {rows}; to hand back: {folder}")


def _handed_in(
    submissions: Sequence[Submission], exercises: Sequence[Exercise], folder: Path
) -> list[Exercise]:
    """Return the exercises that anybody has handed in."""
    names = {name for submission in submissions for name in submission.files}
    found = [exercise for exercise in exercises if exercise.name in names]
    if not found:
        raise UserError(f"{folder}: no file in it has the name of an exercise")
    return found


def _autograder(options: Namespace) -> None:
    exercises = [find(name) for name in options.exercises]
    formats.write_autograder(options.path, exercises)
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
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="has one folder a submission")
    into = grade.add_mutually_exclusive_group(required=True)
    into.add_argument("--out", type=Path, metavar="FOLDER", help="where the tables and the feedback go")
    into.add_argument(
        "--gradescope", type=Path, metavar="FILE", help="FOLDER is one submission; write results.json"
    )
    into.add_argument(
        "--classroom50", type=Path, metavar="FILE", help="FOLDER is one submission; write result.json"
    )
    grade.add_argument(
        "--exercises", nargs="+", metavar="NAME", help="which to grade (default: all that were handed in)"
    )
    grade.add_argument(
        "--jobs", type=_positive, metavar="N", help="checks at once (default: one a processor)"
    )
    grade.add_argument("--force", action="store_true", help="forget an earlier grading")
    autograder = add("autograder", _autograder, "write what a course system runs, for a teacher")
    autograder.add_argument("path", metavar="FILE", type=Path, help=".zip: Gradescope, .py: Classroom 50")
    autograder.add_argument("--exercises", nargs="+", required=True, metavar="NAME", help="which to grade")
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
