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
from pathlib import Path

from manualgrad.errors import UserError
from manualgrad.exercises import sandbox
from manualgrad.exercises.verdict import Limits, Request, Verdict

PRELOAD = ["torch", "manualgrad.exercises.judge"]
LOST = 255  # the exit code of a process whose server was killed
MOST_PRINTED = 4000  # bytes that are shown

LOCK = threading.Lock()  # a process is started, and its exit code read, by one thread at a time


def start_server() -> None:
    """Let the server load PyTorch while the caller does other things."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UserError("checks need Linux or macOS (on Windows: its subsystem for Linux)")
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOAD)
    forkserver.ensure_running()


def check(request: Request) -> Verdict:
    """Return the verdict on one file."""
    try:
        return Check(request).wait()
    except (EOFError, ConnectionError):  # another check has just killed the server
        return explain(LOST, request.limits)


class Check:
    """One running check."""

    def __init__(self, request: Request) -> None:
        start_server()
        self.request = request
        self._token = secrets.token_hex()
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # Files and not pipes, opened here: nothing that a check does can make their reader wait.
        files = (Path(self._folder.name, name) for name in sandbox.FILES)
        self._answer, self._printed = (open(file, "x+b") for file in files)  # noqa: SIM115
        self._process = multiprocessing.get_context("forkserver").Process(
            target=sandbox.run, args=(request, self._token, self._folder.name)
        )
        with LOCK:
            self._process.start()
        self._started = time.monotonic()
        self.sentinel = self._process.sentinel  # a descriptor that is readable when the check has ended

    def seconds_left(self) -> float:
        """Return how long it may still take."""
        return max(0.0, self._started + self.request.limits.wall_seconds - time.monotonic())

    def wait(self) -> Verdict:
        """Wait until the check ends or its time is over, and return the verdict."""
        in_time = connection.wait([self.sentinel], self.seconds_left())
        self.stop()
        with LOCK:
            self._process.join()
            code = self._process.exitcode if in_time else None
        seconds = round(time.monotonic() - self._started, 3)
        with self._folder, self._answer, self._printed:
            answer, printed = self._answer.read(), self._printed.read(MOST_PRINTED)
        verdict = self._read(answer)
        if verdict is None:
            late = code == -signal.SIGKILL and seconds >= self.request.limits.cpu_seconds
            verdict = explain(None if late else code, self.request.limits)
        if verdict.kind in ENDINGS:
            verdict = replace(verdict, message=f"{self.request.file.name} {verdict.message}")
        return replace(verdict, printed=printed.decode("utf-8", "replace"), seconds=seconds)

    def stop(self) -> None:
        """Kill the process and all that it has started in its session."""
        pid = self._process.pid
        assert pid is not None
        for kill in (os.killpg, os.kill):  # it may not have become a group of its own yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)

    def _read(self, answer: bytes) -> Verdict | None:
        """Return what the process answered; None if it has not, or somebody else has written there."""
        try:
            content = json.loads(answer)
            text = json.dumps(content["result"], ensure_ascii=False).encode("utf-8", "replace")
            verdict = Verdict(**json.loads(text))  # in characters that can be printed and written
            sound = all(type(getattr(verdict, f.name)) is type(f.default) for f in fields(Verdict))
            return verdict if sound and content["token"] == self._token else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None


# Kinds whose message goes on after the file's name.
ENDINGS = {"lost", "exit", "time", "output-limit", "memory", "crash", "process", "unfinished"}


def explain(code: int | None, limits: Limits) -> Verdict:
    """Return the verdict on a process that has not answered; without an exit code its time was over."""
    # One message for both limits of time: which is met first depends on what else the machine is doing.
    allowed = f"{limits.cpu_seconds:g} s of computing or {limits.wall_seconds:g} s in all"
    time_over = f"did not end within {allowed}, and was stopped: is there a loop that never ends, or a wait?"
    flood = f"printed more than {limits.output_mb} MB, and was stopped: is there a print in a loop?"
    known = {
        None: ("time", time_over),
        -signal.SIGXCPU: ("time", time_over),
        -signal.SIGXFSZ: ("output-limit", flood),
        -signal.SIGKILL: ("memory", "was killed by the system, most likely because memory ran out"),
        LOST: ("lost", "took the checking process down with it"),
    }
    if code in known:
        kind, message = known[code]
    elif code is not None and code < 0:
        name = f"{signal.Signals(-code).name}: {signal.strsignal(-code)}"
        kind, message = "crash", f"crashed the Python process itself ({name})"
    else:
        kind, message = "exit", f"ended its own process (exit status {code}) before the check was done"
    return Verdict(kind=kind, message=message)
