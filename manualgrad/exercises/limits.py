"""Run a piece of work in a process of its own, so that whatever it does ends in one clear answer.

The process is forked from one that has PyTorch loaded already, which takes milliseconds instead of seconds.
Time, memory and output are limited, and no further processes may be started. This guards against accidents.
It is no sandbox: code that wants to do harm can.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, NoReturn

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What a piece of work may use.

    Attributes
    ----------
    cpu_seconds : int
        Of computing. It does not count the time that other programs take, so the same code gets the same
        verdict on a busy machine.
    wall_seconds : float
        Until it is ended in any case, if it sleeps or waits.
    memory_mb : int
        On top of what the process has at its start.
    printed_mb : int
        The largest file it may write, which is where its prints go.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 30.0
    memory_mb: int = 1024
    printed_mb: int = 2


@dataclass(frozen=True)
class Ending:
    """How it ended.

    Attributes
    ----------
    result : dict or None
        What the work returned; None if it never came to that.
    kind, message : str
        Why there is no result.
    printed : str
        The beginning of what it printed.
    seconds : float
        From fork to end.
    """

    result: dict[str, Any] | None
    kind: str
    message: str
    printed: str
    seconds: float


def run_limited(work: Callable[[], dict[str, Any]], limits: Limits) -> Ending:
    """Run ``work`` in a fork of this process.

    Parameters
    ----------
    work : callable
        Returns what JSON can hold.
    limits : Limits
        What it may use.

    Returns
    -------
    Ending
        Its result, or why there is none.
    """
    started = time.monotonic()
    read_end, write_end = os.pipe()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile() as printed,
        open(read_end, "rb", buffering=0) as results,
    ):
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _be_the_child(work, limits, write_end, printed, scratch)
        os.close(write_end)
        line = _read_line(results, started + limits.wall_seconds)
        if line and line.endswith(b"\n"):
            _kill_group(pid)  # the answer is here; threads may be left running
        status = _wait(pid, started + limits.wall_seconds)
        seconds = time.monotonic() - started
        text = _beginning(printed)
    if line and line.endswith(b"\n"):
        return _from_answer(json.loads(line), text, seconds)
    if status is None:
        return Ending(None, "time", _too_long(limits), text, seconds)
    kind, message = _explain(status, limits)
    return Ending(None, kind, message, text, seconds)


def _too_long(limits: Limits) -> str:
    # One message for both limits: which is met first depends on what else the machine is doing.
    allowed = f"{limits.cpu_seconds:g} s of computing or {limits.wall_seconds:g} s in all"
    return f"did not end within {allowed}, and was stopped: is there a loop that never ends, or a wait?"


def _from_answer(answer: dict[str, Any], printed: str, seconds: float) -> Ending:
    if "result" in answer:
        return Ending(answer["result"], "", "", printed, seconds)
    return Ending(None, answer["kind"], answer["message"], printed, seconds)


def _read_line(results: IO[bytes], deadline: float) -> bytes | None:
    """Read up to a newline or the end; None if the deadline comes first."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([results], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        piece = results.read(65536)
        if not piece:
            break
        line += piece
    return line


def _explain(status: int, limits: Limits) -> tuple[str, str]:
    """Say why a process ended that has not answered."""
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        return "exit", f"ended its own process (exit status {code}) before the check was done"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return "time", _too_long(limits)
    if number == signal.SIGXFSZ:
        return (
            "flood",
            f"printed more than {limits.printed_mb} MB, and was stopped: is there a print in a loop?",
        )
    if number == signal.SIGKILL:
        return "memory", "was killed by the system, most likely because memory ran out"
    name = signal.Signals(number).name
    return "crash", f"crashed the Python process itself ({name}: {signal.strsignal(number)})"


def _wait(pid: int, deadline: float) -> int | None:
    """Wait for the process to end; at the deadline end it and return None."""
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.002)
    _kill_group(pid)
    os.waitpid(pid, 0)
    return None


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not have become a group of its own yet


def _beginning(printed: IO[bytes], most: int = 4000) -> str:
    printed.seek(0)
    text = printed.read(most + 1).decode("utf-8", "replace")
    return text if len(text) <= most else text[:most].rsplit("\n", 1)[0] + "\n… and more"


def _be_the_child(
    work: Callable[[], dict[str, Any]], limits: Limits, write_end: int, printed: IO[bytes], scratch: str
) -> NoReturn:
    """Everything that happens in the fork; it never returns to the caller's code."""
    try:
        os.setsid()
        os.chdir(scratch)  # what the work writes goes nowhere
        _redirect(printed)
        _set_limits(limits)
        answer = _work(work, limits, write_end)
        with contextlib.suppress(ValueError, OSError):  # the work may have closed them
            sys.stdout.flush()
            sys.stderr.flush()
        _answer(write_end, answer)
    finally:
        os._exit(0)


def _redirect(printed: IO[bytes]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)


def _set_limits(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.printed_mb * MEGABYTE,) * 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python would turn it into an OSError
    if sys.platform == "linux":  # elsewhere the limit is not honoured, or the size not known
        with open("/proc/self/statm", encoding="ascii") as pages:
            used = int(pages.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory_mb * MEGABYTE,) * 2)


def _work(work: Callable[[], dict[str, Any]], limits: Limits, write_end: int) -> dict[str, Any]:
    _forbid_processes(write_end)
    try:
        return {"result": work()}
    except SystemExit as ending:
        return {"kind": "exit", "message": f"called exit({ending.code!r}) before the check was done"}
    except MemoryError:
        return {"kind": "memory", "message": out_of_memory(limits)}
    except BaseException as error:  # the check should have dealt with it, whatever it is
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        return {"kind": "unfinished", "message": f"ended the check with {what}"}


def out_of_memory(limits: Limits) -> str:
    """Return the message for work that asked for too much."""
    return f"asked for more than {limits.memory_mb} MB of memory: is a tensor or a list growing without end?"


def _forbid_processes(write_end: int) -> None:
    """End the work at its first attempt to start another process: a fork bomb gets no second one."""
    forbidden = {"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen"}

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in forbidden:
            message = f"tried to start another process ({event}), which an exercise may not do"
            _answer(write_end, {"kind": "process", "message": message})
            os._exit(0)

    sys.addaudithook(hook)


def _answer(write_end: int, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode() + b"\n"
    while data:
        data = data[os.write(write_end, data) :]
