"""Read what a class has handed in, and point out what a person should look at."""

import ast
import codecs
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from manualgrad.errors import UserError
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.folder import PROGRESS, Folder
from manualgrad.exercises.stub import write_stub

LARGEST_FILE = 2**20  # bytes

# What gives a gradient without deriving it, or reaches into the check.
WATCHED = {
    "takes autograd's gradient": (
        *("torch.autograd.grad", "torch.autograd.backward", "torch.autograd.functional", "torch.func"),
    ),
    "calls PyTorch's own operators": ("torch.ops", "torch._C"),
    "calls PyTorch's own functions": ("torch.nn.functional",),
    "uses the package's own functions": ("manualgrad",),
    "reaches into the check": (
        *("ctypes", "gc", "inspect", "os", "sys", "builtins"),
        *("importlib", "multiprocessing", "subprocess", "signal"),
    ),
}
ONE_HOT = "torch.nn.functional.one_hot"  # has no gradient to give away


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
        return hashlib.sha256(self.source).hexdigest()[:12]


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the file of each exercise, and how often it had been checked."""

    name: str
    files: dict[str, File] = field(default_factory=dict)
    attempts: int | None = None


def find_submissions(folder: Path, exercises: Sequence[Exercise]) -> list[Submission]:
    """Read the files that were handed in, sorted by name: each folder in ``folder`` is a submission."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UserError(f"{folder}: no submissions; each has to be a folder with its exercises' files")
    return [read_submission(path, exercises) for path in folders]


def read_submission(folder: Path, exercises: Sequence[Exercise]) -> Submission:
    """Read one submission, at any depth; of several files with one name the least deep counts."""
    names = {f"{exercise.name}.py" for exercise in exercises}
    found = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    found.sort(key=lambda file: (len(file.parts), _plain(file) != file.name, file))
    files: dict[str, File] = {}
    for file in found:
        if _plain(file) in names:
            files.setdefault(_plain(file).removesuffix(".py"), _read(file))
    records = (file for file in found if file.name == PROGRESS)
    return Submission(folder.name, files, next(map(_attempts, records), None))


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

    What stands in the exercise's own text is not held against the student.
    """
    given = {found for _, found, _ in _watched(write_stub(exercise, Folder()).encode())}
    found = [f"line {line}: {name} {why}" for line, name, why in _watched(source) if name not in given]
    return "; ".join(found)


def _watched(source: bytes) -> list[tuple[int, str, str]]:
    """Return the line, the dotted name and the reason of every watched name in a file, each name once."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    used: list[tuple[int, str]] = []
    aliases: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                used.append((node.lineno, module + alias.name))
                if module or alias.asname:
                    aliases[alias.asname or alias.name] = module + alias.name
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            first, dot, rest = ast.unparse(node).partition(".")
            used.append((node.lineno, aliases.get(first, first) + dot + rest))
    seen: dict[str, tuple[int, str]] = {}
    for line, name in used:
        if reason := _reason(name):
            seen.setdefault(name, (line, reason))
    longest = [name for name in seen if not any(other.startswith(f"{name}.") for other in seen)]
    return sorted((seen[name][0], name, seen[name][1]) for name in longest if name != ONE_HOT)


def _reason(name: str) -> str:
    """Say why a dotted name is watched; empty if it is not."""
    if not name.startswith("manualgrad.exercises.given"):
        for why, names in WATCHED.items():
            if any(f"{name}.".startswith(f"{watched}.") for watched in names):
                return why
    calls_backward = "." in name and re.search(r"backward(_|$)", name.rpartition(".")[2])
    return "may not be a derivation of one's own" if calls_backward or name in ("exec", "eval") else ""
