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

from manualgrad.errors import UserError
from manualgrad.exercises import sandbox
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.exercise import PACKAGE, Exercise
from manualgrad.exercises.folder import Folder
from manualgrad.exercises.gradebook import Grade
from manualgrad.exercises.solution import our_solution
from manualgrad.exercises.stub import write_stub
from manualgrad.exercises.submissions import File, Submission, look
from manualgrad.exercises.verdict import Limits, Request, Verdict

HONEST_SHARE = 0.1  # of the time that our own solution takes


class Grader:
    """Checks submissions.

    Parameters
    ----------
    exercises : sequence of Exercise
        Which to grade.
    jobs : int, optional
        How many checks to run at once; by default one for each processor.
    limits : Limits, optional
        What a check may use.

    Raises
    ------
    UserError
        If our own solution of an exercise does not pass.
    """

    def __init__(
        self, exercises: Sequence[Exercise], jobs: int | None = None, limits: Limits | None = None
    ) -> None:
        self.exercises, self.jobs = exercises, jobs or os.cpu_count() or 1
        self.limits, self.checker = limits or Limits(), Checker()
        self.package = fingerprint()
        sandbox.adopt_orphans()
        empty = Request(exercises[0].name, Path("empty.py"), b"", self.limits)
        overhead = self.checker.check(empty).seconds
        self.shortest = {
            exercise.name: overhead + HONEST_SHARE * (self._check_ours(exercise) - overhead)
            for exercise in exercises
        }

    def _check_ours(self, exercise: Exercise) -> float:
        """Return how long the check of our own solution takes."""
        verdict = self.checker.check(Request(exercise.name, Path("ours.py"), ours(exercise), self.limits))
        if not verdict.passed:
            raise UserError(f"our own solution of {exercise.name} does not pass here: {verdict.message}")
        return verdict.seconds

    def grade(self, submissions: Sequence[Submission], known: Sequence[Grade] = ()) -> Iterator[Grade]:
        """Check every exercise of every submission, with a progress bar.

        Parameters
        ----------
        submissions : sequence of Submission
            Read before the first check.
        known : sequence of Grade
            Of an earlier grading that was interrupted: not checked again while the file is the same.

        Yields
        ------
        Grade
            As they come.

        Raises
        ------
        UserError
            If the package's own files change on the way.
        """
        done = {(grade.submission, grade.exercise, grade.digest) for grade in known}
        work = [(submission, exercise) for submission in submissions for exercise in self.exercises]
        work = [(s, e) for s, e in work if (s.name, e.name, _digest(s.files.get(e.name))) not in done]
        lost = []
        with ThreadPoolExecutor(self.jobs) as pool:
            waiting = {pool.submit(self.grade_one, *item): item for item in work}
            try:
                console = Console(stderr=True, force_terminal=False if not sys.stderr.isatty() else None)
                for future in track(
                    as_completed(waiting), "grading", len(waiting), console=console, transient=True
                ):
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
        grade = Grade(submission.name, exercise.name, 0, len(exercise.steps))
        file = submission.files.get(exercise.name)
        if file is None:
            return replace(grade, kind="not-submitted", message=f"{exercise.name}.py was not handed in.")
        grade = replace(grade, notes=file.notes, digest=file.digest)
        if file.problem is not None:
            return replace(grade, kind=file.problem[0], message=file.problem[1])
        request = Request(exercise.name, file.path.resolve(), file.source, self.limits, width=80)
        verdict = self.checker.start(request).wait()
        sandbox.end_orphans()
        if fingerprint() != self.package:
            raise UserError(
                f"the package's own files changed while {file.path} was checked: the grading has stopped; "
                "install the package anew, and look at that file"
            )
        if verdict.steps_done > len(exercise.steps) or verdict.passed != (
            verdict.steps_done == len(exercise.steps)
        ):
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
