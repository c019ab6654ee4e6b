"""The notebook runs from its first cell to its last: a report as a table, an exercise, a training."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Execute a copy in a folder of its own, and return each code cell's outputs."""
    pytest.importorskip("nbclient", reason="the notebook extra is not installed")
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if "%tensorboard" not in "".join(cell["source"])]  # a server
    (folder / "copy.ipynb").write_text(json.dumps(notebook | {"cells": cells}), encoding="utf-8")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    execute = "from nbclient.cli import main; main()"
    command = [sys.executable, "-c", execute, "--inplace", "--timeout", "300", "copy.ipynb"]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = json.loads((folder / "copy.ipynb").read_text(encoding="utf-8"))["cells"]
    return {"".join(cell["source"]): cell["outputs"] for cell in cells if cell["cell_type"] == "code"}


def printed(outputs, part):
    (found,) = [value for source, value in outputs.items() if part in source]
    return json.dumps(found, ensure_ascii=False)


def test_the_report_is_a_table(outputs):
    shown = printed(outputs, "class Tanh")
    assert "<pre" in shown
    assert "worst at" in shown
    assert "input-for-output" in shown


def test_the_exercise_fails_and_then_passes(outputs):
    assert "scale" in printed(outputs, "replace this line")
    assert "✓ right" in printed(outputs, "grad_output * 2 * input")


def test_the_network_learns(outputs):
    (accuracy,) = re.findall(r'"text/plain": \["([0-9.]+)"\]', printed(outputs, "main(Config"))
    assert float(accuracy) > 0.9


def test_a_picture_is_inline(outputs):
    assert "image/png" in printed(outputs, "plot_weights")
