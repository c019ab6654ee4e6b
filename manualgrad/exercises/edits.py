"""The slips that students make: every version of a function's source that differs by one edit."""

# ruff: noqa: B023  every function is called in the round of the loop that makes it

import ast
import inspect
import textwrap
from collections.abc import Callable, Container, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, NamedTuple

MOST_SHOWN = 24  # characters of a part that two expressions share
DEPTH = 3  # how many operations one edit may leave out
CONSTANTS = (0, -1, 1, 2, 3, -2, 0.5)
EXCHANGED = (
    "sum mean", "sqrt rsqrt", "sin cos", "exp log", "sigmoid tanh", "softmax log_softmax", "erf tanh",
    "scatter scatter_add", "scatter_ scatter_add_", "index_copy index_add", "zeros_like ones_like",
    "amax amin", "sinh cosh", "reciprocal square",
)  # fmt: skip
# Kinds of edits: a part in the place of the whole, a branch always taken or never, another number.
PART, CONDITION, NUMBER = "part", "condition", "number"
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add, ast.MatMult),
    ast.Div: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitXor: (ast.Pow,),
}
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
LEFT_OUT = {
    ast.Mult: "The factor `{}`", ast.MatMult: "The product with `{}`", ast.Div: "The division by `{}`",
    ast.Add: "The term `{}`", ast.Sub: "The term `-{}`", ast.Pow: "The power `** {}`",
}  # fmt: skip
# What may be missing around a tensor.
AROUND = (
    "-{}", "1 - {}", "{} ** 2", "1 / {}", "{}.mT", "{}.exp()", "{}.log()", "{}.sqrt()", "{}.abs()",
    "{}.flip(-1)", "{}.flip(-2)", "{}.flip(-2, -1)", "{}.transpose(0, 1)", "{}.unsqueeze(-1)", "{}.sum(0)",
    "{}.sum(-1, keepdim=True)", "torch.sigmoid({})", "torch.tanh({})",
)  # fmt: skip


class Change(NamedTuple):
    """One place in a tree, a field or an item of a list, and what comes there."""

    container: Any  # a node's __dict__, or a list
    key: Any
    new: Any


def _change(container: Any, key: Any, new: Any) -> Change:
    for node in new if isinstance(new, list) else [new]:
        if isinstance(node, ast.AST):
            ast.fix_missing_locations(node)
    return Change(container, key, new)


@dataclass(frozen=True)
class Edit:
    """What one slip changes, how surprising it is, and the place that shows it."""

    surprise: int
    changes: tuple[Change, ...]
    shown: tuple[Any, Any]  # a container and a key
    kind: str = "input-for-output"  # PART, CONDITION, NUMBER, or a kind of finding

    def apply(self) -> tuple[Change, ...]:
        """Make the change, and return what undoes it."""
        undo = []
        for container, key, new in self.changes:
            undo.append(Change(container, key, container[key]))
            container[key] = new
        return tuple(reversed(undo))

    def undo(self, changes: tuple[Change, ...]) -> None:
        """Take the change back."""
        for container, key, old in changes:
            container[key] = old


@dataclass
class Code:
    """A function and the helpers it calls, as a tree, with what the other names in it stand for."""

    tree: ast.Module
    names: dict[str, Any]
    function: str
    kept: list[ast.AST] = field(default_factory=list)  # what edits may change

    def compile(self) -> Callable[..., Any]:
        """Return the function as the tree is now."""
        names = dict(self.names)
        exec(compile(self.tree, "<an edit>", "exec"), names)
        result: Callable[..., Any] = names[self.function]
        return result

    @property
    def main(self) -> ast.FunctionDef:
        """The function itself."""
        (main, *_) = self.tree.body
        assert isinstance(main, ast.FunctionDef)
        return main

    def stored(self) -> list[str]:
        """Return the names that the function itself gives something, its arguments first."""
        stored = [a.arg for a in self.main.args.args[1:]]
        stored += [
            n.id for n in ast.walk(self.main) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        ]
        return [name for name in dict.fromkeys(stored) if not name.endswith("_grad") and name != "_"]

    def keep(self, places: list[int]) -> None:
        """Let no edit change what does not concern these places of what is returned."""
        needed: set[str] = set()
        for node in ast.walk(self.main):
            if isinstance(node, ast.Return) and node.value is not None:
                parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                for k, part in enumerate(parts):
                    if k in places or len(parts) <= max(places):
                        needed |= names_in(part)
        statements = [n for n in ast.walk(self.main) if isinstance(n, ast.Assign | ast.AugAssign | ast.Expr)]
        known = None
        while known != needed:
            known = set(needed)
            for node in statements:
                if needed & _changed_by(node):
                    is_plain = isinstance(node, ast.Assign) and "[" not in "".join(
                        map(ast.unparse, node.targets)
                    )
                    needed |= names_in(node.value if is_plain else node)
        aside = [node for node in statements if not needed & _changed_by(node)]
        self.kept = [
            node for node in ast.walk(self.tree) if node not in {n for one in aside for n in ast.walk(one)}
        ]


def _changed_by(node: ast.Assign | ast.AugAssign | ast.Expr) -> set[str]:
    """Return the names that a statement may change: of a call any."""
    if isinstance(node, ast.Assign):
        return set().union(*map(names_in, node.targets))
    return names_in(node.target if isinstance(node, ast.AugAssign) else node)


def names_in(node: ast.AST) -> set[str]:
    """Return every name in a piece of code."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def read(function: Any) -> Code:
    """Read a function's source, and that of the helpers from the same package or file."""
    names: dict[str, Any] = {}
    tree, functions = ast.Module([], []), [function]
    for one in functions:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(node, ast.FunctionDef)
        ast.increment_lineno(node, one.__code__.co_firstlineno - 1)
        node.decorator_list, node.returns = [], None
        for argument in node.args.args:
            argument.annotation = None
        tree.body.append(node)
        names |= one.__globals__
        for called in ast.walk(node):
            helper = one.__globals__.get(called.id) if isinstance(called, ast.Name) else None
            if (
                isinstance(helper, FunctionType)
                and helper not in functions
                and helper.__module__.partition(".")[0] == function.__module__.partition(".")[0]
            ):
                functions.append(helper)
    return Code(tree, names, function.__name__)


def edits(code: Code, known: list[str], called: set[str], is_theirs: bool) -> Iterator[Edit]:
    """Yield every edit: of our code what a student may leave out, of theirs also what may be added.

    ``known`` are the names that may stand for each other, ``called`` the functions that theirs calls.
    """
    stored = code.stored()
    for parent, container, key in _places(code.kept):
        node = container[key]

        def exchange(surprise: int, new: Any, shown: Any = None, kind: str = "input-for-output") -> Edit:
            return Edit(surprise, (_change(container, key, new),), shown or (container, key), kind)

        yield from _parts(container, key, is_theirs)
        if isinstance(node, ast.Name) and node.id in (stored if is_theirs else known):
            is_part = isinstance(parent, ast.Attribute)
            for other in known if not isinstance(parent, ast.Return) else ():
                if other != node.id:
                    yield exchange(1 if is_theirs else 2, _parse(other), ([parent], 0) if is_part else None)
        if (number := _number(node)) is not None and not isinstance(
            parent, ast.UnaryOp | ast.Assign | ast.Subscript
        ):
            numbers = (not number,) if isinstance(number, bool) else (*CONSTANTS, -number)
            others = [_parse(repr(n)) for n in dict.fromkeys(numbers) if n != number]
            if type(number) is int and is_theirs and isinstance(parent, ast.Call | ast.keyword):
                others += map(_parse, [*known, "(0, 2)", "(0, 2, 3)"])
            for new in others:
                is_dim = isinstance(parent, ast.Call | ast.keyword | ast.Tuple) and type(number) is int
                yield exchange(2, new, ([parent], 0), kind="transposed" if is_dim else NUMBER)
        if isinstance(node, ast.BinOp):
            yield from _exchanged(node, container, key)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], COMPARISONS):
            for operator in COMPARISONS:
                if not isinstance(node.ops[0], operator):
                    yield Edit(0, (_change(node.ops, 0, operator()),), (container, key))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _calls(node, node.func, is_theirs, called)
        if is_theirs and isinstance(node, ast.Name | ast.Call) and not isinstance(parent, ast.keyword):
            text = ast.unparse(node)
            for form in AROUND:
                is_order = any(sign in form for sign in (".mT", ".flip", ".transpose"))
                yield exchange(
                    3, _parse(form.format(text)), kind="transposed" if is_order else "input-for-output"
                )
    yield from _dimensions(code, known)
    uses: dict[str, list[tuple[Any, Any]]] = {}
    for _, container, key in _places(code.kept):
        if isinstance(node := container[key], ast.Name) and node.id in (stored if is_theirs else known):
            uses.setdefault(node.id, []).append((container, key))
    for old, places in uses.items():
        for name in known if len(places) > 1 else ():
            if name != old:
                yield Edit(1, tuple(_change(*place, _parse(name)) for place in places), places[0])
    for node in code.kept:
        if isinstance(node, ast.If | ast.IfExp):
            place = vars(node), "test"
            for always in (True, False):
                yield Edit(4, (_change(*place, ast.Constant(always)),), place, CONDITION)
        match node:  # x[:, index] is all rows
            case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(), ast.Name(id=index)] as parts)) if is_theirs:
                rows = _parse(f"torch.arange(len({index}))")
                yield Edit(2, (_change(parts, 0, rows),), ([node], 0))


def _dimensions(code: Code, known: list[str]) -> Iterator[Edit]:
    """Yield the same dimension exchanged in several calls."""
    calls = [n for n in code.kept if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    found = [
        (call, call.args, k)
        for call in calls
        for k, argument in enumerate(call.args)
        if not isinstance(argument, ast.Constant | ast.Name) or ast.unparse(argument).lstrip("-").isdigit()
    ]
    by_text: dict[str, list[Any]] = {}
    for place in found:
        by_text.setdefault(ast.unparse(place[1][place[2]]), []).append(place)
    for text, places in by_text.items():
        for new in ("0", "1", "-1", *(name for name in known if name.startswith("ctx."))):
            if len(places) > 1 and new != text:
                changes = tuple(_change(args, k, _parse(new)) for _, args, k in places)
                yield Edit(3, changes, ([places[0][0]], 0))


def _places(nodes: list[ast.AST]) -> Iterator[tuple[ast.AST, Any, Any]]:
    """Yield where an expression stands that is read: its parent, and the field or the item."""
    for parent in nodes:
        for name, value in ast.iter_fields(parent):
            is_list = isinstance(value, list)
            container: Any = value if is_list else vars(parent)
            for key in range(len(value)) if is_list else [name]:
                node = value[key] if is_list else value
                is_stored = isinstance(getattr(node, "ctx", None), ast.Store)
                is_called = isinstance(parent, ast.Call) and key == "func"
                is_called |= (
                    isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store) and key == "value"
                )
                if isinstance(node, ast.expr) and not is_stored and not is_called:
                    yield parent, container, key


def _parts(container: Any, key: Any, is_theirs: bool) -> Iterator[Edit]:
    """Yield a part in the place of the whole: a factor, a term or a call is left out."""
    level = [container[key]]
    for depth in range(1, DEPTH + 1):
        level = [part for node in level for part in _operands(node)]
        for part in level:
            surprise = 2 * depth - (not is_theirs) + isinstance(part, ast.Constant)
            surprise -= isinstance(container[key], ast.BinOp) and isinstance(
                container[key].op, ast.Add | ast.Sub
            )
            yield Edit(surprise, (_change(container, key, part),), (container, key), kind=PART)


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


def _exchanged(node: ast.BinOp, container: Any, key: Any) -> Iterator[Edit]:
    """Yield another operator, the operands exchanged, and the parentheses elsewhere."""
    is_number = ast.Constant in (type(node.left), type(node.right))
    for operator in OPERATORS.get(type(node.op), ()):
        if is_number and operator in (ast.Div, ast.Mult):
            continue  # a factor 4 may be a size
        changes: tuple[Change, ...] = (_change(vars(node), "op", operator()),)
        inner = node.left
        yield Edit(2, changes, (container, key))
        while isinstance(inner, ast.BinOp) and type(inner.op) is type(node.op):  # a + b + c as a whole
            changes, inner = (*changes, _change(vars(inner), "op", operator())), inner.left
            yield Edit(3, changes, (container, key))
    others = []
    if not isinstance(node.op, ast.Add | ast.Mult):
        others.append(ast.BinOp(node.right, node.op, node.left))
    if isinstance(right := node.right, ast.BinOp):
        others.append(ast.BinOp(ast.BinOp(node.left, node.op, right.left), right.op, right.right))
    if isinstance(left := node.left, ast.BinOp):
        others.append(ast.BinOp(left.left, left.op, ast.BinOp(left.right, node.op, node.right)))
    for other in others:
        yield Edit(2, (_change(container, key, other),), (container, key))


def _calls(node: ast.Call, called: ast.Attribute, is_theirs: bool, used: set[str]) -> Iterator[Edit]:
    """Yield a related function, and in a variance N for N - 1."""
    for group in EXCHANGED:
        for other in group.split():
            if called.attr in group.split() and other != called.attr and (is_theirs or other in used):
                yield Edit(2, (_change(vars(called), "attr", other),), ([node], 0))
    if is_theirs and called.attr in ("var", "std"):
        keywords = [k for k in node.keywords if k.arg not in ("correction", "unbiased")]
        changed = _change(vars(node), "keywords", [*keywords, ast.keyword("correction", ast.Constant(0))])
        yield Edit(1, (changed,), ([node], 0))


def _number(node: ast.AST) -> Any:
    """Return the number that is written there; None if it is another expression."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    return None


def _parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def tell(edit: Edit, is_theirs: bool, names: dict[str, str], helpers: Container[str]) -> tuple[str, str]:
    """Return a kind and a sentence: what in their code belongs elsewhere, or what of ours they left out.

    ``names`` are theirs for ours.
    """
    container, key = edit.shown
    line = f"Line {container[key].lineno}: " if is_theirs else ""
    before = _copy(container[key], names, helpers)
    undo = edit.apply()
    after = _copy(container[key], names, helpers)
    edit.undo(undo)
    if edit.kind == CONDITION:
        test, holds = ast.unparse(before), ast.unparse(after) == "True"
        if is_theirs:
            return (
                "wrong-region",
                f"{line}`{test}` is too much: what comes {'if' if holds else 'else'} belongs always.",
            )
        elsewhere, there = ("does not hold", "holds") if holds else ("holds", "does not hold")
        return (
            "wrong-region",
            f"Where `{test}` {elsewhere}, another formula belongs: yours is that for where it {there}.",
        )
    left_out = _left_out(before, after) if edit.kind == PART else ""
    is_short = len(ast.unparse(before)) <= 2 * MOST_SHOWN and not left_out.startswith("The")
    if left_out and not is_theirs and not is_short:
        return "missing-terms", f"{left_out} is missing."
    if left_out.startswith("The"):
        return "missing-terms", f"{line}{left_out} is too much: without it the gradient is right."
    _shorten(before, after)
    stands, belongs = ast.unparse(before), ast.unparse(after)
    if not is_theirs:
        stands, belongs = belongs, stands
    note = " (`correction=1`, the default, divides by M − 1.)" if "correction=0" in belongs else ""
    if left_out and not is_theirs:
        return "missing-terms", f"`{stands}` stands where `{belongs}` belongs."
    kind = edit.kind if "-" in edit.kind or edit.kind == "transposed" else "input-for-output"
    return kind, f"{line}`{stands}` stands where `{belongs}` belongs.{note}"


def _left_out(whole: ast.expr, part: ast.expr) -> str:
    """Say what of the whole is left out, and beside which part."""
    text = ast.unparse(part)
    beside = f" beside `{text}`" if len(text) <= MOST_SHOWN else ""
    if isinstance(whole, ast.UnaryOp):
        return f"The minus of `{_text(part)}`"
    if isinstance(whole, ast.BinOp):
        is_left, is_right = (ast.dump(side) == ast.dump(part) for side in (whole.left, whole.right))
        if is_left and is_right and isinstance(whole.op, ast.Mult):
            return f"The square of `{text}`"
        is_known = is_left and type(whole.op) in LEFT_OUT
        if is_known or (is_right and isinstance(whole.op, ast.Mult | ast.MatMult | ast.Add)):
            return LEFT_OUT[type(whole.op)].format(_text(whole.right if is_left else whole.left)) + beside
    shown = ast.unparse(_replaced(whole, part))
    if shown.startswith("… * "):
        return f"The factor `{shown[4:]}`{beside}"
    return f"`{shown}` around `{_text(part)}`"


def _replaced(whole: ast.expr, part: ast.expr) -> ast.expr:
    """Put … in the place of a part."""

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return ast.Name("…") if ast.dump(node) == ast.dump(part) else self.generic_visit(node)

    replaced: ast.expr = Replace().visit(deepcopy(whole))
    return replaced


def _shorten(a: ast.AST, b: ast.AST) -> None:
    """Put … in the place of what two expressions share, where it is long."""
    for name, x in ast.iter_fields(a):
        y = getattr(b, name, None)
        pairs = zip(x, y, strict=False) if isinstance(x, list) and isinstance(y, list) else [(x, y)]
        for k, (mine, other) in enumerate(pairs):
            if not isinstance(mine, ast.AST) or not isinstance(other, ast.AST):
                continue
            if ast.dump(mine) != ast.dump(other):
                _shorten(mine, other)
            elif isinstance(mine, ast.Attribute) and isinstance(other, ast.Attribute):
                if len(ast.unparse(mine.value)) > MOST_SHOWN:
                    mine.value = other.value = ast.Name("…")
            elif isinstance(mine, ast.expr) and len(ast.unparse(mine)) > MOST_SHOWN:
                for node in (a, b):
                    if isinstance(x, list):
                        getattr(node, name)[k] = ast.Name("…")
                    else:
                        setattr(node, name, ast.Name("…"))


def _text(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 3 * MOST_SHOWN else f"{text[: 3 * MOST_SHOWN]}…"


def _copy(node: Any, names: dict[str, str], helpers: Container[str] = ()) -> Any:
    """Copy a piece of code with their names, and with what our helpers are given in the helpers' place."""

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Any:
            return _parse(names.get(node.id, node.id)) if isinstance(node.ctx, ast.Load) else node

        def visit_Call(self, node: ast.Call) -> Any:
            self.generic_visit(node)
            is_helper = isinstance(node.func, ast.Name) and node.func.id in helpers
            return node.args[0] if is_helper and node.args else node

    return Rename().visit(deepcopy(node))
