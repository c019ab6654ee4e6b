"""The slips that students make: a table of rules for what may stand in the place of an expression.

A rule is given an expression, what it stands in, and what is known of both sources. It yields how surprising
each alternative is, the alternative, and a word that is the same where the same slip is made elsewhere. The
surprise is 0 for what students write most often, such as ``>=`` for ``>``, and grows up to 3.
"""

import ast
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

DEPTH = 2  # how many operations one edit may leave out
NUMBERS = (0, -1, 1, 2, 3, -2, 0.5)
RELATED = (
    "sum mean", "sqrt rsqrt", "sin cos", "exp log", "sigmoid tanh", "softmax log_softmax", "erf tanh",
    "scatter scatter_add", "scatter_ scatter_add_", "index_copy index_add", "zeros_like ones_like",
    "amax amin", "sinh cosh cos sin tan", "reciprocal square", "reciprocal rsqrt", "conv2d conv_transpose2d",
)  # fmt: skip
OPERATORS: dict[type, tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult), ast.Sub: (ast.Add,), ast.Mult: (ast.Div, ast.Add, ast.MatMult, ast.Pow),
    ast.Div: (ast.Mult,), ast.MatMult: (ast.Mult,), ast.BitXor: (ast.Pow,), ast.Pow: (ast.Mult,),
}  # fmt: skip
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
AROUND = (
    "-{}", "1 - {}", "{} ** 2", "2 * {}", "1 / {}", "{}.exp()", "{}.log()", "{}.sqrt()", "{}.abs()",
    "{}.sum(0)", "{}.sum(-1, keepdim=True)", "{}.unsqueeze(-1)", "torch.sigmoid({})", "torch.tanh({})",
)  # fmt: skip
ORDERS = ("{}.mT", "{}.flip(-1)", "{}.flip(-2)", "{}.flip(-2, -1)", "{}.transpose(0, 1)")
FOREIGN, ORDER = "input-for-output", "transposed"  # kinds of findings

Alternative = tuple[int, ast.expr, str]


@dataclass
class Scope:
    """What a rule may know of the source that it edits, and of the other one."""

    is_theirs: bool
    names: dict[str, Any]  # what may be read, with its value
    values: dict[ast.AST, Any]  # of expressions that were computed
    foreign: list[tuple[ast.expr, Any]]  # our expressions in their names, with their values
    called: dict[str, list[ast.Call]]  # the functions that the other source calls

    def alike(self, node: ast.expr) -> list[str]:
        """Return the names whose values have the kind and shape of an expression's, and another value."""
        value = self.values.get(node)
        kind = sort(value)
        known = self.names.items() if kind is not None else ()
        return [name for name, v in known if v is not value and sort(v) == kind]


def sort(value: Any) -> Any:
    """Return what values have in common that may stand for each other; None for what nothing stands for."""
    match value:
        case Tensor():
            return (value.dtype == torch.int64, tuple(value.shape)) if value.dim() else "number"
        case bool():
            return None
        case int() | float():
            return "number"
        case tuple() | list() if all(isinstance(one, int) for one in value):
            return len(value)
    return None


def comparison(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """``>=`` for ``>``."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, COMPARISONS):
            for other in COMPARISONS:
                if other is not type(op):
                    yield 0, ast.Compare(left, [other()], [right]), ""


def exchanged(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Two arguments, or two items of a tuple, in the other order; of what is unpacked, too."""
    match node:
        case ast.Call(func=ast.Attribute(attr="where"), args=[condition, yes, no]):
            yield -1, ast.Call(node.func, [condition, no, yes], node.keywords), "where"
            yield 2, ast.Call(node.func, [condition, yes, ast.Constant(0.0)], node.keywords), ""
        case ast.Call(args=[first, second, *others]) if not isinstance(first, ast.Constant):
            yield 2, ast.Call(node.func, [second, first, *others], node.keywords), ""
        case ast.Tuple(elts=parts):
            for i, k in itertools.combinations(range(len(parts)), 2):
                if not isinstance(parent, ast.Return) or sort(scope.values.get(parts[i])) is not None:
                    order = list(parts)
                    order[i], order[k] = parts[k], parts[i]
                    yield 1, ast.Tuple(order, node.ctx), ""
            if isinstance(parts[0], ast.Slice) and isinstance(parts[-1], ast.Name):  # every row of each
                index = parts[-1].id
                yield 2, parse(f"torch.arange(len({index})), {index}"), ""


def left_out(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Leave an operation out: ``a`` for ``a + b``, or for ``a.sum()``."""
    parts = [node]
    for depth in range(1, DEPTH + 1):
        parts = [part for whole in parts for part in _operands(whole)]
        for part in parts:
            is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
            label = f"[{ast.unparse(node.slice)}]" if isinstance(node, ast.Subscript) else ""
            yield depth + 2 * isinstance(part, ast.Constant) - is_sum, part, label


def _operands(node: ast.expr) -> list[ast.expr]:
    """Return the expressions that an operation is made of."""
    match node:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch" | "math")), args=args):
            return [part for part in args[:3] if literal(part) is None and ast.unparse(part) != "None"]
        case ast.Call(func=ast.Attribute(value=value)) | ast.Attribute(value=value, attr="mT" | "T"):
            return [value]
        case ast.Subscript(value=value, slice=ast.Slice()):
            return [value]
    return []


def other_name(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """One name for another, or for something longer, of the same shape."""
    if isinstance(parent, ast.Return):
        return
    for name in scope.alike(node) if not isinstance(node, ast.Constant) else ():
        if isinstance(node, ast.Name):
            yield 1, parse(name), f"{node.id} {name}"
        else:
            yield 2, parse(name), ""


def operator(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Another operator, other parentheses, the operands exchanged."""
    if not isinstance(node, ast.BinOp):
        return
    left, op, right = node.left, node.op, node.right
    has_number = ast.Constant in (type(left), type(right))
    for other in OPERATORS.get(type(op), ()):
        if not has_number or isinstance(op, ast.Pow) or other not in (ast.Div, ast.Mult):  # 4 may be a size
            yield 2, ast.BinOp(left, other(), right), ""
    if not isinstance(op, ast.Add | ast.Mult):
        yield 2, ast.BinOp(right, op, left), ""
    if isinstance(right, ast.BinOp):
        yield 2, ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right), ""
    if isinstance(left, ast.BinOp):
        yield 2, ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right)), ""
        if isinstance(left.right, ast.BinOp):
            inner = ast.BinOp(left.right.left, left.right.op, ast.BinOp(left.right.right, op, right))
            yield 2, ast.BinOp(left.left, left.op, inner), ""
        if type(left.op) is type(op):  # a + b + c with another operator throughout
            for other in OPERATORS.get(type(op), ()):
                yield 3, ast.BinOp(ast.BinOp(left.left, other(), left.right), other(), right), ""


def number(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Another number; in a call also a name."""
    value = literal(node)
    if value is None or isinstance(parent, ast.UnaryOp | ast.Assign):
        return
    is_index = isinstance(parent, ast.Call | ast.keyword | ast.Tuple) and type(value) is int
    texts = [str(not value)] if isinstance(value, bool) else list(map(str, (*NUMBERS, -value)))
    if is_index:
        texts += [name for name, v in scope.names.items() if isinstance(v, int | tuple)]
        texts += ["(0, 2)", "(0, 2, 3)"]
    for text in dict.fromkeys(texts):
        if text != str(value):
            yield 2, parse(text), f"{value} {text}" if is_index else ""


def literal(node: ast.AST) -> Any:
    """Return the number that is written there; None if it is another expression."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    return None


def function(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Another function, or other arguments: what the other source has, or a related one."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    value, name = node.func.value, node.func.attr
    is_torch = isinstance(value, ast.Name) and value.id == "torch"
    related = {one for group in RELATED if name in group.split() for one in group.split()}
    others = [one for one in related if scope.is_theirs or one in scope.called or one == "reciprocal"]
    others += [one for one in scope.called if scope.is_theirs and one not in related]
    for other in others:
        if other != name:
            func = ast.Attribute(value, other, ast.Load())
            yield 2 + (other not in related), ast.Call(func, node.args, node.keywords), f"{name} {other}"
    if not scope.is_theirs:
        return
    for call in scope.called.get(name, ()):
        kept = node.args[:1] if is_torch else []
        yield 2, ast.Call(node.func, kept + call.args[len(kept) :], call.keywords), ""
    if name in ("var", "std"):  # N for N - 1
        kept_words = [k for k in node.keywords if k.arg not in ("correction", "unbiased")]
        yield 1, ast.Call(node.func, node.args, [*kept_words, ast.keyword("correction", ast.Constant(0))]), ""


def inside_out(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """``f(a) * b`` for ``f(a * b)``, and the reverse."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.BinOp(left=left, op=op, right=right), attr=name)):
            for inner, outer in ((left, right), (right, left)):
                call = ast.Call(ast.Attribute(inner, name, ast.Load()), node.args, node.keywords)
                yield 2, ast.BinOp(outer, op, call), ""
        case ast.Call(args=[ast.BinOp(left=left, op=op, right=right), *others]):
            for inner, outer in ((left, right), (right, left)):
                yield 2, ast.BinOp(ast.Call(node.func, [inner, *others], node.keywords), op, outer), ""
        case ast.BinOp(left=ast.Call(args=[inner, *others]) as call, op=op, right=outer):
            yield 2, ast.Call(call.func, [ast.BinOp(inner, op, outer), *others], call.keywords), ""


def from_ours(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Take an expression of ours that has the same shape."""
    value = scope.values.get(node)
    if isinstance(node, ast.Constant) or sort(value) is None or isinstance(parent, ast.Return):
        return
    for new, theirs in scope.foreign:
        if sort(theirs) == sort(value):
            yield 2 + isinstance(node, ast.Name), new, ""


def around(node: ast.expr, parent: ast.AST, scope: Scope) -> Iterator[Alternative]:
    """Put around an expression what may be missing there."""
    value = scope.values.get(node)
    is_tensor = isinstance(value, Tensor) and value.is_floating_point()
    if not is_tensor and (sort(value) != "number" or isinstance(node, ast.Constant)):
        return
    text = ast.unparse(node)
    text = text if isinstance(node, ast.Name | ast.Call | ast.Attribute) else f"({text})"
    is_part = isinstance(parent, ast.BinOp) and isinstance(node, ast.BinOp)
    for form in AROUND + ORDERS if is_tensor and not is_part else ():
        yield 3, parse(form.format(text)), ""
    for name, known in scope.names.items():
        is_number = sort(known) == "number"
        if is_number or (is_tensor and _broadcasts(known, value)):
            for sign, same in (("*", ast.Mult), ("/", ast.Mult), ("+", ast.Add), ("-", ast.Add)):
                is_chain = isinstance(parent, ast.BinOp) and isinstance(parent.op, same)
                if not is_chain and (is_number or sign != "/"):
                    yield 3, parse(f"{text} {sign} {name}"), ""


def _broadcasts(small: Any, big: Any) -> bool:
    if not isinstance(small, Tensor):
        return False
    sizes = zip(small.shape[::-1], big.shape[::-1], strict=False)
    return small.is_floating_point() and small.dim() <= big.dim() and all(a in (1, b) for a, b in sizes)


Rule = Callable[[ast.expr, ast.AST, Scope], Iterator[Alternative]]
Rules = tuple[Rule, ...]
OF_OURS: Rules = (left_out, operator, function, inside_out)  # what a student may have written instead
OF_THEIRS: Rules = (comparison, exchanged, other_name, number, from_ours, *OF_OURS)
LATE: Rules = (around,)  # for these are many


def parse(text: str) -> ast.expr:
    """Return an expression."""
    return ast.parse(text, mode="eval").body
