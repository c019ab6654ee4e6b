import io
import os
import pty
import re
import subprocess
import sys

from manualgrad.progress import progress, track

SCRIPT = """
import time
from manualgrad.progress import progress
with progress("training", 40, done=10) as counted:
    for epoch in range(2):
        for _ in counted(range(15)):
            time.sleep(0.02)
        print("result", epoch)
print("the end")
"""


def in_terminal(stdout_too):
    """Run the script with a terminal for standard error: what it prints there, and on standard output."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SCRIPT]
    streams = {"stderr": theirs, "stdout": theirs if stdout_too else subprocess.PIPE}
    with subprocess.Popen(command, **streams, text=True, env=os.environ | {"TERM": "xterm"}) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 1000):
                shown += part
        except OSError:  # how Linux says that the other side is closed
            pass
        out = "" if stdout_too else process.stdout.read()
    os.close(ours)
    return shown.decode(), out


def test_results_go_where_they_are_sent_though_the_bar_is_in_the_terminal():
    shown, out = in_terminal(stdout_too=False)
    assert out.splitlines() == ["result 0", "result 1", "the end"]
    assert "result" not in shown
    percentages = [int(found) for found in re.findall(r"(\d+)%", shown)]
    assert percentages[0] == 25  # what was done before
    assert percentages == sorted(percentages)
    assert len(set(percentages)) > 3  # it moves within an epoch


def test_results_stand_above_the_bar_in_one_terminal():
    shown, _ = in_terminal(stdout_too=True)
    assert all(line in shown for line in ("result 0", "result 1", "the end"))


def test_no_bar_where_nobody_is_watching(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    items = [1, 2, 3]
    assert track(items, "going") is items
    with progress("going", 3) as counted:
        assert counted(items) is items
    assert sys.stderr.getvalue() == ""


def test_track_gives_every_item(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(track("abc", "going")) == ["a", "b", "c"]
