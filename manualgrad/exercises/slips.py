"""Name a student's slip: the edit that makes their backward right, or makes ours return what theirs does.

A student writes ``grad_output * (1 + output**2)`` for tanh. With ``1 - output**2`` it is right in every call
that is known, so they are told that this belongs there.
"""

import ast
import itertools
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS, FunctionInfo, SampleInput
from manualgrad.exercises.edits import (
    FOREIGN,
    LATE,
    ORDER,
    ORDERS,
    RULES,
    Rule,
    Scope,
    exchanged,
    left_out,
    literal,
    parse,
)
from manualgrad.exercises.source import Call, Code, Place, copy, names_in
from manualgrad.exercises.student import in_place_of_ours
from manualgrad.gradcheck.forward_backward import differentiate
from manualgrad.gradcheck.tolerance import Tolerance, same

EXACT = Tolerance(1e-7, 1e-9)
MEANINGLESS = {"dropout"}  # its backward multiplies by whatever was saved
LONG = 24  # characters, from which on a part that two expressions share is written as …
MOST_PAIRED = 40
LONGEST = 60  # characters of an expression of ours that is told
UNPACKED = ("ctx.saved_tensors", "ctx.options")
NO_FACTS = ("saved_tensors", "needs_input_grad", "options", "shape")
TRIVIAL = (None, False, 0, 1, (0, 0), (1, 1), "none", "mean", -100)  # options that change nothing
WITHOUT = ": without it the gradient is right"
LEFT_OUT = {
    ast.Mult: "The factor `{}`", ast.MatMult: "The product with `{}`", ast.Div: "The division by `{}`",
    ast.Add: "The term `{}`", ast.Sub: "The term `-{}`", ast.Pow: "The power `** {}`",
}  # fmt: skip


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


@dataclass
class Edit:
    """One slip: in theirs what is right instead, in ours what makes it as theirs is."""

    is_theirs: bool
    surprise: int
    changes: list[tuple[Place, ast.expr]]


class Slips:
    """A search for the edit that explains the gradients at some places of what a backward returns.

    The first calls, so many, are those that it is about. There an edit of theirs has to return what is right,
    and an edit of ours what theirs does. Elsewhere it does so or changes nothing.
    """

    def __init__(
        self, ours: Code, theirs: Code, calls: list[Call], places: list[int], first: int = 1
    ) -> None:
        self.ours, self.theirs, self.calls, self.places = ours, theirs, calls, places
        self.yours = [theirs.run(call) for call in calls]
        self.likely: list[Edit] = []  # of theirs, as far as they have been made
        self._translations: dict[str, ast.expr | None] = {}
        wrong = [k for k, call in enumerate(calls) if not self._fits(self.yours[k], call.right)]
        self.wrong = [k for k in wrong if k < first] or wrong
        if wrong:
            (self.our_values, _), (self.values, _) = (
                code.watch(calls[self.wrong[0]]) for code in (ours, theirs)
            )

    def find(self) -> tuple[str, str] | None:
        """Return a kind and a sentence for the least surprising edit that explains it; None without one.

        An edit that explains all calls is told before one that leaves some as they are.
        """
        if not self.wrong:
            return None
        partly: list[tuple[int, tuple[str, str]]] = []
        for rules, edits in self._groups():
            fitting = [(edit, left) for edit in edits if (left := self._explains(edit)) is not None]
            whole = [
                ((other, *self._oddity(edit, one)), one)
                for edit, (left, other) in fitting
                if not left and (one := self._tell(edit))
            ]
            if whole:
                return min(whole)[1]
            if rules is RULES:
                partly += [
                    (left, one)
                    for edit, (left, _) in fitting
                    if edit.is_theirs
                    and literal(edit.changes[0][0].node) is None
                    and (one := self._tell(edit))
                ]
        if partly:
            kind, sentence = min(partly, key=lambda found: found[0])[1]
            return kind, f"{sentence} (Other samples need more than that.)"
        if pair := self._pair():
            return pair
        for name, info in FUNCTIONS.items() if self.yours[self.wrong[0]] else ():
            same_results = (
                self._fits(call.run(info.function_class.backward), yours)
                for call, yours in zip(self.calls, self.yours, strict=True)
            )
            if name not in MEANINGLESS and all(same_results):
                return FOREIGN, f"This is the backward of {name}."
        return None

    def _groups(self) -> Iterator[tuple[dict[Rule, bool], list[Edit]]]:
        """Yield the edits of both, the likeliest first; those that are many are made when no other fits."""
        for rules in (RULES, LATE):
            found = [*self._edits_of(self.theirs, self.ours, rules)]
            if self.yours[self.wrong[0]] and rules is RULES:  # theirs did not raise
                found += self._edits_of(
                    self.ours, self.theirs, {r: True for r, both in rules.items() if both}
                )
            found.sort(key=lambda edit: edit.surprise)
            self.likely += [edit for edit in found if edit.is_theirs and edit.surprise <= 1]
            for _, group in itertools.groupby(found, lambda edit: edit.surprise):
                yield rules, list(group)

    def _pair(self) -> tuple[str, str] | None:
        """Return a kind and two sentences for two likely edits that explain all calls together."""
        for one, other in itertools.combinations(self.likely[:MOST_PAIRED], 2):
            if one.changes[0][0].function is other.changes[0][0].function:
                both = Edit(True, 0, one.changes + other.changes)
                if (
                    (self._explains(both) or [1])[0] == 0
                    and (first := self._tell(one))
                    and (second := self._tell(other))
                ):
                    both_told = f"{first[1]} {second[1]}".replace(WITHOUT, "")
                    return first[0], f"{both_told} Both together make it right."
        return None

    def _oddity(self, edit: Edit, told: tuple[str, str]) -> tuple[bool, bool, bool, int]:
        """Return what makes one of several edits less likely: it is ours, a strange number, or long."""
        place, new = edit.changes[0]
        is_known = ast.unparse(new) in ast.unparse(self.ours.main) or literal(place.node) is None
        is_exchange = told[0] != "missing-terms"
        size = len(ast.unparse(place.node) + ast.unparse(new))
        return not edit.is_theirs, not edit.is_theirs and is_exchange, not is_known, size

    def _edits_of(self, code: Code, other: Code, rules: dict[Rule, bool]) -> Iterator[Edit]:
        is_theirs = code is self.theirs
        names, values = (self._their_names, self.values) if is_theirs else (self._our_names, self.our_values)
        scope = Scope(
            is_theirs, names, values, self._foreign if is_theirs else [], _calls(other), self._linear(code)
        )
        if is_theirs:
            scope.called = {
                name: [one for call in calls if (one := self._in_their_names(call))]
                for name, calls in scope.called.items()
            }
        alike: dict[tuple[str, str], list[Edit]] = {}
        for place in code.places:
            if not (reach := self._reach(code, place)):
                continue
            is_bare = isinstance(place.node, ast.Name | ast.Tuple) and _is_returned(place.parent, code)
            for rule in [exchanged] if is_bare else rules:
                behind = 0 if is_theirs else 1 if rule is left_out else 2
                for surprise, new, label in rule(place.node, place.parent, scope):
                    edit = Edit(is_theirs, surprise + behind, [(place, new)])
                    if reach > 1:
                        yield edit
                    if label:
                        alike.setdefault((rule.__name__, label), []).append(edit)
        for edits in alike.values():  # the same slip wherever it can be made
            if len(edits) > 1:
                yield Edit(is_theirs, edits[0].surprise, [one for edit in edits for one in edit.changes])

    def _linear(self, code: Code) -> set[str]:
        """Return the names that change with the upstream gradient."""
        call = self.calls[self.wrong[0]]
        twice = tuple(2 * one if isinstance(one, Tensor) else one for one in call.upstream)
        once, again = (
            {n.id: v for n, v in code.watch(one)[0].items() if isinstance(n, ast.Name)}
            for one in (call, replace(call, upstream=twice))
        )
        upstream = {argument.arg for argument in code.main.args.args[1:]}
        return upstream | {
            n for n, v in once.items() if isinstance(v, Tensor) and not _is_equal(v, again.get(n))
        }

    def _reach(self, code: Code, place: Place) -> int:
        """Return 2 if all that is wrong depends on an expression, 1 if some of it does, 0 if nothing."""
        first = self.wrong[0]
        values = self.values if code is self.theirs else self.our_values
        value, yours, right = values.get(place.node), self.yours[first], self.calls[first].right
        is_float = isinstance(value, Tensor) and value.is_floating_point()
        if not is_float or not yours or isinstance(place.parent, ast.Compare):  # which jumps
            return 2 * (place.node in values or not yours or isinstance(place.node, ast.Tuple))
        _, stirred = code.watch(self.calls[first], stirred=place.node)
        before, is_reached, is_missed = yours if code is self.theirs else right, False, False
        for k in self.places:
            some = [one[k] if k < len(one) else None for one in (yours, right, before, stirred)]
            tensors = [one for one in some if isinstance(one, Tensor)]
            if len(tensors) < 4 or len({one.shape for one in tensors}) > 1:
                return 2
            a, b, c, d = tensors
            moves = ~torch.isclose(c, d, EXACT.relative, 1e-12, equal_nan=True)
            wrong = ~torch.isclose(a, b, 1e-6, 1e-9, equal_nan=True)
            is_reached, is_missed = is_reached or bool(moves.any()), is_missed or bool((wrong & ~moves).any())
        return is_reached + (is_reached and not is_missed)

    @cached_property
    def _their_names(self) -> dict[str, Any]:
        """Their names and the options on ctx, with their values in the first wrong call."""
        ctx = self.calls[self.wrong[0]].ctx.items()
        return self._names(self.theirs, self.values) | {
            f"ctx.{n}": v for n, v in ctx if n not in NO_FACTS[:2]
        }

    @cached_property
    def _our_names(self) -> dict[str, Any]:
        return self._names(self.ours, self.our_values)

    def _names(self, code: Code, values: dict[ast.AST, Any]) -> dict[str, Any]:
        """Return what is known of the names in a function, whether or not it reads them."""
        arguments = [argument.arg for argument in code.main.args.args[1:]]
        named = dict(zip(arguments, self.calls[self.wrong[0]].upstream, strict=False))
        for node in ast.walk(code.main):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if value in values:
                    named[name] = values[value]
                case ast.Assign(targets=[ast.Tuple(elts=parts)], value=value):
                    several = values.get(value)
                    if isinstance(several, tuple | list) and len(several) == len(parts):
                        named |= {
                            p.id: v for p, v in zip(parts, several, strict=True) if isinstance(p, ast.Name)
                        }
        named |= {n.id: v for n, v in values.items() if isinstance(n, ast.Name)}
        return {n: v for n, v in named.items() if isinstance(v, Tensor | int | float | tuple) and n != "_"}

    @cached_property
    def _foreign(self) -> list[tuple[ast.expr, Any]]:
        """Our expressions in their names, with their values."""
        found, right = {}, [one for one in self.calls[self.wrong[0]].right if one is not None]
        for place in self.ours.places:
            node = place.node
            is_short = isinstance(node, ast.Constant | ast.Name) or node not in self.our_values
            if not is_short and not any(_is_equal(self.our_values[node], one) for one in right):
                new = self._in_their_names(node)
                if new is not None and len(text := ast.unparse(new)) <= LONGEST:
                    found[text] = new, self.our_values[node]
        return list(found.values())

    def _in_their_names(self, node: ast.expr) -> Any:
        """Return an expression of ours with the names that theirs has for the same values, or None."""

        def rename(node: ast.AST) -> Any:
            for name, value in ast.iter_fields(node):
                if isinstance(value, ast.AST):
                    setattr(node, name, rename(value))
                elif isinstance(value, list):
                    value[:] = [rename(one) if isinstance(one, ast.AST) else one for one in value]
            match node:
                case ast.Call(func=ast.Attribute(value=value, attr="to")):
                    return value
                case ast.Call(func=ast.Name(id=helper), args=[first, *_]) if self._is_plumbing(helper):
                    return first
                case ast.Name(id=name, ctx=ast.Load()):
                    return deepcopy(self._translation(name))
            return node

        try:
            return rename(deepcopy(node))
        except KeyError:
            return None

    def _translation(self, name: str) -> ast.expr:
        """Return what theirs calls a name of ours, or how it is computed, if that is short."""
        if name not in self._translations:
            self._translations[name] = None  # for what is computed of itself
            self._translations[name] = self._translate(name)
        if (found := self._translations[name]) is None:
            raise KeyError(name)
        return found

    def _translate(self, name: str) -> ast.expr | None:
        theirs = self._their_names
        if name not in self._our_names:
            is_known = name in ("torch", "math", "ctx", "len", "range") or name in theirs
            return ast.Name(name, ast.Load()) if is_known else None
        equal = [other for other, value in theirs.items() if _is_equal(value, self._our_names[name])]
        if equal:
            return parse(name if name in equal else min(equal, key=lambda one: one.startswith("grad_")))
        for node in ast.walk(self.ours.main):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                new = self._in_their_names(node.value)
                return new if new is not None and len(ast.unparse(new)) <= LONGEST else None
        return None

    def _is_plumbing(self, helper: str) -> bool:
        """Return whether a helper is of those that the pages share: of shapes, weights, dtypes."""
        function = self.ours.names.get(helper)
        return getattr(function, "__module__", "").rpartition(".")[2].startswith("_")

    def _explains(self, edit: Edit) -> tuple[int, int] | None:
        """Return how many calls an edit leaves wrong, and how many other gradients; None if it mends none."""
        code = self.theirs if edit.is_theirs else self.ours
        function, left, others = edit.changes[0][0].function, 0, 0
        with code.changed(edit.changes):
            try:
                code.load(function)
            except Exception:  # what cannot be compiled is no slip
                return None
            for k in [*self.wrong, *(k for k in range(len(self.calls)) if k not in self.wrong)]:
                goal, before = self.calls[k].right, self.yours[k]
                if not edit.is_theirs:
                    goal, before = before, goal
                if not goal:
                    continue
                results = code.run(self.calls[k])
                fits = self._fits(results, goal)
                if not results:
                    if before or k in self.wrong:
                        return None
                    left += 1
                    continue
                if k in self.wrong and not fits:
                    return None
                asked = [place for place, one in enumerate(self.calls[k].right) if one is not None]
                for place in asked:
                    is_right = _has_same(results, goal, place)
                    was_right = (
                        _has_same(before, goal, place)
                        if before
                        else k in self.wrong and results[place] is not None
                    )
                    if was_right and not is_right:
                        return None
                    others += not is_right
                left += not fits
        return left, others

    def _fits(self, results: tuple[Any, ...], goal: tuple[Any, ...]) -> bool:
        return bool(results) == bool(goal) and all(_has_same(results, goal, k) for k in self.places)

    def _tell(self, edit: Edit) -> tuple[str, str] | None:
        """Return a kind and a sentence: what in their code belongs elsewhere, or what of ours is left out."""
        code = self.theirs if edit.is_theirs else self.ours
        first = edit.changes[0][0]
        is_name = len(edit.changes) > 1 and isinstance(first.node, ast.Name)
        shown = first if is_name else self._shown(code, first)
        before = deepcopy(shown.node)
        with code.changed(edit.changes):
            after = deepcopy(shown.node)
        line = ""
        if edit.is_theirs:
            lines = sorted({place.node.lineno for place, _ in edit.changes if hasattr(place.node, "lineno")})
            line = f"Line{'s' * (len(lines) > 1)} {', '.join(map(str, lines or [self.theirs.main.lineno]))}: "
        else:
            before, after = map(self._in_their_names, (before, after))
        if before is None or after is None:
            return None
        theirs, right = (before, after) if edit.is_theirs else (after, before)
        ((place, new),) = edit.changes[:1]
        kind = _kind(place, new)
        if isinstance(theirs, ast.Tuple) and isinstance(right, ast.Tuple):
            pairs = zip(theirs.elts, right.elts, strict=False)
            moved = [f"`{ast.unparse(a)}`" for a, b in pairs if ast.dump(a) != ast.dump(b)]
            if len(moved) == 2 and sorted(map(ast.dump, theirs.elts)) == sorted(map(ast.dump, right.elts)):
                return kind, f"{line}{' and '.join(moved)} are exchanged."
        if missing := _left_out(right, theirs):
            return "missing-terms", f"{line}{missing} is missing."
        too_much = _left_out(theirs, right) if edit.is_theirs else ""
        if too_much.startswith("The "):
            return "missing-terms", f"{line}{too_much} is too much{WITHOUT}."
        _shorten(theirs, right)
        stands, belongs = ast.unparse(theirs), ast.unparse(right)
        note = " (`correction=1`, the default, divides by M − 1.)" if "correction=0" in belongs else ""
        is_written = edit.is_theirs or stands in ast.unparse(self.theirs.main)
        effect = "" if is_written else "In effect "
        places = f", in all {count} places" if (count := len(edit.changes)) > 1 else ""
        return kind, f"{line}{effect}`{stands}` stands where `{belongs}` belongs{places}.{note}"

    def _shown(self, code: Code, place: Place) -> Place:
        """Return the place, or one around it that says where it is."""
        statement = place
        while not isinstance(statement.parent, ast.stmt):
            statement = code.holders[statement.parent]
        texts = [ast.dump(node) for node in ast.walk(statement.node)]
        while place is not statement:
            node, parent = place.node, place.parent
            is_part = isinstance(node, ast.Constant) or literal(node) is not None
            is_part |= isinstance(node, ast.keyword) or isinstance(
                parent, ast.Attribute | ast.keyword | ast.Starred | ast.Slice
            )
            is_part |= isinstance(parent, ast.Subscript) or (
                isinstance(parent, ast.Call) and place.key == "func"
            )
            if not is_part and texts.count(ast.dump(node)) == 1:
                break
            place = code.holders[parent]
        return place

    def unread(self, with_right: bool) -> str:
        """Say what the right backward reads and theirs does not, and which of their values are right."""
        if not self.wrong:
            return ""
        loaded = {n.attr for n in ast.walk(self.theirs.main) if isinstance(n, ast.Attribute)}
        names = [n for n in ast.walk(self.theirs.main) if isinstance(n, ast.Name)]
        loaded |= {name.id for name in names if isinstance(name.ctx, ast.Load)}
        said = []
        for name, value in self._facts().items():
            others = [call.ctx[name[4:]] for call in self.calls if name[4:] in call.ctx]
            if name.rpartition(".")[2] in loaded:
                continue
            is_option = isinstance(value, bool | int | float | str | tuple)
            if isinstance(value, Tensor):
                said.append(f"`{name}`")
            elif is_option and (len(set(others)) > 1 if others else value not in TRIVIAL):
                said.append(f"`{name}` (here {value!r})")
        sentences = [f"Backward does not read {' or '.join(said)}."] if said else []
        given = [*self.calls[self.wrong[0]].ctx["saved_tensors"], *self.calls[self.wrong[0]].upstream]
        computed = [v for v in self._our_names.values() if not any(_is_equal(v, one) for one in given)]
        right = [
            f"`{name}`"
            for name, value in self._their_names.items()
            if "." not in name
            and isinstance(value, Tensor)
            and any(_is_equal(value, one) for one in computed)
        ]
        if right and with_right:
            sentences.insert(0, f"Right so far: {', '.join(right[-5:])}.")
        return " ".join(sentences)

    def _facts(self) -> dict[str, Any]:
        """Return what our backward is given and reads: saved tensors, and numbers and words on ctx."""
        facts = dict[str, Any]()
        values = {n.id: v for n, v in self.our_values.items() if isinstance(n, ast.Name)}
        for node in ast.walk(self.ours.main):
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in UNPACKED:
                facts |= {name: values[name] for name in names_in(node.targets[0]) if name in values}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                holder = values.get(node.value.id)
                if (node.value.id == "ctx" and node.attr not in NO_FACTS) or is_dataclass(holder):
                    facts[ast.unparse(node)] = getattr(holder, node.attr, None)
        return facts


def _is_returned(node: ast.AST, code: Code) -> bool:
    """Return whether something is a return, or the tuple in one."""
    return isinstance(node, ast.Return) or (
        isinstance(node, ast.Tuple) and isinstance(code.holders[node].parent, ast.Return)
    )


def _calls(code: Code) -> dict[str, list[ast.Call]]:
    """Return the calls in a function by the name of what is called."""
    found: dict[str, list[ast.Call]] = {}
    for node in ast.walk(code.main):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.setdefault(node.func.attr, []).append(node)
    return found


def _kind(place: Place, new: ast.expr) -> str:
    is_index = (
        isinstance(place.parent, ast.Call | ast.keyword | ast.Tuple) and type(literal(place.node)) is int
    )
    is_order = any(ast.unparse(new).endswith(form[2:]) for form in ORDERS)
    return ORDER if is_index or is_order else FOREIGN


def _left_out(whole: ast.expr, part: ast.expr) -> str:
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


def line_of(path: str, line: int, names: list[str], known: dict[str, Any]) -> Code:
    """Return what an assignment at a line computes, as a function of the names that it may read."""
    (function,) = ast.parse(f"def line(ctx, {', '.join(names)}): return 0").body
    assert isinstance(function, ast.FunctionDef)
    assert isinstance(function.body[0], ast.Return)
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or line):
            function.body[0].value = node.value
    return Code([function], known)


def _is_equal(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return type(a) is type(b) and not isinstance(a, Tensor) and bool(a == b)
    if a.shape != b.shape:
        return False
    return torch.equal(a.isfinite(), b.isfinite()) and same(a.double(), b.double(), EXACT)


def _has_same(results: tuple[Any, ...], goal: tuple[Any, ...], place: int) -> bool:
    """Return whether both have the same at a place; nobody asks for what the goal has not."""
    a, b = (one[place] if place < len(one) else None for one in (results, goal))
    return b is None or _is_equal(a, b)
