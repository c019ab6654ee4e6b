"""Grade many submissions side by side; none can stop another, or change its grade."""

import codecs
import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.progress import track

from manualgrad.errors import UserError
from manualgrad.exercises import gradebook, sandbox
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import PACKAGE, Exercise
from manualgrad.exercises.gradebook import COLUMNS, Grade
from manualgrad.exercises.look import look
from manualgrad.exercises.session import PROGRESS
from manualgrad.exercises.stub import solved
from manualgrad.exercises.verdict import Limits, Request, Verdict
from manualgrad.table import print_table

LARGEST_FILE = 2**20  # bytes
CONFINED = "submissions can write in a scratch folder only, and reach no other process"
EXPOSED = (
    "this system cannot confine them: submissions can write where you can; docs/grading.md has a way out"
)


@dataclass(frozen=True)
class File:
    """What one student handed in for one exercise, as it was when the grading began."""

    submission: str
    exercise: Exercise
    path: Path = Path()
    source: bytes = b""  # in UTF-8
    utf16: bool = False  # whether it came in UTF-16
    attempts: int = 0  # the checks that the student's own record speaks of
    problem: tuple[str, str] | None = None  # a kind and a message, if it cannot be judged at all

    @property
    def key(self) -> tuple[str, str, str]:
        """What names a grade: whose it is, of which exercise, and a digest of what was judged."""
        digest = hashlib.sha256(repr(self.problem).encode() + self.source).hexdigest()[:12]
        return self.submission, self.exercise.name, digest


def grade_class(
    folder: Path, out: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits, force: bool
) -> None:
    """Write the tables of a class; what an earlier grading of the same file knows is not checked again."""
    table, rows, texts = out / "grades.csv", out / "details.csv", out / "feedback"
    if table.exists() and not rows.exists() and not force:
        raise UserError(f"{table} exists; --force replaces it")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = read(folders, chosen)
    if not files:
        raise UserError(f"{folder}: no folder in it has a file with the name of an exercise")
    earlier = gradebook.read_details(rows) if rows.exists() and not force else []
    known = {grade.key: grade for grade in earlier}
    out.mkdir(exist_ok=True)
    print(CONFINED if sandbox.landlock_version() >= 6 else EXPOSED)
    if known:
        print(f"{len(known)} grades of {rows} stand; --force begins anew")
    with rows.open("w", newline="", encoding="utf-8") as file:  # each row as it comes, for a kill on the way
        writer = csv.writer(file)
        writer.writerows([COLUMNS, *map(astuple, earlier)])
        for grade in grade_all([file for file in files if file.key not in known], jobs, limits):
            known[grade.key] = grade
            writer.writerow(astuple(grade))
            file.flush()
    grades = [known[file.key] for file in files]
    gradebook.write_table(rows, [COLUMNS, *map(astuple, grades)])
    gradebook.write_table(table, gradebook.students(grades))
    texts.mkdir(exist_ok=True)
    for name, its in groupby(grades, lambda grade: grade.submission):
        (texts / f"{name}.md").write_text(gradebook.feedback(list(its)), encoding="utf-8")
    print_table(
        f"{len(folders)} submissions", ("exercise", "passed", "mean points", ""), gradebook.summary(grades)
    )
    for grade in grades:
        if grade.look_at:
            print(f"look at {grade.submission}: {grade.exercise}.py {grade.look_at}")
    print(f"a row a student: {table}; a row an exercise: {rows}; to hand back: {texts}")


def grade_submission(
    folder: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits
) -> list[Grade]:
    """Return the grades of one submission, in the exercises' order."""
    files = read([folder], chosen)
    if not files:
        raise UserError(f"{folder}: no file in it has the name of an exercise")
    grades = {grade.key: grade for grade in grade_all(files, jobs, limits)}
    return [grades[file.key] for file in files]


def read(folders: Sequence[Path], chosen: Sequence[Exercise]) -> list[File]:
    """Read what was handed in of the chosen exercises, or of all that anybody has handed in.

    A file may lie at any depth; of several with one name the least deep counts.
    """
    found = {}
    for folder in folders:
        files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
        files.sort(key=lambda file: (len(file.parts), _plain(file) != file.name, file), reverse=True)
        found[folder] = {_plain(file): file for file in files}
    names = {name for files in found.values() for name in files}
    exercises = chosen or [exercise for exercise in COURSE if f"{exercise.name}.py" in names]
    return [_read(folder, exercise, found[folder]) for folder in folders for exercise in exercises]


def _plain(file: Path) -> str:
    """Return a file's name as an exercise's would be: ``Sigmoid (1).PY`` is sigmoid.py."""
    stem = re.sub(r"([ _-]*\(\d+\)|[ _-]+copy)+$", "", file.stem.lower())
    return re.sub(r"[ -]", "_", stem) + file.suffix.lower()


def _read(folder: Path, exercise: Exercise, found: dict[str, Path]) -> File:
    name = os.fsencode(folder.name).decode(errors="backslashreplace")  # that can be printed and written
    path, attempts = found.get(f"{exercise.name}.py"), 0
    if path is None:
        return File(name, exercise, problem=("not-submitted", "It was not handed in."))
    with suppress(OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        attempts = int(json.loads(_begin(found[PROGRESS]))[exercise.name]["checks"])
    try:
        source = _begin(path)
    except OSError as error:
        return File(name, exercise, path, problem=("unreadable", f"{path.name}: {error.strerror}."))
    if len(source) > LARGEST_FILE:
        return File(name, exercise, path, problem=("too-large", f"{path.name} is larger than 1 MB."))
    utf16 = source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # PowerShell's
    if utf16:
        source = source.decode("utf-16", "replace").encode()
    return File(name, exercise, path, source, utf16, attempts)


def _begin(path: Path) -> bytes:
    """Return what a file holds, or enough of it to see that it is too large."""
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)


def grade_all(files: Sequence[File], jobs: int | None, limits: Limits) -> Iterator[Grade]:
    """Grade side by side, and yield the grades; those last whose check lost its server."""
    lost = []
    grade = partial(grade_one, limits, fingerprint(), shortest_passes(files, limits))
    sandbox.adopt_orphans()
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        grades = pool.map(grade, files)
        shown = track(grades, "grading", len(files), console=Console(stderr=True), transient=True)
        for file, its in zip(files, shown, strict=True):
            if its.kind == "lost":
                lost.append(file)
            else:
                yield its
    for file in lost:  # alone, it is found out which of them took the server down
        yield grade(file)


def fingerprint() -> str:
    """Return a digest of the package's own files."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def shortest_passes(files: Sequence[File], limits: Limits) -> dict[str, float]:
    """Return the seconds below which a pass is pointed out: a tenth of what our solution computes."""
    empty = Request(COURSE[0].name, Path("empty.py"), b"", limits)
    start = min(sandbox.check(empty).seconds for _ in range(3))
    shortest = {}
    for exercise in {file.exercise.name: file.exercise for file in files if not file.problem}.values():
        ours = sandbox.check(Request(exercise.name, Path("ours.py"), solved(exercise).encode(), limits))
        if not ours.passed:
            raise UserError(f"our own solution of {exercise.name} does not pass here: {ours.message}")
        shortest[exercise.name] = start + 0.1 * (ours.seconds - start)
    return shortest


def grade_one(limits: Limits, package: str, shortest: dict[str, float], file: File) -> Grade:
    """Check one exercise of one submission; the package's own files have to stay what they were."""
    submission, exercise, digest = file.key
    steps = len(file.exercise.steps)
    handed_in = file.path.name + ", in UTF-16" * file.utf16
    grade = Grade(submission, exercise, 0, steps, attempts=file.attempts, file=handed_in, digest=digest)
    if file.problem is not None:
        kind, message = file.problem
        return replace(grade, kind=kind, message=message, report=message)
    verdict = sandbox.check(Request(exercise, file.path.resolve(), file.source, limits, width=80))
    sandbox.end_orphans()
    if fingerprint() != package:
        changed = (
            f"the package's own files changed while {file.path} was checked, and the grading has stopped"
        )
        raise UserError(f"{changed}: install the package anew, and look at that file")
    looks = [look(file.exercise, file.source)]
    if not 0 <= verdict.steps_done <= steps or verdict.passed != (verdict.steps_done == steps):
        verdict = Verdict(kind="tampered", message=f"{file.path.name} reports points that there are not.")
        looks.append("reports points that there are not")
    if verdict.passed and verdict.seconds < shortest[exercise]:
        looks.append("passed in less than a tenth of the time that a check takes")
    return replace(
        grade,
        points=verdict.steps_done,
        kind=verdict.kind,
        message=" ".join(verdict.message.split()),
        seconds=verdict.seconds,
        look_at="; ".join(filter(None, looks)),
        report="right" if verdict.passed else verdict.report or verdict.message,
    )
