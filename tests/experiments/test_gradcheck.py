"""The script: the package is right, somebody's wrong function is named, and mistakes are one line."""

import sys

import pytest

from experiments import gradcheck
from manualgrad.training import launch
from tests.gradcheck.test_main import WRONG


@pytest.fixture
def somebodys(tmp_path):
    def write(text):
        file = tmp_path / "mine.py"
        file.write_text(text)
        return f"{file}:Sigmoid"

    return write


@pytest.mark.parametrize("name", ["sigmoid", "linear"])
def test_a_function_of_the_package_is_right(name, perform):
    performance = perform(gradcheck, "--function", name, "--step-sweep")
    assert performance.status == 0
    assert performance.metrics["wrong"] == 0
    assert performance.metrics["checked"] >= 4


def test_the_sweep_is_a_v(perform):
    performance = perform(gradcheck, "--function", "tanh", "--step-sweep")
    v = performance.curve("error at step size 1e-k/tanh/matrix")
    tip = min(v, key=v.get)
    assert 4 <= tip <= 7
    assert v[1] > 1e3 * v[tip]
    assert v[12] > 1e3 * v[tip]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_all_functions_are_right(dtype, perform):
    performance = perform(gradcheck, "--dtype", dtype)
    assert performance.status == 0


def test_somebodys_wrong_function_is_named(perform, somebodys):
    performance = perform(gradcheck, somebodys(WRONG))
    assert performance.status == 1
    assert performance.err == "gradcheck: error: Sigmoid is wrong\n"
    assert "sign (input): The gradient of input has the wrong sign." in performance.out
    assert performance.metrics["reports"]["Sigmoid"]["findings"][0]["kind"] == "sign"


def test_a_right_file_imports_its_neighbour(perform, somebodys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mines_neighbour.py").write_text("from torch import sigmoid\n")
    text = WRONG.replace(
        "return torch.sigmoid(input)", "from mines_neighbour import sigmoid; return sigmoid(input)"
    )
    performance = perform(gradcheck, somebodys(text.replace("(y - 1)", "(1 - y)")))
    assert performance.status == 0
    assert "1 of 1 are right" in performance.out


@pytest.mark.parametrize("arguments", [["nowhere.py:Sigmoid"], ["--function", "nothing"], ["no-colon"]])
def test_what_is_not_there_is_one_line(arguments, tmp_path, capsys):
    assert launch(gradcheck.main, gradcheck.Config, [*arguments, "--runs-dir", str(tmp_path / "runs")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_wrong_argument_is_usage():
    with pytest.raises(SystemExit, match="2"):
        launch(gradcheck.main, gradcheck.Config, ["--dtype", "int8"])
