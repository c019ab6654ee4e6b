"""Judge a file in a process of its own, within limits, forked from a server that has PyTorch loaded.

The limits guard against accidents and plain mischief; ``docs/grading.md`` says what they cannot prevent.
"""

import contextlib
import ctypes
import json
import multiprocessing
import os
import resource
import secrets
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any, NoReturn

from manualgrad.errors import UserError
from manualgrad.exercises.verdict import Limits, Request, Verdict

MEGABYTE = 2**20
LOST = 255  # the exit code of a process whose server was killed
MOST_PRINTED = 4000  # bytes that are shown
LOOK_EVERY = 0.03  # seconds
ANSWER = 3  # the descriptor that a check writes its answer to
FILES = ("answer", "printed")  # beside the check's scratch folder

SET_SUBREAPER = 36  # Linux's prctl

LOCK = threading.Lock()  # a process is started, and its exit code read, by one thread at a time


def start_server() -> None:
    """Let the server load PyTorch while the caller does other things."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UserError("checks need Linux or macOS (on Windows: its subsystem for Linux)")
    preload = ["torch", "manualgrad.exercises.judge"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
    forkserver.ensure_running()


def check(request: Request, give_up: Callable[[], bool] = lambda: False) -> Verdict:
    """Return the verdict on one file; of the kind ``given-up`` if it was not waited for."""
    start_server()
    limits, token = request.limits, secrets.token_hex()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        # Files and not pipes, opened here: nothing that a check does can make their reader wait.
        answer, printed = (stack.enter_context(Path(folder, name).open("x+b")) for name in FILES)
        process = multiprocessing.get_context("forkserver").Process(target=run, args=(request, token, folder))
        try:
            with LOCK, _without_main():
                process.start()
        except (EOFError, ConnectionError):  # another check has just killed the server
            return explain(LOST, request)
        started = time.monotonic()  # the server has loaded PyTorch
        try:
            while not (ended := connection.wait([process.sentinel], LOOK_EVERY)):
                if give_up():
                    return Verdict(kind="given-up")
                if time.monotonic() > started + limits.wall_seconds:
                    break
        finally:
            _kill(process.pid)
            with LOCK:
                process.join()
        seconds = round(time.monotonic() - started, 3)
        verdict = _read(answer.read(), token)
        if verdict is None:
            late = process.exitcode == -signal.SIGKILL and seconds >= limits.cpu_seconds
            verdict = explain(process.exitcode if ended and not late else None, request)
        text = printed.read(MOST_PRINTED).decode("utf-8", "replace")
        return replace(verdict, printed=text, seconds=seconds)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's main program, which a process that is started would run again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _kill(pid: int | None) -> None:
    """Kill a check and all that it has started in its session."""
    assert pid is not None
    for kill in (os.killpg, os.kill):  # it may not have become a group of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process that a check leaves behind, where the system can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> None:
    """Kill this process's children that have a session of their own: what checks have left running."""
    for file in Path("/proc/self/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                if os.getsid(child) != os.getsid(0):
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    end_orphans()  # its own children are this process's now


def _read(answer: bytes, token: str) -> Verdict | None:
    """Return what a process answered; None if it has not, or somebody else has written there."""
    try:
        content = json.loads(answer)
        text = json.dumps(content["result"], ensure_ascii=False).encode("utf-8", "replace")
        verdict = Verdict(**json.loads(text))  # in characters that can be printed and written
        sound = all(type(getattr(verdict, f.name)) is type(f.default) for f in fields(Verdict))
        return verdict if sound and content["token"] == token else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def explain(code: int | None, request: Request) -> Verdict:
    """Return the verdict on a process that has not answered; without an exit code its time was over."""
    limits = request.limits
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
    return Verdict(kind=kind, message=f"{request.file.name} {message}")


# All below runs in the check's own process.

MEMORY_SIGNS = ("MemoryError", "can't allocate memory", "not enough memory")

FORBIDDEN = {  # audit events: other processes, and the C library behind Python's back
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen"),
    *("os.kill", "os.killpg", "ctypes.dlopen", "ctypes.dlsym"),
}


def run(request: Request, token: str, folder: str) -> NoReturn:
    """Judge one file and write the answer. The process ends here, whatever happens."""
    try:
        os.setsid()
        os.chdir(folder)
        answer, printed = (os.open(name, os.O_RDWR) for name in FILES)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (printed, 1), (printed, 2), (answer, ANSWER)):
            os.dup2(source, target)
        os.closerange(ANSWER + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        os.mkdir("scratch")
        os.chdir("scratch")
        _set_limits(request.limits)
        confine(".")
        verdict = _work(request, token)
        with contextlib.suppress(ValueError, OSError):  # the student's code may have closed them
            sys.stdout.flush()
            sys.stderr.flush()
        _write(token, verdict)
    finally:
        os._exit(0)


def _set_limits(limits: Limits) -> None:
    """Limit time, output and, on Linux, memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.output_mb * MEGABYTE,) * 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python would turn it into an OSError
    if sys.platform == "linux":  # elsewhere the limit is not honoured, or the size not known
        with open("/proc/self/statm", encoding="ascii") as pages:
            used = int(pages.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory_mb * MEGABYTE,) * 2)


# Linux's Landlock, in the numbers of its system calls and flags.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
NO_NEW_PRIVILEGES = 38
TCP, SIGNALS_AND_SOCKETS = 0b11, 0b11


def landlock_version() -> int:
    """Return the version of Landlock that this system offers; 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1)))


def confine(folder: str) -> None:
    """Let this process write below ``folder`` and to /dev/null only, and reach no process nor network.

    Needs Linux 5.13; 6.7 for the network, 6.12 for other processes. Elsewhere it does nothing.
    """
    version, libc = landlock_version(), ctypes.CDLL(None)
    if not version:
        return
    # Every right to write, remove, make, link or truncate: bit 1, and from 4 on those that the system knows.
    writes = 0b10 | (1 << min(12 + version, 15)) - (1 << 4)
    rights = (writes, TCP if version >= 4 else 0, SIGNALS_AND_SOCKETS if version >= 6 else 0)
    ruleset = libc.syscall(CREATE_RULESET, struct.pack("QQQ", *rights), 24, 0)
    for path, allowed in ((folder, writes), (os.devnull, 0b10)):
        place = os.open(path, os.O_PATH)
        libc.syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, place), 0)
        os.close(place)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _work(request: Request, token: str) -> Verdict:
    """Judge the file; every way in which it can end early is a verdict, too."""
    import torch  # the command line, which imports this file, does without

    from manualgrad.exercises.judge import judge

    torch.set_num_threads(1)  # a fork has this one thread; and gradings run side by side
    torch.manual_seed(0)
    _forbid_processes(request, token)
    name = request.file.name
    try:
        verdict = judge(request)
    except SystemExit as ending:
        return Verdict(kind="exit", message=f"{name} called exit({ending.code!r}) before the check was done")
    except MemoryError:
        verdict = Verdict(kind="raises", message="MemoryError")
    except BaseException as error:  # the check should have dealt with it, whatever it is
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        return Verdict(kind="unfinished", message=f"{name} ended the check with {what}")
    # PyTorch reports it as a RuntimeError, which the check reports as something that backward raised.
    if verdict.kind == "raises" and any(sign in verdict.message for sign in MEMORY_SIGNS):
        asked = f"{name} asked for more than {request.limits.memory_mb} MB of memory"
        return Verdict(kind="memory", message=f"{asked}: is a tensor or a list growing without end?")
    return verdict


def _forbid_processes(request: Request, token: str) -> None:
    """End the check at its first attempt to start or signal a process: a fork bomb gets no second one."""

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            what = f"{request.file.name} tried to reach another process or the C library ({event})"
            _write(token, Verdict(kind="process", message=f"{what}, which an exercise may not do"))
            os._exit(0)

    sys.addaudithook(hook)


def _write(token: str, verdict: Verdict) -> None:
    os.write(ANSWER, json.dumps({"token": token, "result": asdict(verdict)}).encode())
