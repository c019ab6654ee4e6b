"""Grade many submissions side by side; none can stop another, or change its grade."""

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from manualgrad.errors import UserError
from manualgrad.exercises import gradebook, sandbox
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import Exercise
from manualgrad.exercises.gradebook import COLUMNS, Grade
from manualgrad.exercises.submissions import File, Submission, look, read_class, read_submission
from manualgrad.exercises.verdict import Limits, Request, Verdict
from manualgrad.table import print_table

Task = tuple[str, Exercise, File]  # whose, which, and what was handed in

MISSING = File(Path(), problem=("not-submitted", "It was not handed in."))
CONFINED = "submissions can write in a scratch folder only, and reach no other process"
EXPOSED = (
    "this system cannot confine them: submissions can write where you can; docs/grading.md has a way out"
)


def grade_class(
    folder: Path, out: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits, force: bool
) -> None:
    """Write the tables of a class; what an earlier grading of the same file knows is not checked again."""
    table, rows, texts = out / "grades.csv", out / "details.csv", out / "feedback"
    if table.exists() and not rows.exists() and not force:
        raise UserError(f"{table} exists; --force replaces it")
    submissions = read_class(folder)
    tasks = _tasks(submissions, chosen, folder)
    earlier = gradebook.read_details(rows) if rows.exists() and not force else []
    known = {(grade.submission, grade.exercise, grade.digest): grade for grade in earlier}
    keys = [(name, exercise.name, file.digest) for name, exercise, file in tasks]
    out.mkdir(exist_ok=True)
    print(CONFINED if sandbox.landlock_version() >= 6 else EXPOSED)
    if known:
        print(f"{len(known)} grades of {rows} stand; --force begins anew")
    with rows.open("w", newline="", encoding="utf-8") as file:  # each row as it comes, for a kill on the way
        writer = csv.writer(file)
        writer.writerows([COLUMNS, *map(astuple, earlier)])
        remaining = [task for task, key in zip(tasks, keys, strict=True) if key not in known]
        for grade in grade_all(remaining, jobs, limits):
            known[grade.submission, grade.exercise, grade.digest] = grade
            writer.writerow(astuple(grade))
            file.flush()
    grades = [known[key] for key in keys]
    gradebook.write_table(rows, [COLUMNS, *map(astuple, grades)])
    gradebook.write_table(table, gradebook.students(submissions, grades))
    texts.mkdir(exist_ok=True)
    for submission in submissions:
        its = [grade for grade in grades if grade.submission == submission.name]
        (texts / f"{submission.name}.md").write_text(gradebook.feedback(its), encoding="utf-8")
    header = ("exercise", "passed", "mean points", "")
    print_table(f"{len(submissions)} submissions", header, gradebook.summary(grades))
    for grade in grades:
        if grade.look_at:
            print(f"look at {grade.submission}: {grade.exercise}.py {grade.look_at}")
    print(f"a row a student: {table}; a row an exercise: {rows}; to hand back: {texts}")


def grade_submission(
    folder: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits
) -> list[Grade]:
    """Return the grades of one submission, in the exercises' order."""
    tasks = _tasks([read_submission(folder)], chosen, folder)
    grades = {grade.exercise: grade for grade in grade_all(tasks, jobs, limits)}
    return [grades[exercise.name] for _, exercise, _ in tasks]


def _tasks(submissions: Sequence[Submission], chosen: Sequence[Exercise], folder: Path) -> list[Task]:
    """Return what is to be graded: the chosen exercises, or all that anybody has handed in."""
    handed_in = {name for submission in submissions for name in submission.files}
    exercises = chosen or [exercise for exercise in COURSE if exercise.name in handed_in]
    if not exercises:
        raise UserError(f"{folder}: no file in it has the name of an exercise")
    return [
        (s.name, exercise, s.files.get(exercise.name, MISSING)) for s in submissions for exercise in exercises
    ]


def grade_all(tasks: Sequence[Task], jobs: int | None, limits: Limits) -> Iterator[Grade]:
    """Grade side by side, and yield the grades; those last whose check lost its server."""
    lost = []
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        grades = pool.map(lambda task: grade_one(limits, *task), tasks)
        shown = track(grades, "grading", len(tasks), console=Console(stderr=True), transient=True)
        for task, grade in zip(tasks, shown, strict=True):
            if grade.kind == "lost":
                lost.append(task)
            else:
                yield grade
    for task in lost:  # alone, it is found out which of them took the server down
        yield grade_one(limits, *task)


def grade_one(limits: Limits, submission: str, exercise: Exercise, file: File) -> Grade:
    """Check one exercise of one submission."""
    steps = len(exercise.steps)
    grade = Grade(submission, exercise.name, 0, steps, file=file.path.name, digest=file.digest)
    if file.problem is not None:
        kind, message = file.problem
        return replace(grade, kind=kind, message=message, report=message)
    verdict = sandbox.check(Request(exercise.name, file.path.resolve(), file.source, limits, width=80))
    looks = look(exercise, file.source)
    if verdict.steps_done > steps or verdict.passed != (verdict.steps_done == steps):
        verdict = Verdict(kind="tampered", message=f"{file.path.name} reports points that there are not.")
        looks = f"{verdict.message} {looks}".strip()
    return replace(
        grade,
        points=verdict.steps_done,
        kind=verdict.kind,
        message=" ".join(verdict.message.split()),
        seconds=verdict.seconds,
        look_at=looks,
        report="right" if verdict.passed else verdict.report or verdict.message,
    )
