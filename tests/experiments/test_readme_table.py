"""The README's table of the source documents is kept by running it."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from manualgrad.training.cli import parse

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"`python (experiments/(\w+)\.py[^`]*)`")


def commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("<!-- documents -->")
    table, _, _ = rest.partition("<!-- /documents -->")
    return [match[1] for match in COMMAND.finditer(table)]


def test_eight_documents_eight_commands():
    assert len(commands()) == 8


@pytest.mark.parametrize("command", commands())
def test_the_command_exists(command):
    file, *argv = shlex.split(command)
    script = importlib.import_module(f"experiments.{Path(file).stem}")
    parse(script.Config, argv, "")


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_the_command_reproduces_its_document(command, tmp_path):
    argv = [sys.executable, *shlex.split(command), "--runs-dir", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
