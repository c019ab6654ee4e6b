"""The script of the course, as a process of its own."""

import subprocess
import sys
import time

from manualgrad.exercises.exercise import PACKAGE
from tests.exercises.attempts import attempt

SCRIPT = PACKAGE.parent / "experiments" / "exercises.py"


def type_in(folder, *words):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_start_write_check(tmp_path):
    assert type_in(tmp_path, "start").returncode == 0
    file = tmp_path / "my-backwards" / "square.py"
    file.write_text(attempt("square", "grad_input = 2 * input * grad_output"))
    started = time.monotonic()
    done = type_in(tmp_path, "check")
    assert time.monotonic() - started < 20  # 3 s on a machine that does nothing else
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ square is right" in done.stdout


def test_a_closed_output_is_no_traceback(tmp_path):
    """As in ``exercises.py list | head -1``."""
    command = f"{sys.executable} {SCRIPT} list | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("→ ")
    assert "Traceback" not in done.stderr
