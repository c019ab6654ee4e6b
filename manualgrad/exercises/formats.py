"""Write grades as other systems read them: Gradescope, and Classroom 50.

Both run a command of the teacher's for each submission, and read one JSON file that it leaves.
"""

import importlib.metadata
import json
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manualgrad.errors import UserError
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.gradebook import Grade

SETUP = """#!/usr/bin/env bash
set -e
apt-get update
apt-get install -y python3-pip
python3 -m pip install --break-system-packages manualgrad{version}
"""

RUN_AUTOGRADER = """#!/usr/bin/env bash
python3 -m manualgrad.exercises grade /autograder/submission \\
    --gradescope /autograder/results/results.json --exercises {names}
"""

CLASSROOM50_AUTOGRADER = '''"""Grade this submission with manualgrad, and leave result.json."""

import subprocess
import sys

PYTHON = [sys.executable, "-m"]
subprocess.run([*PYTHON, "pip", "install", "--quiet", "manualgrad{version}"], check=True)
subprocess.run(
    [*PYTHON, *"manualgrad.exercises grade . --classroom50 result.json --exercises {names}".split()],
    check=True,
)
'''


def gradescope(grades: Sequence[Grade]) -> dict[str, Any]:
    """Return a submission's grades as Gradescope's ``results.json``.

    Parameters
    ----------
    grades : sequence of Grade
        Of one submission.

    Returns
    -------
    dict
        A test for each exercise, worth a point for each step.
    """
    tests = [
        {
            "name": grade.exercise,
            "score": grade.points,
            "max_score": grade.out_of,
            "status": "passed" if grade.passed else "failed",
            "output": grade.report or grade.message or "right",
            "visibility": "visible",
        }
        for grade in grades
    ]
    seconds = round(sum(grade.seconds for grade in grades))
    return {"score": sum(grade.points for grade in grades), "execution_time": seconds, "tests": tests}


def classroom50(grades: Sequence[Grade], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return a submission's grades as Classroom 50's ``result.json``.

    Parameters
    ----------
    grades : sequence of Grade
        Of one submission.
    environment : mapping
        What Classroom 50's runner tells about the submission.

    Returns
    -------
    dict
        A test for each exercise, worth a point for each step.

    Raises
    ------
    UserError
        If the runner's variables are not there.
    """
    names = ("CLASSROOM", "ASSIGNMENT", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise UserError(f"--classroom50 is for Classroom 50's runner, which sets {', '.join(missing)}")
    tests = [
        {
            "test-name": grade.exercise,
            "passed": grade.passed,
            "score": grade.points,
            "max-score": grade.out_of,
            "output": grade.report or grade.message,
        }
        for grade in grades
    ]
    classroom, assignment, submission, commit, release = (environment[name] for name in names)
    return {
        "schema": "classroom50/result/v1",
        "classroom": classroom,
        "assignment": assignment,
        "assignment_type": environment.get("ASSIGNMENT_TYPE") or "individual",
        "owner": environment.get("OWNER") or environment.get("USERNAME") or "unknown",
        "submission": submission,
        "commit": commit,
        "release": release,
        "review": environment.get("REVIEW_URL") or commit,
        "datetime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "score": sum(grade.points for grade in grades),
        "max-score": sum(grade.out_of for grade in grades),
        "tests": tests,
    }


def write_autograder(path: Path, exercises: Sequence[Exercise]) -> None:
    """Write what a teacher uploads: a zip for Gradescope, or the script of Classroom 50.

    Parameters
    ----------
    path : Path
        Ends in ``.zip`` or ``.py``, which says for which of them it is.
    exercises : sequence of Exercise
        What is to be graded.

    Raises
    ------
    UserError
        If the name ends in neither.
    """
    names = " ".join(exercise.name for exercise in exercises)
    try:
        version = f"=={importlib.metadata.version('manualgrad')}"
    except importlib.metadata.PackageNotFoundError:  # used from a checkout: the newest there is
        version = ""
    if path.suffix == ".py":
        path.write_text(CLASSROOM50_AUTOGRADER.format(version=version, names=names), encoding="utf-8")
    elif path.suffix == ".zip":
        scripts = {"setup.sh": SETUP, "run_autograder": RUN_AUTOGRADER}
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in scripts.items():
                entry = zipfile.ZipInfo(name, time.localtime()[:6])
                entry.external_attr = 0o755 << 16
                archive.writestr(entry, text.format(version=version, names=names))
    else:
        raise UserError(f"{path}: the name has to end in .zip (Gradescope) or .py (Classroom 50)")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file that another system reads."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
