"""Whatever a student's code does to its process, the check ends with one clear message."""

import os
import signal
import time
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

import pytest

from manualgrad.exercises.sandbox import landlock_version
from manualgrad.exercises.verdict import Request
from tests.exercises.attempts import attempt

RIGHT = "grad_input = grad_output * output"

HOSTILE = {
    "endless loop": (attempt("exp", "while True: pass"), "time", "a loop that never ends"),
    "sleep": (attempt("exp", "import time", "time.sleep(1000)"), "time", "or 0.5 s in all"),
    "exit": (attempt("exp", "exit()"), "exit", "called exit(None)"),
    "exit at import": ("import sys\nsys.exit(2)\n", "exit", "called exit(2)"),
    "os._exit": (attempt("exp", "import os", "os._exit(3)"), "exit", "exit status 3"),
    "Ctrl-C": (attempt("exp", "raise KeyboardInterrupt"), "unfinished", "KeyboardInterrupt"),
    "abort": (attempt("exp", "import os", "os.abort()"), "crash", "SIGABRT"),
    "segfault": (attempt("exp", "import ctypes", "ctypes.string_at(0)"), "crash", "SIGSEGV"),
    "syntax": (
        attempt("exp", "grad_input = (grad_output"),
        "syntax",
        ": '(' was never closed",
    ),
    "binary file": (bytes(range(256)), "syntax", "exp.py"),
    "empty file": ("", "no-class", "derives from Exp"),
    "raises at import": ("1 / 0\n", "raises", "exp.py, line 1: 1 / 0\nZeroDivisionError"),
    "print flood": (attempt("exp", "while True: print('again' * 100)"), "output-limit", "print in a loop"),
    "large file": (attempt("exp", "open('big', 'wb').write(bytes(10**8))"), "output-limit", "2 MB"),
    "fork bomb": (attempt("exp", "import os", "while True: os.fork()"), "process", "os.fork"),
    "kills its server": (attempt("exp", "import os", "os.kill(os.getppid(), 9)"), "process", "os.kill"),
    "C library": (attempt("exp", "import ctypes", "ctypes.CDLL(None).fork()"), "process", "ctypes.dlopen"),
    "subprocess": (attempt("exp", "import subprocess", "subprocess.run(['ls'])"), "process", "Popen"),
    "memory in one piece": (attempt("exp", "bytearray(10**11)"), "memory", "more than 1024 MB"),
    "memory of tensors": (attempt("exp", "torch.zeros(10**10)"), "memory", "more than 1024 MB"),
    "endless recursion": (attempt("exp", "f = lambda: f()", "f()"), "raises", "RecursionError"),
    "closed descriptors": (
        attempt("exp", "import os, time", "os.closerange(0, 100)", "time.sleep(1000)"),
        "time",
        "or 0.5 s in all",
    ),
    "many threads": (
        attempt(
            "exp", "import threading", "while True: threading.Thread(target=threading.Event().wait).start()"
        ),
        "raises",
        "can't start new thread",
    ),
    "stops itself": (
        attempt("exp", "import signal", "signal.raise_signal(signal.SIGSTOP)"),
        "time",
        "or 0.5 s in all",
    ),
    "ends itself": (
        attempt("exp", "import signal", "signal.raise_signal(signal.SIGTERM)"),
        "crash",
        "SIGTERM",
    ),
    "ignores its limit": (
        attempt("exp", "import signal", "signal.signal(signal.SIGXCPU, signal.SIG_IGN)", "while True: pass"),
        "time",
        "a loop that never ends",
    ),
    "no character": (attempt("exp", r"raise ValueError('\ud800')"), "raises", "ValueError: ?"),
    "asks for input": (attempt("exp", "input()"), "raises", "EOFError"),
    "reads its caller's input": (
        attempt("exp", "import os", "raise ValueError(os.read(0, 9))"),
        "raises",
        "ValueError: b''",
    ),
}


def limits(name):
    """End what waits soon; all else has time to come to its own end, also on a busy machine."""
    return {"cpu_seconds": 1, "wall_seconds": 0.5 if "s in all" in HOSTILE[name][2] else 30.0}


# One of each kind by default, and what nothing else is like; all of them are graded together in another test.
DEFAULT = {
    *("sleep", "exit at import", "Ctrl-C", "segfault", "print flood", "fork bomb", "memory of tensors"),
    *("no character", "reads its caller's input"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in DEFAULT else pytest.mark.slow) for name in HOSTILE]
)
def test_it_ends_in_one_clear_message(name, judge):
    text, kind, message = HOSTILE[name]
    outcome = judge("exp", text, **limits(name))
    assert outcome.seconds < limits(name)["wall_seconds"] + 10
    assert not outcome.passed
    assert outcome.kind == kind, outcome.message
    assert message in outcome.message


def test_what_does_no_harm_may_pass_and_leaves_nothing(judge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ("import sys, warnings", "warnings.warn('careful')", "open('notes', 'w').write('x')")
    outcome = judge("exp", attempt("exp", *lines, "print('x' * 5000)", RIGHT))
    assert outcome.passed, outcome.message
    assert judge("exp", attempt("exp", "import sys", "sys.stdout.close()", RIGHT)).passed
    assert not list(tmp_path.iterdir())
    assert 0 < len(outcome.printed) < 5000, "cut"


def test_the_next_file_is_judged_as_if_nothing_had_been(judge):
    for name in ("abort", "memory of tensors", "closed descriptors"):
        judge("exp", HOSTILE[name][0], **limits(name))
    assert judge("exp", attempt("exp", RIGHT)).passed


@pytest.mark.slow
def test_a_killed_server_costs_its_own_checks_only(server, tmp_path):
    def kill():
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        return False

    waiting = Request("exp", tmp_path / "exp.py", attempt("exp", "import time", "time.sleep(1000)").encode())
    assert server.check(waiting, kill).kind == "lost"
    request = Request("exp", tmp_path / "exp.py", attempt("exp", RIGHT).encode())
    while (verdict := server.check(request)).kind == "lost":  # until the system has noticed
        time.sleep(0.1)
    assert verdict.passed


LEFT_RUNNING = """
import multiprocessing.util, threading, time
threading.Thread(target=time.sleep, args=(100,)).start()
multiprocessing.util.spawnv_passfds(b"/bin/sleep", [b"sleep", b"12345"], [])
"""


def test_nothing_is_left_running(judge):
    """Neither a thread that goes on nor a process that the audit hook does not see."""
    outcome = judge("exp", attempt("exp", RIGHT) + LEFT_RUNNING)
    assert outcome.passed, outcome.message
    assert not runs("sleep\x0012345")


def runs(command):
    """Whether a process still runs that command, a moment after it was killed."""
    for _ in range(100):
        lines = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                lines.append(file.read_text(errors="replace"))
        if not any(command in line for line in lines):
            return False
        time.sleep(0.05)
    return True


OUTSIDE = (
    "open(torch.__file__, 'a')",
    "open('/tmp/elsewhere', 'w')",
    "__import__('shutil').rmtree(__import__('pathlib').Path.home())",
    "__import__('socket').create_connection(('127.0.0.1', 80))",
    "__import__('signal').pidfd_send_signal(__import__('os').pidfd_open(__import__('os').getppid()), 9)",
)


@pytest.mark.skipif(landlock_version() < 6, reason="Linux confines processes so far since 6.12")
def test_it_reaches_nothing_outside_its_folder(judge):
    for line in OUTSIDE:
        outcome = judge("exp", attempt("exp", line))
        assert outcome.kind == "raises"
        assert "PermissionError" in outcome.message or "Operation not permitted" in outcome.message


def test_a_check_does_not_run_its_callers_script(judge):
    """Which need have no main guard."""
    outcome = judge(
        "exp", attempt("exp", "import sys", "print(hasattr(sys.modules['__main__'], '__file__'))", RIGHT)
    )
    assert outcome.passed
    assert "True" not in outcome.printed
    assert "False" in outcome.printed
