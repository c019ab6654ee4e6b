"""`watch`: a check on every save, and on to the next exercise."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from experiments import exercises
from manualgrad.exercises.course import COURSE, find
from manualgrad.exercises.exercise import PACKAGE
from manualgrad.exercises.session import Session
from manualgrad.exercises.watch import Watch
from tests.exercises.attempts import attempt


class Watched:
    """A running `watch` and what it has printed so far."""

    def __init__(self, folder, out):
        self.out = out
        script = PACKAGE.parent / "experiments" / "exercises.py"
        with out.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, str(script), "watch", "--dir", str(folder)],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "300"},
            )

    def wait_for(self, text, seconds=30.0):
        started = time.monotonic()
        while text not in self.out.read_text():
            assert time.monotonic() - started < seconds, self.out.read_text()
            assert self.process.poll() is None, self.out.read_text()
            time.sleep(0.02)
        return time.monotonic() - started


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path / "mine", tmp_path / "out.txt")
    yield watched
    watched.process.kill()
    watched.process.wait()


def test_it_checks_on_save_and_moves_on(watched, tmp_path):
    watched.wait_for("Now: square.")
    file = tmp_path / "mine" / "square.py"
    file.write_text(attempt("square", "grad_input = -2 * input * grad_output"))
    watched.wait_for("✗ square")
    watched.wait_for("sign")

    # An editor that writes aside and renames.
    aside = tmp_path / "mine" / ".square.py.swp"
    aside.write_text(attempt("square", "grad_input = 2 * input * grad_output"))
    os.replace(aside, file)
    watched.wait_for("✓ square is right")
    watched.wait_for("Now: power.")
    assert (tmp_path / "mine" / "power.py").exists()

    # Another exercise than the current one.
    (tmp_path / "mine" / "exp.py").write_text(attempt("exp", "exit()"))
    watched.wait_for("exp.py called exit(None)")

    # With the worker warm, the answer comes at once; the bound leaves room for a busy machine.
    (tmp_path / "mine" / "exp.py").write_text(attempt("exp", "grad_input = output * grad_output"))
    assert watched.wait_for("✓ exp is right") < 9

    # A check that is of no use any more ends when its file is saved again.
    (tmp_path / "mine" / "sin.py").write_text(attempt("sin", "while True: pass"))
    watched.wait_for("checking sin.py ...")
    (tmp_path / "mine" / "sin.py").write_text(attempt("sin", "grad_input = grad_output * torch.cos(input)"))
    assert watched.wait_for("✓ sin is right") < 9

    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(timeout=10) == 0
    out = watched.out.read_text()
    assert "Traceback" not in out
    assert out.endswith(f"passed just now: square, exp, sin; 3 of {len(COURSE)} exercises done\n")


def test_a_hint_is_about_what_was_checked_last(tmp_path, monkeypatch, capsys):
    session = Session(tmp_path)
    session.start(find("tanh"))
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        watch = Watch(session)
        watch._turn_to_next()
        watch._check(find("tanh"))
        os.write(keyboard, b"h\n")
        watch._wait()
    os.close(keyboard)
    assert "tanh, hint 1 of" in capsys.readouterr().out


def test_its_keys_are_shown_at_once(tmp_path, monkeypatch, capsys):
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, b"q\n")
        assert exercises.main(["watch", "--dir", str(tmp_path / "mine")]) == 0
    os.close(keyboard)
    out = capsys.readouterr().out
    assert out.index("Now: square.") < out.index("q Enter: quit")
