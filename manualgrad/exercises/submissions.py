"""Read what a class has handed in, and point out what a person should look at."""

import ast
import codecs
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from manualgrad.errors import UserError
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import PROGRESS, Folder
from manualgrad.exercises.stub import write_stub

LARGEST_FILE = 2**20  # bytes

MODULES = "ctypes|gc|inspect|os|sys|builtins|importlib|multiprocessing|subprocess|signal"
# What gives a gradient without deriving it, or reaches into the check: a pattern of dotted names, and why.
WATCHED = {
    r"torch\.(autograd\.(grad|backward|functional)|func)\b": "takes autograd's gradient",
    r"torch\.(ops|_C)\b": "calls PyTorch's own operators",
    r"torch\.nn\.functional\b(?!\.one_hot$)": "calls PyTorch's own functions",
    r"manualgrad\b(?!\.exercises\.given\b)": "uses the package's own functions",
    rf"(.*\.)?({MODULES})\b": "reaches into the check",
    r".*\.\w*backward(_\w*)?(\.|$)|(exec|eval)\b": "may not be a derivation of one's own",
}
REASONS = tuple(reversed(WATCHED.items()))  # of several the first is told


@dataclass(frozen=True)
class File:
    """One file that was handed in, as it was when the grading began."""

    path: Path
    source: bytes = b""  # in UTF-8, if it came in UTF-16
    problem: tuple[str, str] | None = None  # a kind and a message, if it cannot be judged at all
    notes: str = ""  # what was unusual about its name or its encoding

    @property
    def digest(self) -> str:
        """What tells two versions of a file apart."""
        return hashlib.sha256(repr(self.problem).encode() + self.source).hexdigest()[:12]


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the file of each exercise, and how often it had been checked."""

    name: str
    files: dict[str, File]
    attempts: int | None


def find_submissions(folder: Path) -> list[Submission]:
    """Read the files that were handed in, sorted by name: each folder in ``folder`` is a submission."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UserError(f"{folder}: no submissions; each has to be a folder with its exercises' files")
    return [read_submission(path) for path in folders]


def read_submission(folder: Path) -> Submission:
    """Read one submission, at any depth; of several files with one name the least deep counts."""
    known = {f"{exercise.name}.py" for exercise in COURSE}
    found = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    found.sort(key=lambda file: (len(file.parts), _plain(file) != file.name, file), reverse=True)
    files = {_plain(file).removesuffix(".py"): _read(file) for file in found if _plain(file) in known}
    records = [_attempts(file) for file in found if file.name == PROGRESS]
    return Submission(folder.name, files, records[-1] if records else None)


def _plain(file: Path) -> str:
    """Return a file's name as an exercise's would be: ``Sigmoid (1).PY`` is sigmoid.py."""
    stem = re.sub(r"([ _-]*\(\d+\)|[ _-]+copy)+$", "", file.stem.lower())
    return re.sub(r"[ -]", "_", stem) + file.suffix.lower()


def _read(file: Path) -> File:
    notes = [] if _plain(file) == file.name else [f"from {file.name}"]
    try:
        if file.stat().st_size > LARGEST_FILE:
            return File(file, problem=("too-large", f"{file.name} is larger than 1 MB."))
        source = file.read_bytes()
    except OSError as error:
        return File(file, problem=("unreadable", f"{file.name}: {error.strerror}."))
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        source = source.decode("utf-16", "replace").encode()
        notes.append("in UTF-16")
    return File(file, source, notes=", ".join(notes))


def _attempts(record: Path) -> int | None:
    """Return how many checks a submission's own record speaks of."""
    try:
        return sum(int(entry["checks"]) for entry in json.loads(record.read_bytes()).values())
    except (ValueError, TypeError, KeyError, AttributeError, OSError):
        return None


def look(exercise: Exercise, source: bytes) -> str:
    """Name the lines that a person should look at: a gradient that was not derived, a way into the check.

    What stands in the stub is not held against the student.
    """
    try:
        names, given = _names(source), _names(write_stub(exercise, Folder()).encode())
    except (SyntaxError, ValueError):
        return ""
    except (RecursionError, MemoryError):
        return "is nested too deeply to be looked through"
    reasons = {name: why for name in names for pattern, why in REASONS if re.match(pattern, name)}
    # What only leads to a longer name that is told, or allowed, is not told itself.
    begun = {name.rpartition(".")[0] for name in names if name in reasons or name.endswith(".one_hot")}
    told = [name for name in names if name in reasons and name not in given and name not in begun]
    return "; ".join(
        f"line {names[name]}: {name} {reasons[name]}" for name in sorted(told, key=names.__getitem__)
    )


def _names(source: bytes) -> dict[str, int]:
    """Return every name that a file imports or reads, in full, with the line that has it first."""
    names: dict[str, int] = {}
    in_full: dict[str, str] = {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                names.setdefault(module + alias.name, node.lineno)
                in_full[alias.asname or alias.name] = module + alias.name
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            first, dot, rest = ast.unparse(node).partition(".")
            names.setdefault(in_full.get(first, first) + dot + rest, node.lineno)
    return names
