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
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from manualgrad.exercises.verdict import Limits, Request

MEGABYTE = 2**20
BEGUN = b"begun\n"  # the answer's first line

FORBIDDEN = {  # audit events: other processes, and the C library behind Python's back
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen"),
    *("os.kill", "os.killpg", "ctypes.dlopen", "ctypes.dlsym"),
}

# Linux's Landlock, in the numbers of its system calls and flags.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
NO_NEW_PRIVILEGES = 38
WRITES = (
    0b111_1111_1111_0010  # every right to write, remove, make, link or truncate; bit 13 and 14 came later
)
TCP, SIGNALS_AND_SOCKETS = 0b11, 0b11


def run(request: Request, token: str, answer: Connection, printed: Connection, scratch: str) -> NoReturn:
    """Judge one file and write the answer. The process ends here, whatever happens."""
    try:
        os.setsid()
        os.chdir(scratch)
        answer_file = _keep_only(answer.fileno(), printed.fileno())
        sys.stdin = os.fdopen(0, closefd=False)
        os.write(answer_file, BEGUN)
        _set_limits(request.limits)
        confine(scratch)
        result = _work(request, token, answer_file)
        with contextlib.suppress(ValueError, OSError):  # the student's code may have closed them
            sys.stdout.flush()
            sys.stderr.flush()
        _write(answer_file, token, result)
    finally:
        os._exit(0)


def _keep_only(answer: int, printed: int) -> int:
    """Close every descriptor but the standard ones, which it redirects, and the answer's."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (printed, 1), (printed, 2), (answer, 3)):
        os.dup2(source, target)
    os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return 3


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
    known = 13 if version < 2 else 14 if version < 3 else 15  # the rights of later systems are refused
    writes = WRITES & (1 << known) - 1 | (1 << known) - (1 << 13)
    fields = (writes, TCP if version >= 4 else 0, SIGNALS_AND_SOCKETS if version >= 6 else 0)
    attributes = struct.pack("QQQ", *fields)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = libc.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    for path, rights in ((folder, writes), (os.devnull, 0b10)):
        place = os.open(path, os.O_PATH)
        libc.syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _work(request: Request, token: str, answer_file: int) -> dict[str, Any]:
    """Judge the file; every way in which it can end early is a result, too."""
    import torch  # the command line, which imports this file, does without

    from manualgrad.exercises.judge import judge

    torch.set_num_threads(1)  # a fork has this one thread; and gradings run side by side
    torch.manual_seed(0)
    _forbid_processes(token, answer_file)
    try:
        result = asdict(judge(request))
    except SystemExit as ending:
        return {"kind": "exit", "message": f"called exit({ending.code!r}) before the check was done"}
    except MemoryError:
        return {"kind": "memory", "message": _out_of_memory(request.limits)}
    except BaseException as error:  # the check should have dealt with it, whatever it is
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        return {"kind": "unfinished", "message": f"ended the check with {what}"}
    if result["kind"] == "raises" and any(sign in result["message"] for sign in MEMORY_SIGNS):
        return {"kind": "memory", "message": _out_of_memory(request.limits)}
    return result


# PyTorch reports it as a RuntimeError, which the check reports as something that backward raised.
MEMORY_SIGNS = ("MemoryError", "can't allocate memory", "not enough memory")


def _out_of_memory(limits: Limits) -> str:
    return f"asked for more than {limits.memory_mb} MB of memory: is a tensor or a list growing without end?"


def _forbid_processes(token: str, answer_file: int) -> None:
    """End the check at its first attempt to start or signal a process: a fork bomb gets no second one."""

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            message = (
                f"tried to reach another process or the C library ({event}), which an exercise may not do"
            )
            _write(answer_file, token, {"kind": "process", "message": message})
            os._exit(0)

    sys.addaudithook(hook)


def _write(answer_file: int, token: str, result: dict[str, Any]) -> None:
    data = json.dumps({"token": token, "result": result}).encode()
    while data:
        data = data[os.write(answer_file, data) :]


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
