"""Read what a class has handed in, and point out what a person should look at."""

import ast
import codecs
import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from manualgrad.errors import UserError
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import PROGRESS, Folder
from manualgrad.exercises.stub import write_stub

LARGEST_FILE = 2**20  # bytes

MODULES = "ctypes|gc|inspect|os|sys|builtins|importlib|multiprocessing|subprocess|signal"
HIDDEN = "exec|eval|getattr|globals|vars|__import__"
# What gives a gradient without deriving it, or reaches into the check: a pattern of dotted names, and why.
WATCHED = {
    r".*\.\w*backward(_\w*)?(\.|$)": "may not be a derivation of one's own",
    rf"(.*\.)?({MODULES})\b|({HIDDEN})\b|.*\.__\w+__": "reaches into the check",
    r"manualgrad\b(?!\.exercises\.given\b)": "uses the package's own functions",
    r"torch\.nn\.functional\b(?!\.one_hot$)": "calls PyTorch's own functions",
    r"torch\.(ops|_C)\b": "calls PyTorch's own operators",
    r"torch\.(autograd\.(grad|backward|functional)|func)\b": "takes autograd's gradient",
}


@dataclass(frozen=True)
class File:
    """One file that was handed in, as it was when the grading began."""

    path: Path
    source: bytes = b""
    problem: tuple[str, str] | None = None  # a kind and a message, if it cannot be judged at all

    @property
    def digest(self) -> str:
        """What tells two versions of a file apart."""
        return hashlib.sha256(repr(self.problem).encode() + self.source).hexdigest()[:12]


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the file of each exercise, and how often they had been checked."""

    name: str
    files: dict[str, File]
    attempts: int | None  # the checks that the student's own record speaks of


def read_class(folder: Path) -> list[Submission]:
    """Read the files that were handed in, sorted by name: each folder in ``folder`` is a submission."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UserError(f"{folder}: no submissions; each has to be a folder with its exercises' files")
    return [read_submission(path) for path in folders]


def read_submission(folder: Path) -> Submission:
    """Read one submission, at any depth; of several files with one name the least deep counts."""
    known = {exercise.name for exercise in COURSE}
    found = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    found.sort(key=lambda file: (len(file.parts), _exercise(file) != file.stem, file), reverse=True)
    files = {_exercise(file): _read(file) for file in found if _exercise(file) in known}
    name = os.fsencode(folder.name).decode(errors="backslashreplace")  # that can be printed and written
    attempts = None
    for record in (file for file in found if file.name == PROGRESS):
        with suppress(ValueError, TypeError, KeyError, AttributeError, OSError):
            attempts = sum(int(entry["checks"]) for entry in json.loads(record.read_bytes()).values())
    return Submission(name, files, attempts)


def _exercise(file: Path) -> str:
    """Return the exercise that a file's name says: ``Sigmoid (1).PY`` is of sigmoid."""
    if file.suffix.lower() != ".py":
        return ""
    return re.sub(r"[ -]", "_", re.sub(r"([ _-]*\(\d+\)|[ _-]+copy)+$", "", file.stem.lower()))


def _read(file: Path) -> File:
    try:
        source = file.read_bytes()
    except OSError as error:
        return File(file, problem=("unreadable", f"{file.name}: {error.strerror}."))
    if len(source) > LARGEST_FILE:
        return File(file, problem=("too-large", f"{file.name} is larger than 1 MB."))
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's
        source = source.decode("utf-16", "replace").encode()
    return File(file, source)


def look(exercise: Exercise, source: bytes) -> str:
    """Name the lines that a person should look at: a gradient that was not derived, a way into the check.

    What stands in the stub is not held against the student.
    """
    try:
        names = _names(source)
    except (SyntaxError, ValueError):
        return ""
    except (RecursionError, MemoryError):
        return "is nested too deeply to be looked through"
    given = _names(write_stub(exercise, Folder()).encode())
    told = []
    for name, line in sorted(names.items(), key=lambda item: item[1]):
        reasons = [why for pattern, why in WATCHED.items() if re.match(pattern, name)]
        if reasons and name not in given:
            told.append(f"line {line}: {name} {reasons[-1]}")
    return "; ".join(told)


def _names(source: bytes) -> dict[str, int]:
    """Return every dotted name that a file reads, in full, with the line that has it first."""
    names: dict[str, int] = {}
    in_full: dict[str, str] = {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                in_full[alias.asname or alias.name] = module + alias.name
                if alias.name == "*":  # whatever of it is read, cannot be told
                    names.setdefault(module + alias.name, node.lineno)
    begins = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in begins:
            first, dot, rest = ast.unparse(node).partition(".")
            names.setdefault(in_full.get(first, first) + dot + rest, node.lineno)
    return names
