"""Grades as tables for a teacher, as texts to hand back, and as other systems read them."""

import csv
import importlib.metadata
import io
import os
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError


@dataclass(frozen=True)
class Grade:
    """One exercise of one submission: a row of ``details.csv``."""

    submission: str
    exercise: str
    points: int  # one for each step that is right
    out_of: int
    kind: str = ""  # of the first finding
    message: str = ""
    seconds: float = 0.0  # how long the check took
    look_at: str = ""  # what a person should look at, and why
    attempts: int = 0  # the checks that the student's own record speaks of
    file: str = ""  # the name that it was handed in by, and the encoding if that is UTF-16
    report: str = ""  # what the student would have been told
    digest: str = ""  # of the file that was judged; last, so that a row which was cut has none

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the grade: whose it is, of which exercise, and what was judged."""
        return self.submission, self.exercise, self.digest

    @property
    def passed(self) -> bool:
        """Whether all of it is right."""
        return self.points == self.out_of


COLUMNS = [field.name for field in fields(Grade)]


def read_details(path: Path) -> list[Grade]:
    """Return the grades of a details file, as far as it was written: it may end in the middle of a row."""
    csv.field_size_limit(sys.maxsize)  # a message may be as long as a student likes
    numbers = {"points": int, "out_of": int, "seconds": float, "attempts": int}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet may have written a mark
            rows: list[dict[str, Any]] = [row for row in csv.DictReader(file) if row.get("digest")]
        return [Grade(**row | {name: number(row[name]) for name, number in numbers.items()}) for row in rows]
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); --force begins anew") from error


def write_table(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_atomically(path, text.getvalue().encode())


def students(grades: Sequence[Grade]) -> list[list[object]]:
    """Return a header, and a row for each student."""
    names = list(dict.fromkeys(grade.exercise for grade in grades))
    rows: list[list[object]] = [["name", "total", "out_of", "percent", *names, "attempts", "look_at"]]
    for name, group in groupby(grades, lambda grade: grade.submission):
        its = list(group)
        total, out_of = totals(its)
        attempts = sum(grade.attempts for grade in its) or ""
        looks = "; ".join(f"{grade.exercise}.py {grade.look_at}" for grade in its if grade.look_at)
        points = [grade.points for grade in its]
        rows.append([name, total, out_of, round(100 * total / out_of, 1), *points, attempts, looks])
    return rows


def feedback(grades: Sequence[Grade]) -> str:
    """Return what a student would have been told, in Markdown."""
    total, out_of = totals(grades)
    parts = [f"# {grades[0].submission}: {total} of {out_of}"]
    for grade in grades:
        told = grade.report if grade.passed else f"```text\n{grade.report}\n```"
        read = f" (read from {grade.file})" * (grade.file not in ("", f"{grade.exercise}.py"))
        parts += [f"## {grade.exercise}: {grade.points} of {grade.out_of}{read}", told]
    return "\n\n".join(parts) + "\n"


def summary(grades: Sequence[Grade]) -> list[list[str]]:
    """Return a row for each exercise: its name, how many passed, mean points, the most frequent kinds."""
    rows = []
    for name in dict.fromkeys(grade.exercise for grade in grades):
        its = [grade for grade in grades if grade.exercise == name]
        kinds = Counter(grade.kind for grade in its if not grade.passed).most_common(3)
        points = f"{totals(its)[0] / len(its):.2f} of {its[0].out_of}"
        passed = f"{sum(grade.passed for grade in its)} of {len(its)}"
        rows.append([name, passed, points, ", ".join(f"{kind} {count}" for kind, count in kinds)])
    return rows


def totals(grades: Sequence[Grade]) -> tuple[int, int]:
    """Return the points of some grades, and how many there could have been."""
    return sum(grade.points for grade in grades), sum(grade.out_of for grade in grades)


def gradescope(grades: Sequence[Grade]) -> dict[str, Any]:
    """Return one submission's grades as Gradescope's ``results.json``: a test for each exercise."""
    tests = [
        {
            "name": grade.exercise,
            "score": grade.points,
            "max_score": grade.out_of,
            "status": "passed" if grade.passed else "failed",
            "output": grade.report,
            "visibility": "visible",
        }
        for grade in grades
    ]
    seconds = round(sum(grade.seconds for grade in grades))
    return {"score": totals(grades)[0], "execution_time": seconds, "tests": tests}


# What Classroom 50's runner tells about a submission: the name in ``result.json``, and the variable.
CLASSROOM50 = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
}


def classroom50(grades: Sequence[Grade]) -> dict[str, Any]:
    """Return one submission's grades as Classroom 50's ``result.json``: a test for each exercise."""
    missing = [variable for variable in CLASSROOM50.values() if not os.environ.get(variable)]
    if missing:
        raise UserError(f"--classroom50 is for Classroom 50's runner, which sets {', '.join(missing)}")
    told = {name: os.environ[variable] for name, variable in CLASSROOM50.items()}
    tests = [
        {
            "test-name": grade.exercise,
            "passed": grade.passed,
            "score": grade.points,
            "max-score": grade.out_of,
            "output": grade.report,
        }
        for grade in grades
    ]
    score, out_of = totals(grades)
    return told | {
        "schema": "classroom50/result/v1",
        "assignment_type": os.environ.get("ASSIGNMENT_TYPE") or "individual",
        "owner": os.environ.get("OWNER") or os.environ.get("USERNAME") or "unknown",
        "review": os.environ.get("REVIEW_URL") or told["commit"],
        "datetime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "score": score,
        "max-score": out_of,
        "tests": tests,
    }


# What a teacher uploads: the files of Gradescope's zip, and the script of Classroom 50.
GRADESCOPE_FILES = {
    "setup.sh": """#!/usr/bin/env bash
set -e
apt-get update
apt-get install -y python3-pip
python3 -m pip install --break-system-packages manualgrad{version}
""",
    "run_autograder": """#!/usr/bin/env bash
python3 -m manualgrad.exercises grade /autograder/submission \\
    --gradescope /autograder/results/results.json --exercises {names}
""",
}
CLASSROOM50_SCRIPT = '''"""Grade this submission with manualgrad, and leave result.json."""

import subprocess
import sys

for command in (
    "pip install --quiet manualgrad{version}",
    "manualgrad.exercises grade . --classroom50 result.json --exercises {names}",
):
    subprocess.run([sys.executable, "-m", *command.split()], check=True)
'''


def write_autograder(path: Path, exercises: Iterable[str]) -> None:
    """Write what a teacher uploads: ``.zip`` is for Gradescope, ``.py`` for Classroom 50."""
    try:
        version = f"=={importlib.metadata.version('manualgrad')}"
    except importlib.metadata.PackageNotFoundError:  # used from a checkout: the newest there is
        version = ""
    values = {"version": version, "names": " ".join(exercises)}
    if path.suffix == ".py":
        path.write_text(CLASSROOM50_SCRIPT.format(**values), encoding="utf-8")
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in GRADESCOPE_FILES.items():
                entry = zipfile.ZipInfo(name, time.localtime()[:6])
                entry.external_attr = 0o755 << 16  # they can be executed
                archive.writestr(entry, text.format(**values))
    else:
        raise UserError(f"{path}: the name has to end in .zip (Gradescope) or .py (Classroom 50)")
