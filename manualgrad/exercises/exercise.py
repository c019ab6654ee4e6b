"""One exercise: its lesson, what the student's file holds, and in which steps it is judged.

PyTorch need not be imported to show a formula, so a lesson's page is parsed and not run.
"""

import ast
import itertools
import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import manualgrad

PACKAGE = Path(manualgrad.__path__[0])
FUNCTIONS = PACKAGE / "functions"
LESSONS = PACKAGE / "exercises" / "lessons"


class Lesson:
    """A page of the book: module docstring with its sections, Function class, wrapper."""

    def __init__(self, source: str) -> None:
        self._lines, self._tree = source.splitlines(), ast.parse(source)
        docstring = ast.get_docstring(self._tree) or ""
        self.title = docstring.partition("\n")[0]
        pieces = re.split(r"^(\w[\w ]*)\n-{3,}\n", docstring, flags=re.MULTILINE)
        self.sections = {
            heading: body.strip("\n") for heading, body in zip(pieces[1::2], pieces[2::2], strict=True)
        }
        nodes = list(ast.walk(self._tree))
        self._functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        self.class_name = next((node.name for node in nodes if isinstance(node, ast.ClassDef)), "")

    def code(self, name: str) -> str:
        """Return the source of a function or a method, without its decorators."""
        return self._text(self._functions[name])

    def body(self) -> str:
        """Return everything below the docstring."""
        return "\n".join(self._lines[self._tree.body[1].lineno - 1 :]) + "\n"

    def given_lines(self) -> list[str]:
        """Return backward's first statements, which only take things off ``ctx``: nothing to derive there."""
        given = itertools.takewhile(
            lambda statement: re.fullmatch(r"[^=]*= ctx\.\w+", ast.unparse(statement)),
            self._functions["backward"].body,
        )
        return [self._text(statement) for statement in given]

    def upstream(self) -> list[str]:
        """Return what backward calls the upstream gradients, one for each output."""
        return [argument.arg for argument in self._functions["backward"].args.args[1:]]

    def arguments(self) -> dict[str, bool]:
        """Return forward's arguments, and whether backward's return type has a gradient for each."""
        names = [argument.arg for argument in self._functions["forward"].args.args]
        returned = self._functions["backward"].returns
        assert returned is not None
        kinds = ast.unparse(returned).removeprefix("tuple[").removesuffix("]").split(", ")
        return {name: kind != "None" for name, kind in zip(names, kinds, strict=True)}

    def shapes(self) -> list[tuple[str, str]]:
        """Return the wrapper's tensor parameters and its result, each with the text that gives its shape."""
        wrapper = next(node for name, node in self._functions.items() if not name.startswith("_"))
        docstring = ast.get_docstring(wrapper) or ""
        text = r"((?:\n {4}.+)+)"
        parameters = re.findall(rf"^(\w+) : Tensor.*{text}", docstring, flags=re.MULTILINE)
        result = re.findall(rf"^Returns\n-+\n(?:tuple of )?Tensor{text}", docstring, flags=re.MULTILINE)
        return [(name, " ".join(text.split())) for name, text in [*parameters, ("result", *result)]]

    def helpers(self, method: str) -> list[str]:
        """Return the page's own functions that a method uses, directly or through one another."""
        wanted, seen = [self._functions[method]], set[str]()
        while wanted:
            names = {node.id for node in ast.walk(wanted.pop()) if isinstance(node, ast.Name)}
            new = (names & self._functions.keys()) - seen
            wanted += [self._functions[name] for name in new]
            seen |= new
        return [self.code(name) for name in self._functions if name in seen]

    def _text(self, node: ast.stmt) -> str:
        lines = self._lines[node.lineno - 1 : node.end_lineno]  # with the comments at their ends
        return textwrap.dedent("\n".join(lines))


@dataclass(frozen=True)
class Step:
    """One thing to get right, worth a point; the next step is looked at when this one is right.

    Without names, every sample counts, and the gradient of every argument.
    """

    title: str
    samples: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """One exercise. The solution is the page's own code; nothing here repeats it."""

    name: str  # what the student types
    page: Path  # the file with the lesson and the solution
    steps: tuple[Step, ...]
    # A Function without its backward, one whose verdict is to be predicted, a network line by line, or a
    # training script with a mistake in it.
    kind: Literal["function", "prediction", "network", "script"] = "function"
    about: str = ""  # for the list, in the place of the lesson's title
    note: str = ""  # what the student is told besides the task
    forward: str = ""  # shown in the place of a forward that calls helpers: the same, in plain lines
    wrong_backward: str = ""  # a Function's lines that are to be mended, or whose kind is to be predicted
    answer: str = ""  # that kind
    mistakes: tuple[tuple[str, str], ...] = ()  # in a script: the solution's text, and what stands there

    @cached_property
    def lesson(self) -> Lesson:
        """The page, read when it is needed."""
        return Lesson(self.page.read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        """What it is about, in a line."""
        return self.about or self.lesson.title

    @property
    def module(self) -> str:
        """The page's dotted name."""
        return ".".join(("manualgrad", *self.page.relative_to(PACKAGE).with_suffix("").parts))
