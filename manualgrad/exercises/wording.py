"""Say in words which edit of a source a slip is."""

import ast
from collections.abc import Container
from copy import deepcopy
from typing import Any

from manualgrad.exercises.edits import NUMBER, PART, Edit, parse

LONG = 24  # characters, from which on a part that two expressions share is written as …
LEFT_OUT = {
    ast.Mult: "The factor `{}`", ast.MatMult: "The product with `{}`", ast.Div: "The division by `{}`",
    ast.Add: "The term `{}`", ast.Sub: "The term `-{}`", ast.Pow: "The power `** {}`",
}  # fmt: skip


def tell(edit: Edit, names: dict[str, str], helpers: Container[str]) -> tuple[str, str]:
    """Return a kind and a sentence: what in their code belongs elsewhere, or what of ours they left out.

    ``names`` are theirs for ours.
    """
    container, key = edit.shown
    line = f"Line {edit.line}: " if edit.is_theirs else ""
    before = _copy(container[key], names, helpers)
    with edit.applied():
        after = _copy(container[key], names, helpers)
    left_out = _left_out(before, after) if edit.kind == PART else ""
    if left_out.startswith("The "):
        end = " is too much: without it the gradient is right." if edit.is_theirs else " is missing."
        return "missing-terms", line + left_out + end
    if left_out and not edit.is_theirs and len(ast.unparse(before)) > 2 * LONG:
        return "missing-terms", f"{left_out} is missing."
    _shorten(before, after)
    stands, belongs = ast.unparse(before), ast.unparse(after)
    if not edit.is_theirs:
        stands, belongs = belongs, stands
    note = " (`correction=1`, the default, divides by M − 1.)" if "correction=0" in belongs else ""
    kind = {PART: "input-for-output" if edit.is_theirs else "missing-terms", NUMBER: "input-for-output"}
    return kind.get(edit.kind, edit.kind), f"{line}`{stands}` stands where `{belongs}` belongs.{note}"


def _left_out(whole: ast.expr, part: ast.expr) -> str:
    """Say what of the whole is left out, and beside which part."""
    text, same = ast.unparse(part), ast.dump(part)
    beside = f" beside `{text}`" if len(text) <= LONG else ""
    match whole:
        case ast.UnaryOp():
            return f"The minus of `{_cut(text)}`"
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if ast.dump(left) == ast.dump(right) == same:
            return f"The square of `{text}`"
        case ast.BinOp(left=left, op=op, right=other) if ast.dump(left) == same and type(op) in LEFT_OUT:
            return LEFT_OUT[type(op)].format(_cut(ast.unparse(other))) + beside
        case ast.BinOp(left=other, op=ast.Mult() | ast.MatMult() | ast.Add() as op, right=right) if (
            ast.dump(right) == same
        ):
            return LEFT_OUT[type(op)].format(_cut(ast.unparse(other))) + beside

    class Elide(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return ast.Name("…") if ast.dump(node) == same else self.generic_visit(node)

    shown = ast.unparse(Elide().visit(deepcopy(whole)))
    if shown.startswith("… * "):
        return f"The factor `{shown[4:]}`{beside}"
    return f"`{shown}` around `{_cut(text)}`"


def _cut(text: str) -> str:
    return text if len(text) <= 3 * LONG else f"{text[: 3 * LONG]}…"


def _shorten(a: ast.AST, b: ast.AST) -> None:
    """Put … in the place of what two expressions share, where it is long."""
    for name, x in ast.iter_fields(a):
        y = getattr(b, name, None)
        holders: tuple[Any, Any] = (x, y) if isinstance(x, list) else (vars(a), vars(b))
        if y is None or type(x) is not type(y):
            continue
        for key in range(min(len(x), len(y))) if isinstance(x, list) else [name]:
            mine, other = (holder[key] for holder in holders)
            if not isinstance(mine, ast.AST) or type(mine) is not type(other):
                continue
            if ast.dump(mine) != ast.dump(other) or isinstance(mine, ast.Attribute):
                _shorten(mine, other)
            elif isinstance(mine, ast.expr) and len(ast.unparse(mine)) > LONG:
                for holder in holders:
                    holder[key] = ast.Name("…")


def _copy(node: Any, names: dict[str, str], helpers: Container[str]) -> Any:
    """Copy a piece of code with their names, and with what our helpers are given in the helpers' place."""

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Any:
            return parse(names.get(node.id, node.id)) if isinstance(node.ctx, ast.Load) else node

        def visit_Call(self, node: ast.Call) -> Any:
            self.generic_visit(node)
            is_helper = isinstance(node.func, ast.Name) and node.func.id in helpers
            return node.args[0] if is_helper and node.args else node

    return Rename().visit(deepcopy(node))
