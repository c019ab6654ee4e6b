"""Whatever a student's code does to its process, the check ends with one clear message."""

import json
import time

import pytest

from manualgrad.errors import UserError
from manualgrad.exercises.checker import Checker
from manualgrad.exercises.limits import Limits, run_limited
from manualgrad.exercises.outcome import Request
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
        "exp.py, line 40: '(' was never closed",
    ),
    "binary file": (bytes(range(256)), "syntax", "exp.py"),
    "empty file": ("", "no-class", "derives from Exp"),
    "raises at import": ("1 / 0\n", "raises", "exp.py, line 1: 1 / 0\nZeroDivisionError"),
    "print flood": (attempt("exp", "while True: print('again' * 100)"), "flood", "print in a loop"),
    "large file": (attempt("exp", "open('big', 'wb').write(bytes(10**8))"), "flood", "2 MB"),
    "fork bomb": (attempt("exp", "import os", "while True: os.fork()"), "process", "os.fork"),
    "subprocess": (attempt("exp", "import subprocess", "subprocess.run(['ls'])"), "process", "Popen"),
    "memory in one piece": (attempt("exp", "bytearray(10**11)"), "memory", "more than 1024 MB"),
    "memory of tensors": (attempt("exp", "torch.zeros(10**10)"), "memory", "more than 1024 MB"),
    "endless recursion": (attempt("exp", "f = lambda: f()", "f()"), "raises", "RecursionError"),
    "closed descriptors": (
        attempt("exp", "import os, time", "os.closerange(0, 100)", "time.sleep(1000)"),
        "time",
        "or 0.5 s in all",
    ),
    "asks for input": (attempt("exp", "input()"), "raises", "EOFError"),
}


def limits(name):
    """End what waits soon; all else has time to come to its own end, also on a busy machine."""
    return {"cpu_seconds": 1, "wall_seconds": 0.5 if "s in all" in HOSTILE[name][2] else 30.0}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_in_one_clear_message(name, judge):
    text, kind, message = HOSTILE[name]
    outcome = judge("exp", text, **limits(name))
    assert outcome.seconds < limits(name)["wall_seconds"] + 10
    assert not outcome.passed
    assert outcome.kind == kind, outcome.message
    assert message in outcome.message


@pytest.mark.parametrize(
    "lines",
    [
        ("import sys", "sys.stdout.close()", RIGHT),
        ("import warnings", "warnings.warn('careful')", RIGHT),
        ("print('x' * 1000)", RIGHT),
    ],
)
def test_what_does_no_harm_may_pass(lines, judge):
    assert judge("exp", attempt("exp", *lines)).passed


def test_long_output_is_cut(judge):
    outcome = judge("exp", attempt("exp", "for i in range(5000): print('line', i)", "grad_input = None"))
    assert outcome.printed.startswith("line 0\nline 1\n")
    assert outcome.printed.endswith("… and more")
    assert len(outcome.printed) < 5000


@pytest.mark.slow
def test_a_lost_worker_is_replaced(tmp_path):
    file = tmp_path / "exp.py"
    with Checker() as checker:
        file.write_text(attempt("exp", "import os, signal", "os.kill(os.getppid(), signal.SIGKILL)", RIGHT))
        outcome = checker.check(Request("exp", str(file)))
        assert (outcome.passed, outcome.kind) == (False, "crash")
        assert outcome.message == "exp.py took the checking process down with it"
        file.write_text(attempt("exp", RIGHT))
        assert checker.check(Request("exp", str(file))).passed


def test_a_worker_that_cannot_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/true")
    with Checker() as checker, pytest.raises(UserError, match="could not be started"):
        checker.check(Request("exp", str(tmp_path / "exp.py")))


def test_a_result_passes_through_whole():
    text = "σ" * 500_000  # more than a pipe holds
    ending = run_limited(lambda: {"text": text}, Limits())
    assert ending.result == {"text": text}
    assert json.dumps(ending.result)


def test_a_fault_of_the_check_itself_is_told():
    def fail():
        raise LookupError("oops")

    ending = run_limited(fail, Limits())
    assert (ending.kind, ending.message) == ("unfinished", "ended the check with LookupError: oops")


BEATING = """
import pathlib, threading, time

def beat():
    while True:
        pathlib.Path({mark!r}).touch()
        time.sleep(0.02)

threading.Thread(target=beat, daemon=True).start()
"""


def test_the_next_file_is_judged_as_if_nothing_had_been(judge):
    for name in ("abort", "memory of tensors", "closed descriptors"):
        judge("exp", HOSTILE[name][0], **limits(name))
        assert judge("exp", attempt("exp", RIGHT)).passed


def test_files_go_nowhere(judge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert judge("exp", attempt("exp", "open('notes', 'w').write('x')", RIGHT)).passed
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"exp.py"}


def test_nothing_is_left_running(judge, tmp_path):
    mark = tmp_path / "alive"
    assert judge("exp", attempt("exp", RIGHT) + BEATING.format(mark=str(mark))).passed
    assert mark.exists()
    mark.unlink()
    time.sleep(0.2)
    assert not mark.exists()
