"""The course: a file with the backward missing, and a check that says what is wrong with it.

Nothing here imports PyTorch until a student's code is run, so that the command line answers at once.
``judge`` and what it imports run in the check's own process; all else is text, files and processes.
"""

from pathlib import Path

from manualgrad.exercises.verdict import Verdict

__all__ = ["Verdict", "check"]


def check(name: str, folder: str | Path | None = None) -> Verdict:
    """Judge a student's file, as the command ``check`` does; a notebook shows the verdict as a table.

    Parameters
    ----------
    name : str
        An exercise.
    folder : str or Path, optional
        The student's; by default ``my-backwards``.

    Returns
    -------
    Verdict
        It prints as text.
    """
    from manualgrad.exercises import sandbox
    from manualgrad.exercises.course import find
    from manualgrad.exercises.session import Session
    from manualgrad.exercises.verdict import Request

    exercise, student = find(name), Session(None if folder is None else Path(folder))
    file = student.need(exercise).resolve()
    verdict = sandbox.check(Request(exercise.name, file, file.read_bytes(), width=100, html=True))
    student.note_check(exercise, verdict)
    return verdict
