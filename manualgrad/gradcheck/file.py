"""A Function in a user's file, with the inputs and the reference that stand beside it."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch.autograd import Function

from manualgrad.errors import UserError
from manualgrad.gradcheck.subject import is_differentiable, is_function_class
from manualgrad.loading import FileError, load_module


class Target(NamedTuple):
    """What a user asks to have checked."""

    name: str
    function: type[Function]
    inputs: tuple[Any, ...]
    reference: Callable[..., Any] | None


def load_target(target: str) -> Target:
    """Find the class of ``path/to/file.py:ClassName``, and beside it ``inputs()`` and perhaps ``reference``.

    What is not there, or raises, is a UserError: one line that says what was expected.
    """
    file, name = target.rpartition(":")[0] or target, target.rpartition(":")[2]
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{target}: expected path/to/file.py:ClassName; there is no file {file!r}")
    try:
        module = load_module(path)
    except FileError as problem:
        raise UserError(" ".join(str(problem).split())) from problem
    functions = {k: v for k, v in vars(module).items() if is_function_class(v) and v is not Function}
    if not functions:
        raise UserError(f"{path}: has no class that derives from torch.autograd.Function")
    if file == target:
        raise UserError(f"{path}: which class? {' or '.join(f'{path}:{key}' for key in functions)}")
    if name not in functions:
        similar = difflib.get_close_matches(name, functions, n=3)
        there = f"did you mean {' or '.join(similar)}?" if similar else f"there is {', '.join(functions)}"
        raise UserError(f"{path}: has no torch.autograd.Function called {name!r}: {there}")
    if not callable(getattr(module, "inputs", None)):
        if functions[name].__base__.__module__ == "manualgrad.exercises.given":
            raise UserError(
                f"{path}: is a file of the course, which `python -m manualgrad.exercises check {path}` checks"
            )
        raise UserError(
            f"{path}: needs a function inputs() that returns the arguments of {name}.apply: "
            "def inputs(): return (torch.randn(3, 4, dtype=torch.float64),)"
        )
    try:
        inputs = module.inputs()
    except Exception as problem:
        raise UserError(f"{path}: inputs() raised {type(problem).__name__}: {problem}") from problem
    inputs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if not any(map(is_differentiable, inputs)):
        raise UserError(f"{path}: inputs() returned no floating-point tensor")
    return Target(name, functions[name], inputs, getattr(module, "reference", None))
