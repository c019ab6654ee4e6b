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

# What gives a gradient without deriving it, or reaches into the check: (dotted name, why).
WATCHED = (
    ("torch.autograd.grad", "takes autograd's gradient"),
    ("torch.autograd.backward", "takes autograd's gradient"),
    ("torch.autograd.functional", "takes autograd's gradient"),
    ("torch.func", "takes autograd's gradient"),
    ("torch.ops", "calls PyTorch's own operators"),
    ("torch._C", "calls PyTorch's own operators"),
    ("torch.nn.functional", "calls PyTorch's own functions"),
    ("manualgrad", "uses the package's own functions"),
    *((name, "reaches into the check") for name in ("ctypes", "gc", "inspect", "os", "sys", "builtins")),
    *((name, "reaches into the check") for name in ("importlib", "multiprocessing", "subprocess", "signal")),
)


@dataclass(frozen=True)
class File:
    """One file that was handed in, as it was when the grading began.

    Attributes
    ----------
    path : Path
        Where it lies.
    source : bytes
        Its content, in UTF-8 if it came in UTF-16.
    problem : tuple of str
        A kind and a message, if it cannot be judged at all.
    notes : str
        What was unusual about its name or its encoding.
    """

    path: Path
    source: bytes = b""
    problem: tuple[str, str] | None = None
    notes: str = ""

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
    """Read the files that were handed in: each folder in ``folder`` is a submission.

    Parameters
    ----------
    folder : Path
        Of all submissions.
    exercises : sequence of Exercise
        Whose files to look for.

    Returns
    -------
    list of Submission
        Sorted by name.

    Raises
    ------
    UserError
        If there is no such folder, or no submission in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UserError(f"{folder}: no submissions; each has to be a folder with its exercises' files")
    return [read_submission(path, exercises) for path in folders]


def read_submission(folder: Path, exercises: Sequence[Exercise]) -> Submission:
    """Read one submission, at any depth; of several files with one name the least deep counts.

    Parameters
    ----------
    folder : Path
        Its files.
    exercises : sequence of Exercise
        Whose files to look for.

    Returns
    -------
    Submission
        With the files that were found.
    """
    names = {exercise.name for exercise in exercises}
    files: dict[str, File] = {}
    found = sorted(folder.rglob("*"), key=lambda file: (len(file.parts), _plain(file) != file.name, file))
    for file in found:
        name = _plain(file).removesuffix(".py")
        if name in names and _plain(file).endswith(".py") and file.is_file() and not file.is_symlink():
            files.setdefault(name, _read(file))
    return Submission(folder.name, files, _attempts(found))


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


def _attempts(files: Sequence[Path]) -> int | None:
    """Return how many checks a submission's own record speaks of; None without one."""
    for file in files:
        if file.name == PROGRESS and file.is_file() and not file.is_symlink():
            try:
                return sum(int(entry["checks"]) for entry in json.loads(file.read_bytes()).values())
            except (ValueError, TypeError, KeyError, AttributeError, OSError):
                return None
    return None


def look(exercise: Exercise, source: bytes) -> str:
    """Name the lines that a person should look at: a gradient that was not derived, a way into the check.

    Parameters
    ----------
    exercise : Exercise
        Whose own text is not held against the student.
    source : bytes
        The student's file.

    Returns
    -------
    str
        Line numbers with what stands there and why it matters; empty if there is nothing.
    """
    given = {found for _, found, _ in _watched(write_stub(exercise, Folder()).encode())}
    return "; ".join(
        f"line {line}: {found} {why}" for line, found, why in _watched(source) if found not in given
    )


def _watched(source: bytes) -> list[tuple[int, str, str]]:
    """Return the line, the dotted name and the reason of every watched name in a file, each name once."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    aliases: dict[str, str] = {}
    seen: dict[str, tuple[int, str]] = {}

    def note(line: int, name: str) -> None:
        for watched, why in WATCHED:
            if f"{name}.".startswith(f"{watched}.") and not name.startswith("manualgrad.exercises.given"):
                seen.setdefault(name, (line, why))
        calls_backward = "." in name and re.search(r"backward(_|$)", name.rpartition(".")[2])
        if calls_backward or name in ("exec", "eval"):
            seen.setdefault(name, (line, "may not be a derivation of one's own"))

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                aliases[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                note(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                note(node.lineno, f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            first, _, rest = ast.unparse(node).partition(".")
            note(node.lineno, f"{aliases.get(first, first)}.{rest}" if rest else aliases.get(first, first))
    longest = [name for name in seen if not any(other.startswith(f"{name}.") for other in seen)]
    return sorted((seen[name][0], name, seen[name][1]) for name in longest)
