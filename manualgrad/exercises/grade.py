"""Grade many submissions side by side; none can stop another, or change its grade."""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.exercises import gradebook, sandbox
from manualgrad.exercises.checker import check
from manualgrad.exercises.course import COURSE
from manualgrad.exercises.exercise import PACKAGE, Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.gradebook import Grade
from manualgrad.exercises.stub import our_solution, write_stub
from manualgrad.exercises.submissions import File, Submission, find_submissions, look, read_submission
from manualgrad.exercises.verdict import Limits, Request, Verdict
from manualgrad.table import print_table

MISSING = File(Path(), problem=("not-submitted", "It was not handed in."))
CONFINED = "submissions can write in a scratch folder only, and reach no other process"
EXPOSED = (
    "this system cannot confine them: submissions can write where you can; docs/grading.md has a way out"
)


def grade_class(
    folder: Path, out: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits, force: bool
) -> None:
    """Write the tables of a class, of the chosen exercises or of all that anybody has handed in."""
    table, rows, texts = out / "grades.csv", out / "details.csv", out / "feedback"
    if table.exists() and not rows.exists() and not force:
        raise UserError(f"{table} exists; --force replaces it")
    submissions = find_submissions(folder)
    exercises = chosen or handed_in(submissions, folder)
    known = gradebook.read_details(rows) if rows.exists() and not force else []
    out.mkdir(exist_ok=True)
    print(CONFINED if sandbox.landlock_version() >= 6 else EXPOSED)
    if known:
        print(f"{len(known)} grades of {rows} stand; --force begins anew")
    grades = {(grade.submission, grade.exercise): grade for grade in known}
    with rows.open("w", newline="", encoding="utf-8") as file:  # each row as it comes, for a kill on the way
        writer = csv.writer(file)
        writer.writerows(gradebook.details(known))
        for grade in grade_all(submissions, exercises, jobs, limits, known):
            grades[grade.submission, grade.exercise] = grade
            writer.writerow(asdict(grade).values())
            file.flush()
    ordered = [grades[submission.name, exercise.name] for submission in submissions for exercise in exercises]
    write_atomically(rows, gradebook.table(gradebook.details(ordered)))
    write_atomically(table, gradebook.table(gradebook.students(submissions, ordered)))
    texts.mkdir(exist_ok=True)
    for submission in submissions:
        its = [grade for grade in ordered if grade.submission == submission.name]
        (texts / f"{submission.name}.md").write_text(gradebook.feedback(its), encoding="utf-8")
    header = ("exercise", "passed", "mean points", "")
    print_table(f"{len(submissions)} submissions", header, gradebook.summarise(ordered))
    for grade in ordered:
        if grade.look_at:
            print(f"look at {grade.submission}: {grade.exercise}.py {grade.look_at}")
    print(f"a row a student: {table}; a row an exercise: {rows}; to hand back: {texts}")


def grade_submission(
    folder: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits
) -> list[Grade]:
    """Return the grades of one submission, in the exercises' order."""
    submission = read_submission(folder)
    exercises = chosen or handed_in([submission], folder)
    grades = {grade.exercise: grade for grade in grade_all([submission], exercises, jobs, limits)}
    return [grades[exercise.name] for exercise in exercises]


def handed_in(submissions: Sequence[Submission], folder: Path) -> list[Exercise]:
    """Return the exercises that anybody has handed in."""
    names = {name for submission in submissions for name in submission.files}
    if not names:
        raise UserError(f"{folder}: no file in it has the name of an exercise")
    return [exercise for exercise in COURSE if exercise.name in names]


def grade_all(
    submissions: Sequence[Submission],
    exercises: Sequence[Exercise],
    jobs: int | None,
    limits: Limits,
    known: Sequence[Grade] = (),
) -> Iterator[Grade]:
    """Check what no earlier grading of the same file knows, and yield the grades as they come."""
    done = {(grade.submission, grade.exercise, grade.digest) for grade in known}
    work = [(submission, exercise) for submission in submissions for exercise in exercises]
    work = [(s, e) for s, e in work if (s.name, e.name, s.files.get(e.name, MISSING).digest) not in done]
    package, lost = fingerprint(), []
    sandbox.adopt_orphans()
    shortest = {exercise.name: shortest_time(exercise, limits) for exercise in exercises}
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        waiting = {pool.submit(grade_one, *item, limits, package, shortest): item for item in work}
        try:
            finished, console = as_completed(waiting), Console(stderr=True)
            for future in track(finished, "grading", len(waiting), console=console, transient=True):
                if future.result().kind == "lost":
                    lost.append(waiting[future])
                else:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for item in lost:  # a check took the server down: alone, it is found out which
        yield grade_one(*item, limits, package, shortest)


def grade_one(
    submission: Submission, exercise: Exercise, limits: Limits, package: str, shortest: dict[str, float]
) -> Grade:
    """Check one exercise of one submission; the package's files have to stay what they were."""
    steps, file = len(exercise.steps), submission.files.get(exercise.name, MISSING)
    grade = Grade(submission.name, exercise.name, 0, steps, notes=file.notes, digest=file.digest)
    if file.problem is not None:
        kind, message = file.problem
        return replace(grade, kind=kind, message=message, report=message)
    verdict = check(Request(exercise.name, file.path.resolve(), file.source, limits, width=80))
    sandbox.end_orphans()
    if fingerprint() != package:
        raise UserError(
            f"the package's own files changed while {file.path} was checked: the grading has stopped; "
            "install the package anew, and look at that file"
        )
    reasons = [look(exercise, file.source)]
    if verdict.steps_done > steps or verdict.passed != (verdict.steps_done == steps):
        verdict = Verdict(kind="tampered", message=f"{file.path.name} reports points that there are not.")
        reasons.append("the answer was written by the file itself")
    if verdict.passed and verdict.seconds < shortest[exercise.name]:
        reasons.append("it passed in less than a tenth of the time that a check takes")
    return replace(
        grade,
        points=verdict.steps_done,
        kind=verdict.kind,
        message=" ".join(verdict.message.split()),
        seconds=verdict.seconds,
        look_at="; ".join(filter(None, reasons)),
        report="right" if verdict.passed else verdict.report or verdict.message,
    )


def shortest_time(exercise: Exercise, limits: Limits) -> float:
    """Return the seconds below which a pass is pointed out: a tenth of what our own solution computes."""
    nothing = check(Request(exercise.name, Path("empty.py"), b"", limits)).seconds
    verdict = check(Request(exercise.name, Path("ours.py"), ours(exercise).encode(), limits))
    if not verdict.passed:
        raise UserError(f"our own solution of {exercise.name} does not pass here: {verdict.message}")
    return nothing + 0.1 * (verdict.seconds - nothing)


def ours(exercise: Exercise) -> str:
    """Return a file that solves an exercise with the lesson's own code."""
    if exercise.kind == "prediction":
        return write_stub(exercise, Folder()).replace("prediction = ...", our_solution(exercise))
    if exercise.kind != "function":
        return exercise.lesson.body()
    name = exercise.lesson.class_name
    text = f"from {exercise.module} import {name} as Ours\nclass {name}(Ours):\n"
    return f"{text}    backward = staticmethod(Ours.backward)\n"


def fingerprint() -> str:
    """Return a digest of all of the package's source files."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
