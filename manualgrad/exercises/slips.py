"""Name a student's slip: the edit that makes their backward right, or makes ours return what theirs does.

A student writes ``grad_output * (1 + output**2)`` for tanh. With ``1 - output**2`` it is right in every call
that is known, so they are told that this belongs there.
"""

import ast
import itertools
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from manualgrad.cases import FUNCTIONS
from manualgrad.exercises.edits import (
    FOREIGN,
    LATE,
    OF_OURS,
    OF_THEIRS,
    Rules,
    Scope,
    exchanged,
    left_out,
    literal,
)
from manualgrad.exercises.names import Comparison
from manualgrad.exercises.source import EXACT, Code, Place, has_same
from manualgrad.exercises.wording import kind_of, missing_part, shorten

MEANINGLESS = {"dropout"}  # its backward multiplies by whatever was saved


@dataclass
class Edit:
    """One slip: in theirs what is right instead, in ours what makes it as theirs is."""

    is_theirs: bool
    surprise: int
    changes: list[tuple[Place, ast.expr]]


class Slips(Comparison):
    """A search for the edit that explains the gradients at some places of what a backward returns.

    An edit of theirs has to return what is right in all calls, and an edit of ours what theirs does.
    """

    def find(self) -> tuple[str, str] | None:
        """Return a kind and a sentence for the least surprising edit that explains it; None without one."""
        if not self.wrong:
            return None
        for edits in self._groups():
            fitting = [(edit, left) for edit in edits if (left := self._explains(edit)) is not None]
            told = [
                ((left, *self._oddity(edit, one)), one) for edit, left in fitting if (one := self._tell(edit))
            ]
            if told:
                return min(told)[1]
        for name, info in FUNCTIONS.items() if self.yours[self.wrong[0]] else ():
            same_results = (
                self._fits(call.run(info.function_class.backward), yours)
                for call, yours in zip(self.calls, self.yours, strict=True)
            )
            if name not in MEANINGLESS and all(same_results):
                return FOREIGN, f"This is the backward of {name}."
        return None

    def _groups(self) -> Iterator[list[Edit]]:
        """Yield the edits of both, the likeliest first; those that are many are made when no other fits."""
        for of_theirs, of_ours in ((OF_THEIRS, OF_OURS), (LATE, ())):
            found = [*self._edits_of(self.theirs, self.ours, of_theirs)]
            if self.yours[self.wrong[0]]:  # theirs did not raise
                found += self._edits_of(self.ours, self.theirs, of_ours)
            found.sort(key=lambda edit: edit.surprise)
            for _, group in itertools.groupby(found, lambda edit: edit.surprise):
                yield list(group)

    def _oddity(self, edit: Edit, told: tuple[str, str]) -> tuple[bool, bool, int, int]:
        """Return what makes one of several edits less likely: it is ours, a strange number, or long."""
        place, new = edit.changes[0]
        is_known = any(ast.unparse(new) in text for text in self._our_texts)
        doubt = 0 if is_known else 1 + (literal(place.node) is not None)
        is_exchange = told[0] != "missing-terms"
        size = len(ast.unparse(place.node) + ast.unparse(new))
        return not edit.is_theirs, not edit.is_theirs and is_exchange, doubt, size

    def _edits_of(self, code: Code, other: Code, rules: Rules) -> Iterator[Edit]:
        is_theirs = code is self.theirs
        names, values = (self._their_names, self.values) if is_theirs else (self._our_names, self.our_values)
        called = _calls(other)
        if is_theirs:
            called = {n: list(filter(None, map(self._in_their_names, calls))) for n, calls in called.items()}
        scope = Scope(is_theirs, names, values, self._foreign if is_theirs else [], called)
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

    def _explains(self, edit: Edit) -> int | None:
        """Return how many other gradients an edit leaves wrong; None if it does not explain all calls."""
        code = self.theirs if edit.is_theirs else self.ours
        function, left = edit.changes[0][0].function, 0
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
                if not results or not self._fits(results, goal):
                    return None
                for place, one in enumerate(self.calls[k].right):
                    if one is not None and not has_same(results, goal, place):
                        was_right = (
                            has_same(before, goal, place) if before else results[place : place + 1] != (None,)
                        )
                        if was_right:
                            return None
                        left += 1
        return left

    def _tell(self, edit: Edit) -> tuple[str, str] | None:
        """Return a kind and a sentence: what in their code belongs elsewhere, or what of ours is left out."""
        code = self.theirs if edit.is_theirs else self.ours
        first = edit.changes[0][0]
        is_name = len(edit.changes) > 1 and isinstance(first.node, ast.Name)
        shown = first if is_name else self._shown(code, first)
        before, was_in_brackets = deepcopy(shown.node), _is_in_brackets(shown)
        with code.changed(edit.changes):
            after, is_in_brackets = deepcopy(shown.node), _is_in_brackets(shown)
        if not edit.is_theirs:
            before, after = map(self._in_their_names, (before, after))
        if before is None or after is None:
            return None
        theirs, right = (before, after) if edit.is_theirs else (after, before)
        stands_at = [place for place, _ in edit.changes] if edit.is_theirs else self._found(theirs)
        lines = sorted({place.node.lineno for place in stands_at if hasattr(place.node, "lineno")})
        lines = lines or [self.theirs.main.lineno] * edit.is_theirs
        line = f"Line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))}: " if lines else "In effect: "
        line *= edit.is_theirs or len(lines) < 2  # of several it may be any
        ((place, new),) = edit.changes[:1]
        kind = kind_of(place, new)
        if isinstance(theirs, ast.Tuple) and isinstance(right, ast.Tuple):
            pairs = zip(theirs.elts, right.elts, strict=False)
            moved = [f"`{ast.unparse(a)}`" for a, b in pairs if ast.dump(a) != ast.dump(b)]
            if len(moved) == 2 and sorted(map(ast.dump, theirs.elts)) == sorted(map(ast.dump, right.elts)):
                return kind, f"{line}{' and '.join(moved)} are exchanged."
        if missing := missing_part(right, theirs):
            return "missing-terms", f"{line}{missing} is missing."
        too_much = missing_part(theirs, right) if edit.is_theirs else ""
        if too_much.startswith("The "):
            return "missing-terms", f"{line}{too_much} is too much: without it the gradient is right."
        shorten(theirs, right)
        stands, belongs = ast.unparse(theirs), ast.unparse(right)
        note = " (`correction=1`, the default, divides by M − 1.)" if "correction=0" in belongs else ""
        if edit.is_theirs and is_in_brackets and not was_in_brackets:
            belongs = f"({belongs})"
        count = len(edit.changes)
        places = f", in {'both' if count == 2 else f'all {count}'} places" if count > 1 else ""
        return kind, f"{line}`{stands}` stands where `{belongs}` belongs{places}.{note}"

    def _found(self, node: ast.expr) -> list[Place]:
        """Return where in theirs an expression stands that all that is wrong depends on."""
        same = (place for place in self.theirs.places if ast.dump(place.node) == ast.dump(node))
        return [place for place in same if self._reach(self.theirs, place) > 1]

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


def _is_in_brackets(place: Place) -> bool:
    """Return whether an expression has to stand in parentheses in its place."""
    is_operand = isinstance(place.parent, ast.BinOp | ast.UnaryOp | ast.Attribute)
    return is_operand and f"({ast.unparse(place.node)})" in ast.unparse(place.parent)


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
