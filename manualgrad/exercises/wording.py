"""Say in words how two expressions differ."""

import ast
from typing import Any

from manualgrad.exercises.edits import FOREIGN, ORDER, ORDERS, literal
from manualgrad.exercises.source import Place

LONG = 24  # characters, from which on a part that two expressions share is written as …
LEFT_OUT = {
    ast.Mult: "The factor `{}`", ast.MatMult: "The product with `{}`", ast.Div: "The division by `{}`",
    ast.Add: "The term `{}`", ast.Sub: "The term `-{}`", ast.Pow: "The power `** {}`",
}  # fmt: skip


def kind_of(place: Place, new: ast.expr) -> str:
    """Return the kind of finding that an edit is."""
    is_index = (
        isinstance(place.parent, ast.Call | ast.keyword | ast.Tuple) and type(literal(place.node)) is int
    )
    is_order = any(ast.unparse(new).endswith(form[2:]) for form in ORDERS)
    return ORDER if is_index or is_order else FOREIGN


def missing_part(whole: ast.expr, part: ast.expr) -> str:
    """Say what of the whole is left out in a part of it, and beside what; empty if it is no part."""
    text, same_part = ast.unparse(part), ast.dump(part)
    beside = f" beside `{text}`" if len(text) <= LONG else ""
    match whole:
        case ast.UnaryOp(operand=operand) if ast.dump(operand) == same_part:
            return f"The minus of `{_cut(text)}`"
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if (
            ast.dump(left) == ast.dump(right) == same_part
        ):
            return f"The square of `{text}`"
        case ast.BinOp(left=left, op=op, right=other) if ast.dump(left) == same_part and type(op) in LEFT_OUT:
            return LEFT_OUT[type(op)].format(_cut(ast.unparse(other))) + beside
        case ast.BinOp(left=other, op=ast.Mult() | ast.MatMult() | ast.Add() as op, right=right) if (
            ast.dump(right) == same_part
        ):
            return LEFT_OUT[type(op)].format(_cut(ast.unparse(other))) + beside
        case ast.Call(func=ast.Attribute(value=value)) | ast.Attribute(value=value) if (
            ast.dump(value) == same_part
        ):
            rest = ast.unparse(whole).removeprefix(f"({text})").removeprefix(text)
            return f"`…{rest}` around `{_cut(text)}`"
        case ast.BinOp(op=ast.Mult()) if ast.unparse(whole).startswith(f"{text} * "):
            return f"The factor `{_cut(ast.unparse(whole).removeprefix(f'{text} * '))}`{beside}"
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= 3 * LONG else f"{text[: 3 * LONG]}…"


def shorten(a: ast.AST, b: ast.AST) -> None:
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
                shorten(mine, other)
            elif isinstance(mine, ast.expr) and len(ast.unparse(mine)) > LONG:
                for holder in holders:
                    holder[key] = ast.Name("…")
