"""Ask for verdicts from a process that has PyTorch loaded, without loading it here."""

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import IO, Self

from manualgrad.errors import UserError
from manualgrad.exercises.outcome import Outcome, Request

READY = "ready\n"  # the worker's first line


class Checker:
    """A worker process, started at once so that it loads while the caller does other things.

    Use it as a context manager: the process ends with the block.

    Raises
    ------
    UserError
        If this system cannot fork a process; at the first check, if PyTorch could not be loaded.
    """

    _process: subprocess.Popen[str]
    _questions: IO[str]
    _answers: IO[str]
    _ready: bool

    def __init__(self) -> None:
        if not hasattr(os, "fork"):
            raise UserError("checks need Linux or macOS (on Windows: its subsystem for Linux)")
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def check(self, request: Request) -> Outcome:
        """Wait for the verdict on one file.

        Parameters
        ----------
        request : Request
            What to check.

        Returns
        -------
        Outcome
            The verdict. A worker that was lost on the way is one, too.
        """
        answer = self._ask(json.dumps(request.to_dict()))
        if answer:
            return Outcome(**json.loads(answer))
        self._stop()
        self._start()
        return Outcome(kind="crash", message=f"{request.exercise}.py took the checking process down with it")

    def _ask(self, question: str) -> str:
        if not self._ready and self._answers.readline() != READY:
            raise UserError("the checking process could not be started; its own message is above")
        self._ready = True
        try:
            self._questions.write(question + "\n")
            self._questions.flush()
        except BrokenPipeError:
            return ""
        return self._answers.readline()

    def _start(self) -> None:
        self._ready = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "manualgrad.exercises.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            # Ctrl-C is for the command line, which then ends this process in good order.
            start_new_session=True,
        )
        self._questions = _present(self._process.stdin)
        self._answers = _present(self._process.stdout)

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._questions.close()
        self._answers.close()


def _present(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise UserError("the checking process could not be started")
    return stream
