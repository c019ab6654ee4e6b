"""Scripts that are written for torch.nn run on manualgrad with the imports changed, to the same losses."""

from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).parent / "public_scripts"


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def losses(source):
    namespace = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace["losses"]


@pytest.mark.parametrize("name", ["cnn", "char_transformer"])
def test_the_losses_are_the_same_step_by_step(name):
    source = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    changed = source.replace("import torch.nn as nn", "import manualgrad.nn as nn").replace(
        "import torch.nn.functional as F", "import manualgrad.functions as F"
    )
    assert "torch.nn" not in changed.split('"""', 2)[2]
    theirs = losses(source)
    assert losses(changed) == pytest.approx(theirs, rel=1e-9)
    assert theirs[-1] < 0.6 * theirs[0]  # it learns
