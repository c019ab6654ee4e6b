"""Check the backward of a Function in a file, and say why if it is wrong.

    python -m manualgrad.gradcheck path/to/file.py:ClassName

checks a torch.autograd.Function. Beside it the file has a function `inputs()`
that returns the arguments of `apply` as a tuple; it may have a function
`reference(...)` with the same arguments, whose gradient is trusted.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch.autograd import Function

from manualgrad.errors import UserError
from manualgrad.gradcheck import gradcheck
from manualgrad.gradcheck.subject import is_function_class
from manualgrad.loading import FileError, load_module


def load_target(target: str) -> tuple[type[Function], Any, Callable[..., Any] | None]:
    """Find the class of ``path/to/file.py:ClassName``, and beside it ``inputs()`` and perhaps ``reference``.

    What is not there is a UserError: one line that says what was expected.
    """
    file, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"{target}: expected path/to/file.py:ClassName; there is no file {file!r}")
    try:
        module = load_module(path)
    except FileError as problem:
        raise UserError(" ".join(str(problem).split())) from problem
    functions = {k: v for k, v in vars(module).items() if is_function_class(v) and v is not Function}
    if name not in functions:
        there = " or ".join(f"{path}:{key}" for key in functions) or "but the file has none"
        raise UserError(f"{target}: expected a class that derives from torch.autograd.Function, {there}")
    if not callable(getattr(module, "inputs", None)):
        if functions[name].__base__.__module__ == "manualgrad.exercises.given":
            course = f"`python -m manualgrad.exercises check {path}`"
            raise UserError(f"{path}: is a file of the course, which {course} checks")
        raise UserError(
            f"{path}: needs a function inputs() that returns the arguments of {name}.apply: "
            "def inputs(): return (torch.randn(3, 4, dtype=torch.float64),)"
        )
    return functions[name], module.inputs(), getattr(module, "reference", None)


def main(argv: Sequence[str] | None = None) -> int:
    """Check what the command line names; return 0 if it is right and 1 if not."""
    parser = argparse.ArgumentParser(
        "gradcheck", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="path/to/file.py:ClassName")
    target = parser.parse_args(argv).target
    try:
        report = gradcheck(*load_target(target))
    except UserError as problem:
        print(f"gradcheck: error: {problem}", file=sys.stderr)
        return 1
    if sys.stdout.isatty():
        import rich

        rich.print(report)
    else:
        print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
