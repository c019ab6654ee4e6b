"""The command line of the course: its verbs and their options."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from manualgrad.errors import UserError
from manualgrad.exercises import verbs
from manualgrad.exercises.folder import DEFAULT


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
    parser = _parser(description)
    options = parser.parse_args(argv)
    if options.do is None:
        parser.error(f"a verb is missing: {', '.join(options.verbs)}")
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
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB")
    parser.set_defaults(do=None, verbs=subparsers.choices)

    def add(verb: str, do: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = subparsers.add_parser(verb, help=help, description=help, allow_abbrev=False)
        added.set_defaults(do=do)
        return added

    def add_for_student(
        verb: str, do: Callable[[argparse.Namespace], int], help: str, name: str = ""
    ) -> argparse.ArgumentParser:
        added = add(verb, do, help)
        folder = f"your folder (default: {DEFAULT})"
        added.add_argument("--dir", type=Path, default=DEFAULT, metavar="DIR", help=folder)
        if name == "optional":
            text = "an exercise; without it, the next one"
            added.add_argument("name", metavar="NAME", nargs="?", help=text)
        elif name:
            added.add_argument("name", metavar="NAME", help="an exercise")
        return added

    add_for_student("list", verbs.list_exercises, "show the exercises: what is done, what is next")
    add_for_student("start", verbs.start, "write the file to work in", "optional")
    check = add_for_student("check", verbs.check, "say what is right, what is wrong, and why", "optional")
    watch = add_for_student("watch", verbs.watch, "check on every save, and move on when it passes")
    add_for_student("hint", verbs.hint, "show one more hint", "optional")
    solution = add_for_student("solution", verbs.solution, "show our solution beside yours", "required")
    solution.add_argument("--insist", action="store_true", help="also before yours has passed")
    add_for_student("reset", verbs.reset, "begin anew; your file is kept under another name", "required")

    grade = add("grade", verbs.grade, "check many submissions, for a teacher")
    grade.add_argument("folder", metavar="FOLDER", type=Path, help="a folder with one folder a submission")
    grade.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="a .json goes beside it")
    grade.add_argument(
        "--exercises", nargs="+", metavar="NAME", help="which to grade (default: all that were handed in)"
    )
    grade.add_argument(
        "--jobs", type=_positive, metavar="N", help="checks at once (default: one a processor)"
    )
    grade.add_argument("--force", action="store_true", help="replace the files of an earlier grading")
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
