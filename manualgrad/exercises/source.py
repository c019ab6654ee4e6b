"""A function's source as a tree: read it, change it, run it, and watch the values of its expressions."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from manualgrad.cases import FunctionInfo, SampleInput
from manualgrad.exercises.student import in_place_of_ours
from manualgrad.gradcheck.forward_backward import differentiate
from manualgrad.gradcheck.tolerance import Tolerance, same

EXACT = Tolerance(1e-7, 1e-9)


@dataclass
class Call:
    """One call of backward, and what ours returns."""

    ctx: dict[str, Any]
    upstream: tuple[Any, ...]
    right: tuple[Any, ...]

    def run(self, backward: Any) -> tuple[Any, ...]:
        """Return what a backward returns; nothing if it raises."""
        saved = tuple(map(copy, self.ctx["saved_tensors"]))  # a backward may change them
        ctx = SimpleNamespace(**self.ctx | {"saved_tensors": saved})
        try:
            with torch.no_grad():
                result = backward(ctx, *map(copy, self.upstream))
        except Exception:
            return ()
        return result if isinstance(result, tuple) else (result,)


def copy(value: Any) -> Any:
    """Copy a tensor; what else there is stays as it is."""
    return value.detach().clone() if isinstance(value, Tensor) else value


@dataclass(frozen=True, eq=False)
class Place:
    """Where a node stands: in a list or in its parent's ``__dict__``, under a key."""

    function: ast.FunctionDef
    parent: ast.AST
    container: Any
    key: Any

    @property
    def node(self) -> Any:
        """What stands there."""
        return self.container[self.key]


class Code:
    """A function and its helpers, and what the other names in them stand for."""

    def __init__(self, functions: list[ast.FunctionDef], names: dict[str, Any]) -> None:
        self.functions, self.names, self.main = functions, dict(names), functions[0]
        self.holders: dict[ast.AST, Place] = {}
        self.places: list[Place] = []  # of what an edit may change
        for function in functions:
            self.load(function)
            for place in _places(function, function):
                self.holders[place.node] = place
                if _may_change(place):
                    place.node.number = len(self.places)
                    self.places.append(place)
        self._seen: dict[ast.AST, Any] = {}
        self._stirred: ast.AST | None = None
        self._watched = dict(self.names) | {"see": self._see}
        for function in functions:
            tree = ast.Module([_Watch().visit(deepcopy(function))], [])
            exec(compile(ast.fix_missing_locations(tree), "<watched>", "exec"), self._watched)

    def load(self, function: ast.FunctionDef) -> None:
        """Define one of the functions as its tree is now."""
        exec(compile(ast.Module([function], []), "<an edit>", "exec"), self.names)

    def run(self, call: Call) -> tuple[Any, ...]:
        """Run the function as it was loaded last."""
        return call.run(self.names[self.main.name])

    @contextmanager
    def changed(self, changes: list[tuple[Place, ast.expr]]) -> Iterator[None]:
        """Change what stands in some places for a while."""
        before, function = [place.node for place, _ in changes], changes[0][0].function
        compiled = self.names[function.name]
        for place, new in changes:
            place.container[place.key] = ast.fix_missing_locations(ast.copy_location(new, place.node))
        try:
            yield
        finally:
            self.names[function.name] = compiled
            for (place, _), node in zip(changes, before, strict=True):
                place.container[place.key] = node

    def watch(self, call: Call, stirred: ast.AST | None = None) -> tuple[dict[ast.AST, Any], tuple[Any, ...]]:
        """Run it; return the first value of each expression, and what it returns with one of them stirred."""
        self._seen, self._stirred = {}, stirred
        result = call.run(self._watched[self.main.name])
        return self._seen, result

    def _see(self, number: int, value: Any) -> Any:
        node = self.places[number].node
        self._seen.setdefault(node, copy(value))
        is_float = isinstance(value, Tensor) and value.is_floating_point()
        return value * 1.25 + 0.1 if node is self._stirred and is_float else value


class _Watch(ast.NodeTransformer):
    """Lets every numbered expression pass through ``see``."""

    def visit(self, node: ast.AST) -> Any:
        self.generic_visit(node)
        if not hasattr(node, "number") or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return node
        if isinstance(node, ast.Tuple) and any(isinstance(part, ast.Slice) for part in node.elts):
            return node
        arguments: list[Any] = [ast.Constant(node.number), node]
        return ast.Call(ast.Name("see", ast.Load()), arguments, [])


def _places(function: ast.FunctionDef, parent: ast.AST) -> Iterator[Place]:
    """Yield where every node below another stands."""
    for name, value in ast.iter_fields(parent):
        is_list = isinstance(value, list)
        for key in range(len(value)) if is_list else [name]:
            place = Place(function, parent, value if is_list else vars(parent), key)
            if isinstance(place.node, ast.AST):
                yield place
                is_condition = isinstance(parent, ast.If | ast.IfExp) and key == "test"
                if not is_condition and not isinstance(place.node, ast.While):  # which might never end
                    yield from _places(function, place.node)


def _may_change(place: Place) -> bool:
    """Return whether an expression is read; or else, whether it is a tuple to unpack into."""
    node, parent = place.node, place.parent
    if isinstance(node, ast.Starred | ast.Slice | ast.JoinedStr) or not isinstance(node, ast.expr):
        return False
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return isinstance(node, ast.Tuple)
    if isinstance(getattr(parent, "ctx", None), ast.Store) and place.key == "value":
        return False
    return not (isinstance(parent, ast.If | ast.IfExp) and place.key == "test") and not (
        isinstance(parent, ast.Call) and place.key == "func"
    )


def names_in(node: ast.AST) -> set[str]:
    """Return every name in a piece of code."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def read(function: Any) -> Code:
    """Read a function's source, and that of its helpers in the same package or file."""
    home, names = function.__module__.partition(".")[0], dict[str, Any]()
    found, functions = list[ast.FunctionDef](), [function]
    for one in map(inspect.unwrap, functions):  # a decorator has the line and the globals of its own file
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        if not isinstance(node, ast.FunctionDef):
            raise TypeError("a lambda, say")
        ast.increment_lineno(node, one.__code__.co_firstlineno - 1)
        node.decorator_list, node.returns = [], None
        for argument in node.args.args:
            argument.annotation = None
        found.append(node)
        names |= one.__globals__
        for helper in map(one.__globals__.get, sorted(names_in(node))):
            is_near = isinstance(helper, FunctionType) and helper.__module__.partition(".")[0] == home
            if is_near and helper not in functions:
                functions.append(helper)
    return Code(found, names)


def record(info: FunctionInfo, sample: SampleInput) -> list[Call]:
    """Run a function of ours on a sample, forward and backward, and return the calls of its backward."""
    ours, calls = info.function_class, list[Call]()

    def backward(ctx: Any, *upstream: Any) -> Any:
        known = vars(ctx) | {"needs_input_grad": ctx.needs_input_grad}
        known["saved_tensors"] = tuple(map(copy, ctx.saved_tensors))
        result: Any = ours.backward(ctx, *upstream)
        right = result if isinstance(result, tuple) else (result,)
        calls.append(Call(known, tuple(map(copy, upstream)), tuple(map(copy, right))))
        return result

    call, values = sample.bind(info.function)
    generator = torch.Generator().manual_seed(1)
    with in_place_of_ours(info, type(ours.__name__, (ours,), {"backward": staticmethod(backward)})):
        result = call(*(value.requires_grad_() for value in values))
        outputs = result if isinstance(result, tuple) else (result,)
        upstream = [torch.randn(y.shape, generator=generator, dtype=y.dtype) for y in outputs]
        differentiate(outputs, values, upstream)
    return calls


def line_of(path: str, line: int, names: list[str], known: dict[str, Any]) -> Code:
    """Return what an assignment at a line computes, as a function of the names that it may read."""
    (function,) = ast.parse(f"def line(ctx, {', '.join(names)}): return 0").body
    assert isinstance(function, ast.FunctionDef)
    assert isinstance(function.body[0], ast.Return)
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or line):
            function.body[0].value = node.value
    return Code([function], known)


def is_equal(a: Any, b: Any) -> bool:
    """Return whether two tensors are equal up to rounding, or two other values of one type."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return type(a) is type(b) and not isinstance(a, Tensor) and bool(a == b)
    if a.shape != b.shape:
        return False
    return torch.equal(a.isfinite(), b.isfinite()) and same(a.double(), b.double(), EXACT)


def has_same(results: tuple[Any, ...], goal: tuple[Any, ...], place: int) -> bool:
    """Return whether both have the same at a place; nobody asks for what the goal has not."""
    a, b = (one[place] if place < len(one) else None for one in (results, goal))
    return b is None or is_equal(a, b)
