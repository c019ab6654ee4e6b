"""Judge files in processes of their own, forked from a server that has PyTorch loaded."""

import contextlib
import json
import multiprocessing
import os
import secrets
import signal
import tempfile
import threading
import time
from dataclasses import fields, replace
from multiprocessing import connection, forkserver
from typing import IO, Any

from manualgrad.errors import UserError
from manualgrad.exercises import sandbox
from manualgrad.exercises.verdict import Limits, Request, Verdict

# Autograd would import the second at its first use, in every check.
PRELOAD = ["torch", "torch.fx.experimental.symbolic_shapes", "manualgrad.exercises.judge"]
LOST = 255  # the exit code of a process whose server was killed
MOST_PRINTED = 4000  # bytes that are shown
LARGEST_ANSWER = 2**22  # bytes

LOCK = threading.Lock()  # a process is started, and its exit code read, by one thread at a time


class Checker:
    """Judge student files, each in a process of its own.

    The server is started at once, so that it loads PyTorch while the caller does other things.

    Raises
    ------
    UserError
        If this system has no fork server.
    """

    def __init__(self) -> None:
        if "forkserver" not in multiprocessing.get_all_start_methods():
            raise UserError("checks need Linux or macOS (on Windows: its subsystem for Linux)")
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()

    def start(self, request: Request) -> "Check":
        """Start a check and return it while it runs."""
        return Check(request)

    def check(self, request: Request) -> Verdict:
        """Wait for the verdict on one file; what takes the server down is tried twice."""
        verdict = self.start(request).wait()
        return self.start(request).wait() if verdict.kind == "lost" else verdict


class Check:
    """One running check.

    Parameters
    ----------
    request : Request
        What to check.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._token = secrets.token_hex()
        # Files and not pipes: nothing that a check does can make their reader wait.
        self._answer, self._printed = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # A connection is what multiprocessing passes a descriptor in.
        answer, printed = (_connection(file) for file in (self._answer, self._printed))
        self._process = multiprocessing.get_context("forkserver").Process(
            target=sandbox.run, args=(request, self._token, answer, printed, self._scratch.name)
        )
        with LOCK, contextlib.suppress(EOFError, OSError):  # the server may be killed by another check
            self._process.start()
        self._started = time.monotonic()

    @property
    def sentinel(self) -> int | None:
        """A descriptor that becomes readable when the check has ended; None if it never began."""
        return None if self._process.pid is None else self._process.sentinel

    def is_late(self) -> bool:
        """Whether its time is over, or it never began."""
        return self.sentinel is None or self._left() <= 0

    def wait(self) -> Verdict:
        """Wait until the check ends or its time is over, and return the verdict.

        Raises
        ------
        UserError
            If the process could not be started.
        """
        if self.sentinel is None:
            return self._end(LOST)
        in_time = connection.wait([self.sentinel], max(0.0, self._left()))
        self.stop()
        with LOCK:
            self._process.join()
            code = self._process.exitcode
        return self._end(code if in_time else None)

    def _left(self) -> float:
        return self._started + self.request.limits.wall_seconds - time.monotonic()

    def stop(self) -> None:
        """Kill the process and all that it has started in its session."""
        pid = self._process.pid
        if pid is None:
            return
        for kill in (os.killpg, os.kill):  # it may not have become a group of its own yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)

    def _end(self, code: int | None) -> Verdict:
        """Return the verdict of a process that has ended; without a code, by its time limit."""
        seconds = round(time.monotonic() - self._started, 3)
        answer = os.pread(self._answer.fileno(), LARGEST_ANSWER, 0)
        printed = os.pread(self._printed.fileno(), MOST_PRINTED + 1, 0).decode("utf-8", "replace")
        for resource in (self._answer, self._printed):
            resource.close()
        self._scratch.cleanup()
        if len(printed) > MOST_PRINTED:
            printed = printed[:MOST_PRINTED].rsplit("\n", 1)[0] + "\n… and more"
        verdict = self._read(answer)
        if verdict is None:
            if code == LOST:
                verdict = Verdict(kind="lost", message="took the checking process down with it")
            elif code and code > 0 and not answer:
                raise UserError("the checking process could not be started; its own message is above")
            else:
                late = code == -signal.SIGKILL and seconds >= self.request.limits.cpu_seconds
                kind, message = explain(None if late else code, self.request.limits)
                verdict = Verdict(kind=kind, message=message)
        if verdict.kind in ENDINGS:
            verdict = replace(verdict, message=f"{self.request.file.name} {verdict.message}")
        return replace(verdict, printed=printed, seconds=seconds)

    def _read(self, answer: bytes) -> Verdict | None:
        """Return what the process answered; None if it has not, or somebody else has written there."""
        try:
            content = json.loads(answer.removeprefix(sandbox.BEGUN))
            verdict = Verdict(**content["result"])
            sound = all(type(getattr(verdict, f.name)) is type(f.default) for f in fields(Verdict))
            return verdict if sound and content["token"] == self._token else None
        except (ValueError, TypeError, KeyError):
            return None


ENDINGS = {"lost", "exit", "time", "output-limit", "memory", "crash", "process", "unfinished"}


def explain(code: int | None, limits: Limits) -> tuple[str, str]:
    """Say why a process ended that has not answered.

    Parameters
    ----------
    code : int or None
        Its exit code, or minus the signal that ended it; None if its time was over.
    limits : Limits
        What it might use.

    Returns
    -------
    tuple of str
        The kind, and a message that goes on after the file's name.
    """
    if code is None or code == -signal.SIGXCPU:
        # One message for both limits: which is met first depends on what else the machine is doing.
        allowed = f"{limits.cpu_seconds:g} s of computing or {limits.wall_seconds:g} s in all"
        return (
            "time",
            f"did not end within {allowed}, and was stopped: is there a loop that never ends, or a wait?",
        )
    if code >= 0:
        return "exit", f"ended its own process (exit status {code}) before the check was done"
    if code == -signal.SIGXFSZ:
        return (
            "output-limit",
            f"printed more than {limits.output_mb} MB, and was stopped: is there a print in a loop?",
        )
    if code == -signal.SIGKILL:
        return "memory", "was killed by the system, most likely because memory ran out"
    name = signal.Signals(-code).name
    return "crash", f"crashed the Python process itself ({name}: {signal.strsignal(-code)})"


def _connection(file: IO[Any]) -> connection.Connection:
    return connection.Connection(os.dup(file.fileno()), readable=False)
