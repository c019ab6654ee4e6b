"""Read a function's file as text: the lesson's sections, what is given, what is to be written.

PyTorch need not be imported to show a formula, so the file is parsed and not run.
"""

import ast
import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Argument:
    """One argument of ``forward``."""

    name: str
    has_gradient: bool


class Lesson:
    """A page of the book: module docstring, Function class, wrapper.

    Parameters
    ----------
    path : Path
        The Python file.

    Attributes
    ----------
    source : str
        Its text.
    title : str
        The docstring's first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = path.read_text(encoding="utf-8")
        self._tree = ast.parse(self.source)
        self._docstring = ast.get_docstring(self._tree) or ""
        self.title = self._docstring.split("\n", 1)[0]

    @cached_property
    def sections(self) -> dict[str, str]:
        """Each heading of the docstring with the text below it."""
        pieces = re.split(r"^(\w[\w ]*)\n-{3,}\n", self._docstring, flags=re.MULTILINE)
        return {heading: body.strip("\n") for heading, body in zip(pieces[1::2], pieces[2::2], strict=True)}

    @property
    def class_name(self) -> str:
        """The name of the file's Function class."""
        return self._class.name

    def method(self, name: str) -> str:
        """Return the source of one of the class's methods, without its decorator."""
        return self._text(self._find_method(name))

    def function(self, name: str) -> str:
        """Return the source of one of the file's functions."""
        return self._text(
            next(n for n in self._tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
        )

    def body(self) -> str:
        """Return everything below the docstring."""
        first = self._tree.body[1]
        return "\n".join(self.source.splitlines()[first.lineno - 1 :]) + "\n"

    def given_lines(self) -> list[str]:
        """Return backward's first statements, which only take things off ``ctx``: nothing to derive there."""
        given = []
        for statement in self._find_method("backward").body:
            if not (isinstance(statement, ast.Assign) and _is_from_ctx(statement.value)):
                break
            given.append(self._text(statement))
        return given

    def upstream(self) -> list[str]:
        """Return what backward calls the upstream gradients, one for each output."""
        return [argument.arg for argument in self._find_method("backward").args.args[1:]]

    def arguments(self) -> list[Argument]:
        """Return forward's arguments, and whether backward's return type has a gradient for each."""
        names = [argument.arg for argument in self._find_method("forward").args.args]
        returned = self._find_method("backward").returns
        if isinstance(returned, ast.Subscript) and isinstance(returned.slice, ast.Tuple):
            kinds = [ast.unparse(kind) for kind in returned.slice.elts]
        else:
            kinds = [ast.unparse(returned)] if returned else []
        return [Argument(name, kind != "None") for name, kind in zip(names, kinds, strict=True)]

    def shapes(self) -> list[tuple[str, str]]:
        """Return the wrapper's tensor parameters and its result, each with the text that gives its shape."""
        wrapper = next(
            node
            for node in self._tree.body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        )
        docstring = ast.get_docstring(wrapper) or ""
        text = r"((?:\n {4}.+)+)"
        parameters = re.findall(rf"^(\w+) : Tensor.*{text}", docstring, flags=re.MULTILINE)
        result = re.findall(rf"^Returns\n-+\n(?:tuple of )?Tensor{text}", docstring, flags=re.MULTILINE)
        shapes = [*parameters, *(("result", text) for text in result)]
        return [(name, " ".join(text.split())) for name, text in shapes]

    def helpers(self, method: str) -> list[str]:
        """Return the file's own functions that a method uses, directly or through one another."""
        functions = {node.name: node for node in self._tree.body if isinstance(node, ast.FunctionDef)}
        wanted, seen = [self._find_method(method)], set[str]()
        while wanted:
            for node in ast.walk(wanted.pop()):
                if isinstance(node, ast.Name) and node.id in functions and node.id not in seen:
                    seen.add(node.id)
                    wanted.append(functions[node.id])
        return [self._text(node) for name, node in functions.items() if name in seen]

    @property
    def _class(self) -> ast.ClassDef:
        return next(node for node in self._tree.body if isinstance(node, ast.ClassDef))

    def _find_method(self, name: str) -> ast.FunctionDef:
        return next(
            node for node in self._class.body if isinstance(node, ast.FunctionDef) and node.name == name
        )

    def _text(self, node: ast.stmt) -> str:
        lines = self.source.splitlines()[node.lineno - 1 : node.end_lineno]
        return textwrap.dedent("\n".join(lines))


def _is_from_ctx(value: ast.expr) -> bool:
    return isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == "ctx"
