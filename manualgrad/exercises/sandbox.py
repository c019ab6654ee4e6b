"""Run one check in a process of its own, within limits.

The limits guard against accidents and plain mischief; ``docs/grading.md`` says what they cannot prevent.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from manualgrad.exercises.verdict import Limits, Request

MEGABYTE = 2**20
ANSWER = 3  # the descriptor that the answer is written to
FILES = ("answer", "printed")  # beside the scratch folder

MEMORY_SIGNS = ("MemoryError", "can't allocate memory", "not enough memory")

FORBIDDEN = {  # audit events: other processes, and the C library behind Python's back
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen"),
    *("os.kill", "os.killpg", "ctypes.dlopen", "ctypes.dlsym"),
}

# Linux's Landlock, in the numbers of its system calls and flags.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
NO_NEW_PRIVILEGES = 38
TCP, SIGNALS_AND_SOCKETS = 0b11, 0b11


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
        result = _work(request, token)
        with contextlib.suppress(ValueError, OSError):  # the student's code may have closed them
            sys.stdout.flush()
            sys.stderr.flush()
        _write(token, result)
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
    fields = (writes, TCP if version >= 4 else 0, SIGNALS_AND_SOCKETS if version >= 6 else 0)
    ruleset = libc.syscall(CREATE_RULESET, struct.pack("QQQ", *fields), 24, 0)
    for path, rights in ((folder, writes), (os.devnull, 0b10)):
        place = os.open(path, os.O_PATH)
        libc.syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _work(request: Request, token: str) -> dict[str, Any]:
    """Judge the file; every way in which it can end early is a result, too."""
    import torch  # the command line, which imports this file, does without

    from manualgrad.exercises.judge import judge

    torch.set_num_threads(1)  # a fork has this one thread; and gradings run side by side
    torch.manual_seed(0)
    _forbid_processes(token)
    try:
        result = asdict(judge(request))
    except SystemExit as ending:
        return {"kind": "exit", "message": f"called exit({ending.code!r}) before the check was done"}
    except MemoryError:
        result = {"kind": "raises", "message": "MemoryError"}
    except BaseException as error:  # the check should have dealt with it, whatever it is
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        return {"kind": "unfinished", "message": f"ended the check with {what}"}
    # PyTorch reports it as a RuntimeError, which the check reports as something that backward raised.
    if result["kind"] == "raises" and any(sign in result["message"] for sign in MEMORY_SIGNS):
        size = f"{request.limits.memory_mb} MB of memory"
        what = f"asked for more than {size}: is a tensor or a list growing without end?"
        return {"kind": "memory", "message": what}
    return result


def _forbid_processes(token: str) -> None:
    """End the check at its first attempt to start or signal a process: a fork bomb gets no second one."""

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            what = f"tried to reach another process or the C library ({event})"
            _write(token, {"kind": "process", "message": f"{what}, which an exercise may not do"})
            os._exit(0)

    sys.addaudithook(hook)


def _write(token: str, result: dict[str, Any]) -> None:
    os.write(ANSWER, json.dumps({"token": token, "result": result}).encode())


SET_SUBREAPER = 36


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
