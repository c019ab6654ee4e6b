"""Grade many submissions side by side; none can stop another, or change its grade."""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from pathlib import Path

from rich.console import Console
from rich.progress import track

from manualgrad.atomic import write_atomically
from manualgrad.errors import UserError
from manualgrad.exercises import sandbox
from manualgrad.exercises.checker import Check, check
from manualgrad.exercises.course import course
from manualgrad.exercises.exercise import PACKAGE, Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.gradebook import Grade, details, feedback, gradebook, read_details, summarise
from manualgrad.exercises.stub import our_solution, write_stub
from manualgrad.exercises.submissions import File, Submission, find_submissions, look
from manualgrad.exercises.verdict import Limits, Request, Verdict
from manualgrad.table import print_table

HONEST_SHARE = 0.1  # of the time that our own solution takes
CONFINED = "submissions can write in a scratch folder only, and reach no other process"
EXPOSED = (
    "this system cannot confine them: submissions can write where you can; docs/grading.md has a way out"
)


class Grader:
    """Check submissions, some at once: as many as there are processors, unless told otherwise."""

    def __init__(self, exercises: Sequence[Exercise], jobs: int | None, limits: Limits) -> None:
        self.exercises, self.jobs, self.limits = exercises, jobs or os.cpu_count() or 1, limits
        self.package = fingerprint()
        sandbox.adopt_orphans()
        overhead = check(Request(exercises[0].name, Path("empty.py"), b"", limits)).seconds
        self.shortest = {
            exercise.name: overhead + HONEST_SHARE * (self._check_ours(exercise) - overhead)
            for exercise in exercises
        }

    def _check_ours(self, exercise: Exercise) -> float:
        """Return how long the check of our own solution takes."""
        verdict = check(Request(exercise.name, Path("ours.py"), ours(exercise), self.limits))
        if not verdict.passed:
            raise UserError(f"our own solution of {exercise.name} does not pass here: {verdict.message}")
        return verdict.seconds

    def grade(self, submissions: Sequence[Submission], known: Sequence[Grade] = ()) -> Iterator[Grade]:
        """Check what no earlier grading of the same file knows, and yield the grades as they come."""
        done = {(grade.submission, grade.exercise, grade.digest) for grade in known}
        work = [(submission, exercise) for submission in submissions for exercise in self.exercises]
        work = [(s, e) for s, e in work if (s.name, e.name, _digest(s.files.get(e.name))) not in done]
        lost = []
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = {pool.submit(self.grade_one, *item): item for item in work}
            try:
                console = Console(stderr=True, force_terminal=False if not sys.stderr.isatty() else None)
                finished = as_completed(waiting)
                for future in track(finished, "grading", len(waiting), console=console, transient=True):
                    if future.result().kind == "lost":
                        lost.append(waiting[future])
                    else:
                        yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for item in lost:  # a check took the server down: alone, it is found out which
            grade = self.grade_one(*item)
            yield replace(grade, kind="crash") if grade.kind == "lost" else grade

    def grade_one(self, submission: Submission, exercise: Exercise) -> Grade:
        """Check one exercise of one submission."""
        steps = len(exercise.steps)
        grade = Grade(submission.name, exercise.name, 0, steps)
        file = submission.files.get(exercise.name)
        if file is None:
            return replace(grade, kind="not-submitted", message=f"{exercise.name}.py was not handed in.")
        grade = replace(grade, notes=file.notes, digest=file.digest)
        if file.problem is not None:
            return replace(grade, kind=file.problem[0], message=file.problem[1])
        request = Request(exercise.name, file.path.resolve(), file.source, self.limits, width=80)
        verdict = Check(request).wait()
        sandbox.end_orphans()
        if fingerprint() != self.package:
            raise UserError(
                f"the package's own files changed while {file.path} was checked: the grading has stopped; "
                "install the package anew, and look at that file"
            )
        if verdict.steps_done > steps or verdict.passed != (verdict.steps_done == steps):
            verdict = Verdict(kind="tampered", message=f"{file.path.name} reports points that there are not.")
        return replace(
            grade,
            points=verdict.steps_done,
            kind=verdict.kind,
            message=" ".join(verdict.message.split()),
            seconds=verdict.seconds,
            look_at=self._look(exercise, file, verdict),
            report=verdict.report or verdict.message,
        )

    def _look(self, exercise: Exercise, file: File, verdict: Verdict) -> str:
        reasons = [look(exercise, file.source)]
        if verdict.kind == "tampered":
            reasons.append("the answer was written by the file itself")
        if verdict.passed and verdict.seconds < self.shortest[exercise.name]:
            reasons.append("it passed in less than a tenth of the time that a check takes")
        return "; ".join(filter(None, reasons))


def grade_class(
    folder: Path, out: Path, chosen: Sequence[Exercise], jobs: int | None, limits: Limits, force: bool
) -> None:
    """Write the tables of a class, of the chosen exercises or of all that anybody has handed in."""
    table, rows, texts = out / "grades.csv", out / "details.csv", out / "feedback"
    if table.exists() and not rows.exists() and not force:
        raise UserError(f"{table} exists; --force replaces it")
    submissions = find_submissions(folder, chosen or course())
    exercises = chosen or handed_in(submissions, folder)
    known = read_details(rows) if rows.exists() and not force else []
    out.mkdir(exist_ok=True)
    print(CONFINED if sandbox.landlock_version() >= 6 else EXPOSED)
    if known:
        print(f"{len(known)} grades of {rows} stand; --force begins anew")
    grades = {(grade.submission, grade.exercise): grade for grade in known}
    rows.write_bytes(details(known))  # a folder that cannot be written is found out before the work
    for grade in Grader(exercises, jobs, limits).grade(submissions, known):
        grades[grade.submission, grade.exercise] = grade
        with rows.open("ab") as file:
            file.write(details([grade]).split(b"\r\n", 1)[1])
    ordered = [grades[submission.name, exercise.name] for submission in submissions for exercise in exercises]
    write_atomically(rows, details(ordered))
    write_atomically(table, gradebook(submissions, exercises, ordered))
    texts.mkdir(exist_ok=True)
    for submission in submissions:
        (texts / f"{submission.name}.md").write_text(feedback(submission, ordered), encoding="utf-8")
    header = ("exercise", "passed", "mean points", "")
    print_table(f"{len(submissions)} submissions", header, summarise(ordered))
    for grade in ordered:
        if grade.look_at:
            print(f"look at {grade.submission}: {grade.exercise}.py {grade.look_at}")
    print(f"a row a student: {table}; a row an exercise: {rows}; to hand back: {texts}")


def handed_in(submissions: Sequence[Submission], folder: Path) -> list[Exercise]:
    """Return the exercises that anybody has handed in."""
    names = {name for submission in submissions for name in submission.files}
    found = [exercise for exercise in course() if exercise.name in names]
    if not found:
        raise UserError(f"{folder}: no file in it has the name of an exercise")
    return found


def _digest(file: File | None) -> str:
    return file.digest if file else ""


@cache
def ours(exercise: Exercise) -> bytes:
    """Return a file that solves an exercise with the lesson's own code."""
    if exercise.kind == "prediction":
        return write_stub(exercise, Folder()).replace("prediction = ...", our_solution(exercise)).encode()
    if exercise.kind != "function":
        return exercise.lesson.body().encode()
    name = exercise.lesson.class_name
    text = f"from {exercise.module} import {name} as Ours\nclass {name}(Ours):\n"
    return f"{text}    backward = staticmethod(Ours.backward)\n".encode()


def fingerprint() -> str:
    """Return a digest of all of the package's source files."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
