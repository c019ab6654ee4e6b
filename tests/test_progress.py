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
with progress("training", 40) as update:
    for epoch in range(2):
        for step in range(8):
            time.sleep(0.04)
            update(10 + 15 * epoch + step, f"loss {step}")
        print("result", epoch)
print("the end")
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_results_go_where_they_are_sent_though_the_bar_is_in_the_terminal():
    ours, theirs = pty.openpty()
    streams = {"stderr": theirs, "stdout": subprocess.PIPE}
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], **streams, text=True, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 1000):
                shown += part
        except OSError:  # how Linux says that the other side is closed
            pass
        assert process.stdout.read().splitlines() == ["result 0", "result 1", "the end"]
    os.close(ours)
    shown = shown.decode()
    assert "result" not in shown
    percentages = [int(found) for found in re.findall(r"(\d+)%", shown)]
    assert percentages == sorted(percentages)
    assert len(set(percentages)) > 3  # it moves within an epoch
    assert "loss" in shown


def test_no_bar_where_nobody_is_watching(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(track([1, 2, 3], "going")) == [1, 2, 3]
    with progress("going", 3) as update:
        update(1, "loss")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress("going", 3, shown=False) as update:
        update(1)
    assert sys.stderr.getvalue() == ""
