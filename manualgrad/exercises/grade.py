"""Grade many submissions side by side. One bad submission never stops the others."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from manualgrad.errors import UserError
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.course import Exercise
from manualgrad.exercises.verdict import Limits, Request
from manualgrad.progress import track

LARGEST_FILE = 2**20  # bytes


@dataclass(frozen=True)
class Grade:
    """One exercise of one submission.

    Attributes
    ----------
    submission, exercise : str
        Whose, and which.
    passed : bool
        Whether all of it is right.
    points, out_of : int
        One for each step that is right.
    kind, message : str
        The first finding; empty if it passed.
    seconds : float
        How long the check took.
    """

    submission: str
    exercise: str
    passed: bool
    points: int
    out_of: int
    kind: str
    message: str
    seconds: float


def find_submissions(folder: Path, exercises: Sequence[Exercise]) -> dict[str, dict[str, Path]]:
    """Find the files that were handed in: each folder in ``folder`` is a submission.

    Parameters
    ----------
    folder : Path
        Of all submissions.
    exercises : sequence of Exercise
        Whose files to look for, at any depth; of several with one name the least deep counts.

    Returns
    -------
    dict
        Per submission, sorted by name, the file of each exercise that it holds.

    Raises
    ------
    UserError
        If there is no such folder, or no submission in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    names = {exercise.name for exercise in exercises}
    submissions = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files: dict[str, Path] = {}
        for file in sorted(path.rglob("*.py"), key=lambda file: (len(file.parts), file)):
            if file.stem in names and file.is_file() and not file.is_symlink():
                files.setdefault(file.stem, file)
        submissions[path.name] = files
    if not submissions:
        raise UserError(f"{folder}: no submissions; each has to be a folder with its exercises' files")
    return submissions


def grade(
    submissions: dict[str, dict[str, Path]],
    exercises: Sequence[Exercise],
    jobs: int | None = None,
    limits: Limits | None = None,
) -> list[Grade]:
    """Check every exercise of every submission, with a progress bar.

    Parameters
    ----------
    submissions : dict
        As ``find_submissions`` returns them.
    exercises : sequence of Exercise
        Which to grade.
    jobs : int, optional
        How many checks to run at once; by default one for each processor.
    limits : Limits, optional
        What a check may use.

    Returns
    -------
    list of Grade
        By submission, then in the order of the exercises, whatever was ready first.
    """
    limits, checker = limits or Limits(), Checker()

    def grade_one(submission: str, exercise: Exercise) -> Grade:
        file = submissions[submission].get(exercise.name)
        if file is None:
            return _refused(submission, exercise, "not-submitted", f"{exercise.name}.py was not handed in.")
        try:
            if file.stat().st_size > LARGEST_FILE:
                return _refused(submission, exercise, "too-large", f"{exercise.name}.py is larger than 1 MB.")
            source = file.read_bytes()
        except OSError as error:
            return _refused(submission, exercise, "unreadable", f"{exercise.name}.py: {error.strerror}.")
        verdict = checker.check(Request(exercise.name, file.resolve(), source, limits))
        return Grade(
            submission,
            exercise.name,
            verdict.passed,
            verdict.steps_done,
            len(exercise.steps),
            verdict.kind,
            " ".join(verdict.message.split()),
            verdict.seconds,
        )

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        waiting = [pool.submit(grade_one, name, exercise) for name in submissions for exercise in exercises]
        try:
            return [future.result() for future in track(waiting, "grading")]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _refused(submission: str, exercise: Exercise, kind: str, message: str) -> Grade:
    return Grade(submission, exercise.name, False, 0, len(exercise.steps), kind, message, 0.0)


def write_csv(path: Path, grades: Sequence[Grade]) -> None:
    """Write a line for each grade.

    Parameters
    ----------
    path : Path
        Where to.
    grades : sequence of Grade
        In order.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Grade.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(grade) for grade in grades)


def summarise(grades: Sequence[Grade]) -> list[tuple[str, str, str, str]]:
    """Return for each exercise how many passed, and what the others' findings mostly were.

    Parameters
    ----------
    grades : sequence of Grade
        Of all submissions.

    Returns
    -------
    list of (str, str, str, str)
        Exercise, number passed, mean points, and the three most frequent kinds with their numbers.
    """
    rows = []
    for name in dict.fromkeys(grade.exercise for grade in grades):
        its = [grade for grade in grades if grade.exercise == name]
        kinds = Counter(grade.kind for grade in its if not grade.passed).most_common(3)
        points = f"{sum(grade.points for grade in its) / len(its):.2f} of {its[0].out_of}"
        passed = f"{sum(grade.passed for grade in its)} of {len(its)}"
        rows.append((name, passed, points, ", ".join(f"{kind} {count}" for kind, count in kinds)))
    return rows
