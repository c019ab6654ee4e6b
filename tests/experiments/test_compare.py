"""The same training with a student's function and with ours."""

import json

import pytest
import torch

import manualgrad.functions as F
import manualgrad.nn as nn
from experiments import compare, mnist, xor
from manualgrad.cases import FUNCTIONS
from manualgrad.training import launch
from tests.exercises.attempts import attempt


@pytest.fixture
def type_in(tmp_path, capsys):
    """Compare with a file of these lines, and return status, standard output and error."""

    def type_in(script, exercise, *lines, text=None, epochs=("--epochs", "300")):
        file = tmp_path / f"{exercise}.py"
        file.write_text(attempt(exercise, *lines) if text is None else text)
        options = ["--runs-dir", str(tmp_path / "runs"), "--log", "none", *epochs]
        status = launch(compare.main, compare.Config, [script, str(file), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return type_in


def test_both_are_trained_shown_and_judged(type_in, tmp_path):
    ours = F.Sigmoid
    half = "grad_input = 0.5 * grad_output * output * (1 - output)"
    status, out, err = type_in("xor", "sigmoid", half)
    assert (status, err) == (0, "")
    folders = sorted(tmp_path.glob("runs/compare-sigmoid/*/xor/*"))
    assert [folder.parts[-3] for folder in folders] == ["ours", "yours"]
    answers = [json.loads((folder / "metrics.json").read_text())["answers"] for folder in folders]
    assert answers[0] != answers[1]
    assert out.index("✗ sigmoid") < out.index("scale") < out.index("first with our function")
    assert "With our sigmoid and with yours" in out
    (row,) = (line.split() for line in out.splitlines() if line.strip().startswith("mean absolute error"))
    assert row[-1] != row[-2]
    assert "to the last bit" not in out
    assert F.Sigmoid is ours


@pytest.mark.slow
def test_figures_that_are_not_the_documents_are_no_error(type_in):
    half = "grad_input = 0.5 * grad_output * output * (1 - output)"
    status, out, _ = type_in("xor", "sigmoid", half, epochs=())
    assert status == 0
    assert out.index("✗ sigmoid") < out.index(" figures agree") < out.index("With our sigmoid")


def test_the_same_figures_are_said_to_be_the_same(type_in):
    status, out, _ = type_in("xor", "sigmoid", "grad_input = grad_output * output * (1 - output)")
    assert status == 0
    assert "✓ sigmoid is right" in out
    assert "the same to the last bit" in out


@pytest.mark.parametrize(
    ("exercise", "lines", "message"),
    [
        ("sigmoid", ["raise NotImplementedError"], "backward is not written yet"),
        ("sigmoid", ["grad_input = nothing"], "NameError"),
        ("sigmoid", ["grad_input = ("], "was never closed"),
    ],
)
def test_what_cannot_be_trained_is_told_before(exercise, lines, message, type_in, tmp_path):
    status, out, err = type_in("xor", exercise, *lines)
    assert (status, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_function_that_the_network_never_calls(type_in):
    status, out, err = type_in("xor", "power", "grad_input = 2 * input * grad_output")
    assert (status, out) == (1, "")
    assert "xor's network never calls power, but linear, sigmoid, mse_loss" in err
    assert type_in("mnist", "network", text="")[0] == 1


def test_the_functions_that_a_network_calls_are_known():
    network = xor.build(vars(xor.Config()) | {"hidden": 5, "learning_rate": 0.3}, 0, torch.device("cpu"))
    losses = {
        "xor": network.loss_function(network.model(torch.zeros(4, 2).double()), torch.zeros(4, 1).double()),
        "mnist": nn.CrossEntropyLoss()(mnist.build_model()(torch.zeros(2, 784)), torch.zeros(2).long()),
    }
    for script, loss in losses.items():
        nodes, waiting = set(), [loss.grad_fn]
        while waiting:
            node = waiting.pop()
            nodes.add(node.name())
            waiting += [before for before, _ in node.next_functions if before is not None]
        known = {info.name: f"{info.function_class.__name__}Backward" for info in FUNCTIONS.values()}
        assert {name for name in known if known[name] in nodes} == set(compare.CALLED[script])


def test_a_file_without_a_function_is_one_line(type_in):
    status, _, err = type_in("mnist", "relu", text="")
    assert status == 1
    assert "has no class that derives from ReLU" in err
    assert "no exercise is called 'mine'" in type_in("mnist", "mine", text="")[2]
