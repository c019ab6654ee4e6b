"""The slips that students make: every version of a function's source that differs by one edit."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType
from typing import Any

DEPTH = 2  # how many operations one edit may leave out
NUMBERS = (0, -1, 1, 2, 3, -2, 0.5)
RELATED = (
    "sum mean", "sqrt rsqrt", "sin cos", "exp log", "sigmoid tanh", "softmax log_softmax", "erf tanh",
    "scatter scatter_add", "scatter_ scatter_add_", "index_copy index_add", "zeros_like ones_like",
    "amax amin", "sinh cosh", "reciprocal square",
)  # fmt: skip
OPERATORS: dict[type, tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add, ast.MatMult),
    ast.Div: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitXor: (ast.Pow,),
}
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
# What may be missing around a tensor; of these the second only change an order.
AROUND = (
    "-{}", "1 - {}", "{} ** 2", "1 / {}", "{}.exp()", "{}.log()", "{}.sqrt()", "{}.abs()", "{}.sum(0)",
    "{}.sum(-1, keepdim=True)", "{}.unsqueeze(-1)", "torch.sigmoid({})", "torch.tanh({})",
)  # fmt: skip
ORDERS = ("{}.mT", "{}.flip(-1)", "{}.flip(-2)", "{}.flip(-2, -1)", "{}.transpose(0, 1)")
# Kinds of edits, beside those of findings: a part in the place of the whole, another number.
PART, NUMBER = "part", "number"

Place = tuple[Any, Any]  # a list or a node's __dict__, and the key of what stands there


@dataclass
class Code:
    """A function and its helpers as a tree, and what the other names in it stand for."""

    tree: ast.Module
    names: dict[str, Any]
    is_theirs: bool
    kept: list[ast.AST] = field(default_factory=list)  # what edits may change

    @property
    def main(self) -> ast.FunctionDef:
        """The function itself."""
        main = self.tree.body[0]
        assert isinstance(main, ast.FunctionDef)
        return main

    def compile(self) -> Any:
        """Return the function as the tree is now."""
        names = dict(self.names)
        exec(compile(self.tree, "<an edit>", "exec"), names)
        return names[self.main.name]

    @cached_property
    def stored(self) -> list[str]:
        """The names that the function gives something, its arguments first."""
        nodes = [n for n in ast.walk(self.main) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        stored = dict.fromkeys([a.arg for a in self.main.args.args[1:]] + [n.id for n in nodes])
        return [name for name in stored if not name.endswith("_grad") and name != "_"]

    def keep(self, places: list[int]) -> None:
        """Let no edit change what does not concern these places of what is returned."""
        needed: set[str] = set()
        for node in ast.walk(self.main):
            if isinstance(node, ast.Return) and node.value is not None:
                parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                kept = [parts[k] for k in places] if len(parts) > max(places) else parts
                needed |= set[str]().union(*map(names_in, kept))
        statements = [n for n in ast.walk(self.main) if isinstance(n, ast.Assign | ast.AugAssign | ast.Expr)]
        for _ in statements:
            for node in statements:
                if needed & _changed_by(node):
                    is_plain = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
                    needed |= names_in(node.value if is_plain else node)
        others: list[ast.stmt] = [one for one in statements if not needed & _changed_by(one)]
        others += [n for n in ast.walk(self.tree) if isinstance(n, ast.While)]  # which might never end
        aside = {n for one in others for n in ast.walk(one)}
        self.kept = [node for node in ast.walk(self.tree) if node not in aside]


def names_in(node: ast.AST) -> set[str]:
    """Return every name in a piece of code."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _changed_by(node: ast.Assign | ast.AugAssign | ast.Expr) -> set[str]:
    """Return the names that a statement may change: of a call any."""
    if isinstance(node, ast.Assign):
        return set[str]().union(*map(names_in, node.targets))
    return names_in(node.target if isinstance(node, ast.AugAssign) else node)


def read(function: Any, is_theirs: bool) -> Code:
    """Read a function's source, and that of its helpers in the same package or file."""
    home, names = function.__module__.partition(".")[0], dict[str, Any]()
    tree, functions = ast.Module([], []), [function]
    for one in map(inspect.unwrap, functions):  # a decorator has the line and the globals of its own file
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        if not isinstance(node, ast.FunctionDef):
            raise TypeError("a lambda, say")
        ast.increment_lineno(node, one.__code__.co_firstlineno - 1)
        node.decorator_list, node.returns = [], None
        for argument in node.args.args:
            argument.annotation = None
        tree.body.append(node)
        names |= one.__globals__
        for helper in map(one.__globals__.get, sorted(names_in(node))):
            is_near = isinstance(helper, FunctionType) and helper.__module__.partition(".")[0] == home
            if is_near and helper not in functions:
                functions.append(helper)
    return Code(tree, names, is_theirs)


@dataclass(frozen=True)
class Edit:
    """One slip: whose source it edits, how surprising it is, and what comes where.

    The surprise is 0 for what students write most often, such as ``>=`` for ``>``, and grows with what an
    edit changes, up to 4. Where several edits explain a gradient, the least surprising is told.
    """

    is_theirs: bool
    surprise: int
    places: list[Place]
    new: ast.expr  # what comes there
    shown: Place  # the first place, or more around it
    kind: str  # of a finding, or PART, NUMBER

    @property
    def line(self) -> int:
        """The line of what is shown; a default's, as arguments have none."""
        container, key = self.shown
        nodes = (container[key], *ast.walk(container[key]))
        return next(int(node.lineno) for node in nodes if hasattr(node, "lineno"))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Change the source for a while."""
        before = [container[key] for container, key in self.places]
        for container, key in self.places:
            container[key] = self.new
        try:
            yield
        finally:
            for (container, key), node in zip(self.places, before, strict=True):
                container[key] = node


def edits(code: Code, known: list[str], called: set[str]) -> Iterator[Edit]:
    """Yield every edit: of our code what a student may leave out, of theirs also what may be added.

    ``known`` are the names that may stand for each other, ``called`` the functions that theirs calls.
    """
    uses: dict[str, list[tuple[Place, Place]]] = {}  # of a name
    for parent, container, key in _places(code.kept):
        node, place = container[key], (container, key)
        is_small = _number(node) is not None or isinstance(parent, ast.Attribute | ast.Subscript)
        shown = ([parent], 0) if is_small else place
        for surprise, new, kind in _alternatives(node, parent, code, known, called):
            ast.fix_missing_locations(new)
            yield Edit(code.is_theirs, surprise, [place], new, place if kind == PART else shown, kind)
        if isinstance(node, ast.Name) and node.id in known:
            uses.setdefault(node.id, []).append((place, shown))
    for old, found in uses.items():
        for name in known if len(found) > 1 else ():
            if name != old:
                places = [place for place, _ in found]
                yield Edit(code.is_theirs, 1, places, parse(name), found[0][1], "input-for-output")


def _places(nodes: list[ast.AST]) -> Iterator[tuple[ast.AST, Any, Any]]:
    """Yield where an expression stands that is read: its parent, and the field or the item."""
    for parent in nodes:
        is_written = isinstance(getattr(parent, "ctx", None), ast.Store)
        for name, value in ast.iter_fields(parent):
            is_list = isinstance(value, list)
            container: Any = value if is_list else vars(parent)
            if (name, type(parent)) == ("func", ast.Call) or (name == "value" and is_written):
                continue
            for key in range(len(value)) if is_list else [name]:
                node = value[key] if is_list else value
                if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
                    yield parent, container, key


def _alternatives(
    node: ast.expr, parent: ast.AST, code: Code, known: list[str], called: set[str]
) -> Iterator[tuple[int, ast.expr, str]]:
    """Yield what may stand in the place of an expression: how surprising it is, the new one, its kind."""
    theirs, exchange = code.is_theirs, "input-for-output"
    parts = [node]
    for depth in range(1, DEPTH + 1):
        parts = [part for whole in parts for part in _operands(whole)]
        for part in parts:
            surprise = 2 * depth - 1 + isinstance(part, ast.Constant)
            is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
            yield surprise - is_sum, part, PART
    number = _number(node)
    if number is not None and not isinstance(parent, ast.UnaryOp | ast.Assign | ast.Subscript):
        is_dim = isinstance(parent, ast.Call | ast.keyword | ast.Tuple) and type(number) is int
        texts = [str(not number)] if isinstance(number, bool) else list(map(str, (*NUMBERS, -number)))
        texts += [*known, "(0, 2)", "(0, 2, 3)"] if is_dim and theirs else []
        for text in dict.fromkeys(texts):
            if text != str(number):
                yield 2, parse(text), "transposed" if is_dim else NUMBER
    match node:
        case ast.Name(id=name) if name in (code.stored if theirs else known):
            upstream = [argument.arg for argument in code.main.args.args[1:]]
            for other in known if not isinstance(parent, ast.Return) else ():
                if other != name and (name not in upstream or other in upstream):  # linear it stays
                    yield 1 if theirs else 2, parse(other), exchange
        case ast.BinOp(left=left, op=op, right=right):
            yield from ((2 + is_long, new, exchange) for is_long, new in _other_operators(node))
            if not isinstance(op, ast.Add | ast.Mult):
                yield 2, ast.BinOp(right, op, left), exchange
            if isinstance(right, ast.BinOp):  # parentheses
                yield 2, ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right), exchange
            if isinstance(left, ast.BinOp):
                yield 2, ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right)), exchange
        case ast.Compare(left=left, ops=[op], comparators=[right]) if theirs and isinstance(op, COMPARISONS):
            yield from (
                (0, ast.Compare(left, [o()], [right]), exchange) for o in COMPARISONS if o is not type(op)
            )
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=args, keywords=keywords):
            if name == "where" and len(args) == 3:
                yield 0, ast.Call(node.func, [args[0], args[2], args[1]], keywords), exchange
            groups = [group.split() for group in RELATED if name in group.split()]
            for attribute in sorted({one for group in groups for one in group} - {name}):
                if theirs or attribute in called:
                    yield 2, ast.Call(ast.Attribute(value, attribute, ast.Load()), args, keywords), exchange
            if theirs and name in ("var", "std"):  # N for N - 1
                kept = [k for k in keywords if k.arg not in ("correction", "unbiased")]
                kept.append(ast.keyword("correction", ast.Constant(0)))
                yield 1, ast.Call(node.func, args, kept), exchange
        case ast.Tuple(elts=[ast.Slice(), ast.Name(id=index)]) if theirs:  # x[:, index] is every row
            yield 2, parse(f"torch.arange(len({index})), {index}"), exchange
        case ast.Tuple(elts=[first, second]) if theirs and isinstance(parent, ast.Subscript):
            yield 2, ast.Tuple([second, first], ast.Load()), exchange
    if theirs and isinstance(node, ast.Name | ast.Call) and not isinstance(parent, ast.keyword):
        text = ast.unparse(node)
        for form in AROUND + ORDERS:
            yield 3, parse(form.format(text)), "transposed" if form in ORDERS else exchange


def _operands(node: ast.expr) -> list[ast.expr]:
    """Return the expressions that an operation is made of."""
    match node:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch" | "math")), args=args):
            return args[:3]
        case ast.Call(func=ast.Attribute(value=value)) | ast.Attribute(value=value, attr="mT" | "T"):
            return [value]
    return []


def _other_operators(node: ast.BinOp) -> Iterator[tuple[bool, ast.BinOp]]:
    """Yield the same with another operator, and a + b + c with all of them."""
    has_number = ast.Constant in (type(node.left), type(node.right))
    for operator in OPERATORS.get(type(node.op), ()):
        if has_number and operator in (ast.Div, ast.Mult):
            continue  # a factor 4 may be a size
        yield False, ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.left, ast.BinOp) and type(node.left.op) is type(node.op):
            inner = ast.BinOp(node.left.left, operator(), node.left.right)
            yield True, ast.BinOp(inner, operator(), node.right)


def _number(node: ast.AST) -> Any:
    """Return the number that is written there; None if it is another expression."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    return None


def parse(text: str) -> ast.expr:
    """Return an expression."""
    return ast.parse(text, mode="eval").body
