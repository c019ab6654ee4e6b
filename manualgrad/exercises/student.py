"""Find a student's Function in their file, put it in the place of ours, and explain what it raises."""

import ast
import difflib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.cases import FunctionInfo
from manualgrad.exercises.given import without_backward
from manualgrad.loading import FileError, describe


def find_class(module: types.ModuleType, ours: type[Function]) -> type[Function]:
    """Return the file's last class that gives a Function of ours another backward."""
    for value in reversed(vars(module).values()):
        if (
            isinstance(value, type)
            and issubclass(value, (ours, without_backward(ours)))
            and "backward" in vars(value)
            and value.__module__ == module.__name__
        ):
            return value
    raise FileError(
        "no-class",
        f"{Path(str(module.__file__)).name} has no class that derives from {ours.__name__} and has a "
        "backward: the line that begins with `class` and the name `backward` have to stay",
    )


@contextmanager
def in_place_of_ours(info: FunctionInfo, function_class: type[Function]) -> Iterator[None]:
    """Let a function of ours work with another Function class, for the length of a ``with`` block.

    The wrapper, which checks and prepares the arguments, looks its class up in its module at each call.
    """
    module, name = sys.modules[info.function.__module__], info.function_class.__name__
    setattr(module, name, function_class)
    try:
        yield
    finally:
        setattr(module, name, info.function_class)


_FLOAT = "torch.zeros makes float32: write dtype=grad_output.dtype, or torch.zeros_like."

# What stands in a message of Python or PyTorch, and what it means here.
MEANINGS = {
    "builtin_function_or_method": (
        "A function's parentheses are missing there; or forward has not saved `input`, which is Python's own."
    ),
    "'NoneType'": (
        "None stands for an argument that was not given, and for what was not saved, since no gradient needs "
        "it (ctx.needs_input_grad tells)."
    ),
    "was not a Variable": "Forward got no tensor in that place, counted from 1: its gradient has to be None.",
    "expected Variable or None": "A gradient is a tensor of its argument's shape, or None.",
    "is of type int": "torch.zeros_like makes a tensor of zeros; None stands for no gradient.",
    "does not require grad": "`.backward()` walks a whole program's graph. Here you write the formula.",
    "Boolean value of Tensor": "`if` asks one question of the whole tensor; torch.where asks each element.",
    "be converted to Python scalars": "Python's math takes one number; torch's functions take a tensor.",
    "must be Tensor, not": "torch's functions take tensors; for a plain number Python's math has them.",
    "'float' object has no attribute": "It is a plain number, no tensor: Python's math has its functions.",
    "'tuple' object has no attribute": "ctx.saved_tensors is a tuple, also of one: unpack it.",
    "values to unpack": "The names on the left are as many as forward saved, or as the shape has sizes.",
    "shapes cannot be multiplied": (
        "Is one of them to be transposed? `@` multiplies matrices, `*` goes element by element."
    ),
    "must match the size": "`*`, `+` and `-` go element by element: sizes are equal, or 1 (keepdim=True).",
    "Dimension out of range": "The tensor has fewer dimensions than that.",
    "is invalid for input of size": "To reshape keeps the number of elements.",
    "Given groups=": (
        "conv2d sums over dimension 1 of both. transpose(0, 1) brings the batch there, to be summed."
    ),
    "can't be greater than actual input": "Zeros are missing around it: for a kernel k wide k - 1.",
    "out of bounds": "An index counts the places along one dimension. For which tensor was this one made?",
    "same number of dimensions": "An index has as many dimensions as what it points into (unsqueeze).",
    "indexing result": "`x[index]` counts along the first dimension: scatter_add counts along any.",
    "number of sizes provided": "What is written there has more dimensions than the place.",
    "Expected 1-D": "It takes one vector: here are several rows.",
    "used as indices": "An index is a tensor of whole numbers (int64) or of bool.",
    "expected dtype int64": "The index comes second, what is written third.",
    "object is not callable": "A tensor and parentheses are read as a call: is a `*` missing between them?",
    **dict.fromkeys(("(Float)", "Float and", "self.dtype to be equal"), _FLOAT),
    "keyword argument 'axis'": "NumPy does not know tensors: write it with torch, where axis is dim.",
    "of a 0-d tensor": "It is one number here: there is no batch.",
}

# What cuts a gradient off from the graph, and why.
CUTS = {
    "torch.autograd": "lets PyTorch differentiate: the exercise is to write the formula.",
    "torch.tensor(": "copies numbers into a new tensor.",
    **dict.fromkeys((".detach()", ".data", "no_grad"), "leaves the graph."),
    **dict.fromkeys((".item()", ".tolist()", "float(", ".numpy()"), "makes plain numbers of tensors."),
}


def cut(function_class: type[Function]) -> str:
    """Say what in a backward cuts its result off from the graph; empty if nothing is known to."""
    lines, start = inspect.getsourcelines(function_class.backward)
    found = (
        (k, sign, why) for k, line in enumerate(lines, start) for sign, why in CUTS.items() if sign in line
    )
    return next((f"Line {k}: `{sign.rstrip('(')}` {why}" for k, sign, why in found), "")


def meaning(message: str) -> str:
    """Return what a message of Python or PyTorch means here; empty if it is as plain as it can be."""
    return next((f" ({note})" for sign, note in MEANINGS.items() if sign in message), "")


def explain(error: BaseException, path: Path) -> str:
    """Say where in a file an exception was raised, what it says, and what is known in that line."""
    frame = frame_in(error, path)
    if frame is None:
        return describe(error, path)
    parts = [describe(error, path) + meaning(str(error))]
    statement = _statement(path, frame.tb_lineno)
    known = frame.tb_frame.f_globals | frame.tb_frame.f_locals
    if isinstance(error, NameError):
        parts.append(_explain_name(error.name or "", frame.tb_frame.f_locals, path))
    elif any(isinstance(node, ast.BitXor) for node in statement):
        parts.append("`^` is no power in Python: write `**`.")
    else:
        names = dict.fromkeys(node.id for node in statement if isinstance(node, ast.Name))
        tensors = {name: known[name] for name in names if isinstance(known.get(name), Tensor)}
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        parts += [f"Shapes: {shapes}."] if shapes else []
        labels = [name for name, t in tensors.items() if not t.is_floating_point() and t.dtype != torch.bool]
        if labels and "must match the size" in str(error):
            parts.append(
                f"{labels[0]} holds labels, one number a row: torch.nn.functional.one_hot makes rows."
            )
        if any(0 in tensor.shape for tensor in tensors.values()):
            parts.append("The batch is empty here: it has no rows.")
    return "\n".join(parts)


def _explain_name(name: str, local: dict[str, Any], path: Path) -> str:
    """Say where a name is to be found that is not defined."""
    if name.startswith("grad_"):
        return f"Nothing was assigned to {name}: write `{name} = ...`."
    if hasattr(local.get("ctx"), name):
        return f"Forward kept it: ctx.{name}."
    if re.search(rf"^ *# +def {name}\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        return "It stands in a comment only, which shows what forward does."
    if name in sys.stdlib_module_names:
        return f"Write `import {name}` at the top."
    if callable(getattr(torch, name, None)):
        return f"Did you mean torch.{name}?"
    names = [other for other in local if not other.startswith("_")]
    near = difflib.get_close_matches(name, [*names, "torch"], n=1)
    return f"Did you mean {near[0]}?" if near else f"The names that there are: {', '.join(names)}."


def frame_in(error: BaseException, path: Path) -> types.TracebackType | None:
    """Return the last entry of the traceback that lies in the file."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            found = trace
        trace = trace.tb_next
    return found


def _statement(path: Path, line: int) -> list[ast.AST]:
    """Return every node of the innermost statement that a line belongs to."""
    nodes = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.stmt)]
    around = [node for node in nodes if node.lineno <= line <= (node.end_lineno or line)]
    return [node for s in around[-1:] for node in ast.walk(s)]
