"""The tables and texts of a grading: a row an exercise, a row a student, and what to hand back."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.submissions import Submission


@dataclass(frozen=True)
class Grade:
    """One exercise of one submission: a row of ``details.csv``.

    Attributes
    ----------
    submission, exercise : str
        Whose, and which.
    points, out_of : int
        One for each step that is right.
    kind, message : str
        The first finding; empty if it passed.
    seconds : float
        How long the check took.
    look_at : str
        What a person should look at, and why.
    notes : str
        What was unusual about the file's name or its encoding.
    digest : str
        Of the file that was judged.
    report : str
        What the student would have been told.
    """

    submission: str
    exercise: str
    points: int
    out_of: int
    kind: str = ""
    message: str = ""
    seconds: float = 0.0
    look_at: str = ""
    notes: str = ""
    digest: str = ""
    report: str = ""

    @property
    def passed(self) -> bool:
        """Whether all of it is right."""
        return self.points == self.out_of


def read_details(path: Path) -> list[Grade]:
    """Return the grades of a details file, as far as it was written.

    Parameters
    ----------
    path : Path
        It may end in the middle of a row.

    Returns
    -------
    list of Grade
        Every whole row.
    """
    grades = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                grades.append(_from_row(row))
            except (KeyError, TypeError, ValueError):
                continue
    return grades


def _from_row(row: dict[str, str]) -> Grade:
    texts = {field.name: row[field.name] for field in fields(Grade)}
    if any(not isinstance(text, str) for text in texts.values()):
        raise ValueError("the row is not whole")
    numbers = {"points": int(row["points"]), "out_of": int(row["out_of"]), "seconds": float(row["seconds"])}
    return Grade(**texts | numbers)  # type: ignore[arg-type]


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """Return a table as the bytes of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def details(grades: Sequence[Grade]) -> bytes:
    """Return a row for each grade, as the bytes of a CSV file."""
    return table([field.name for field in fields(Grade)], [list(asdict(grade).values()) for grade in grades])


def gradebook(
    submissions: Sequence[Submission], exercises: Sequence[Exercise], grades: Sequence[Grade]
) -> bytes:
    """Return a row for each student, as the bytes of a CSV file."""
    names = [exercise.name for exercise in exercises]
    rows = []
    for submission in submissions:
        its = {grade.exercise: grade for grade in grades if grade.submission == submission.name}
        total, out_of = sum(g.points for g in its.values()), sum(g.out_of for g in its.values())
        looks = "; ".join(f"{name}.py {its[name].look_at}" for name in names if its[name].look_at)
        points = [its[name].points for name in names]
        percent = round(100 * total / out_of, 1)
        attempts = "" if submission.attempts is None else submission.attempts
        rows.append((submission.name, total, out_of, percent, *points, attempts, looks))
    return table(("name", "total", "out_of", "percent", *names, "attempts", "look_at"), rows)


def feedback(submission: Submission, grades: Sequence[Grade]) -> str:
    """Return what a student would have been told, in Markdown."""
    its = [grade for grade in grades if grade.submission == submission.name]
    total, out_of = sum(grade.points for grade in its), sum(grade.out_of for grade in its)
    parts = [f"# {submission.name}: {total} of {out_of}"]
    for grade in its:
        verdict = "right" if grade.passed else f"```text\n{grade.report or grade.message}\n```"
        parts += [f"## {grade.exercise}: {grade.points} of {grade.out_of}", verdict]
    return "\n\n".join(parts) + "\n"


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
