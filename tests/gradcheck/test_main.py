"""The command: somebody's function is judged and named, and what is wrong with a file is one line."""

import subprocess
import sys

import pytest

from manualgrad.gradcheck.__main__ import main

WRONG = """
import torch

class Sigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        y = torch.sigmoid(input)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output * y * (y - 1)

def inputs():
    return (torch.linspace(-1, 1, 6).reshape(2, 3),)

def reference(input):
    return torch.sigmoid(input)
"""


@pytest.fixture
def somebodys(tmp_path):
    def write(text):
        file = tmp_path / "mine.py"
        file.write_text(text)
        return f"{file}:Sigmoid"

    return write


def test_a_wrong_function_is_named(somebodys, capsys):
    assert main([somebodys(WRONG)]) == 1
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("sign (input): The gradient of input has the wrong sign.")


def test_a_right_function_is_right(somebodys, capsys):
    assert main([somebodys(WRONG.replace("(y - 1)", "(1 - y)"))]) == 0
    assert capsys.readouterr().out.startswith("Sigmoid: right")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("def inputs", "def given"),
            "needs a function inputs() that returns the arguments of Sigmoid.apply",
        ),
        (("class Sigmoid", "class Sigmiod"), "mine.py:Sigmiod"),
        (("class Sigmoid(torch.autograd.Function)", "class Sigmoid"), "but the file has none"),
        (("return y", "return ("), "mine.py, line "),
        (
            ("return (torch.linspace(-1, 1, 6).reshape(2, 3),)", "return (1, 2)"),
            "at least one floating-point",
        ),
    ],
)
def test_a_broken_file_is_one_line(change, message, somebodys, capsys):
    assert main([somebodys(WRONG.replace(*change))]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_file_of_the_course_is_for_the_course(tmp_path, capsys):
    file = tmp_path / "sigmoid.py"
    file.write_text("from manualgrad.exercises import given\n\n\nclass Sigmoid(given.Sigmoid): ...\n")
    assert main([f"{file}:Sigmoid"]) == 1
    assert f"`python -m manualgrad.exercises check {file}`" in capsys.readouterr().err


def test_without_a_class_the_files_classes_are_listed(somebodys, capsys):
    file = somebodys(WRONG).removesuffix(":Sigmoid")
    assert main([file]) == 1
    assert capsys.readouterr().err.endswith(f"derives from torch.autograd.Function, {file}:Sigmoid\n")


@pytest.mark.parametrize("arguments", [[], ["--nothing", "file.py:Class"]])
def test_a_wrong_argument_is_usage(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().err.count("\n") == 2


def test_it_needs_torch_and_rich_alone(somebodys):
    blocked = ("matplotlib", "torchvision", "tyro", "manualgrad.exercises", "manualgrad.training")
    code = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"
        f"sys.argv = ['gradcheck', {somebodys(WRONG)!r}]\n"
        "runpy.run_module('manualgrad.gradcheck', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
