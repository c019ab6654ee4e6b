"""What theirs and ours compute in one call, and what theirs calls what ours computes."""

import ast
from copy import deepcopy
from dataclasses import is_dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from manualgrad.exercises.edits import parse
from manualgrad.exercises.source import Call, Code, has_same, is_equal, names_in

LONGEST = 60  # characters of an expression of ours that is told
UNPACKED = ("ctx.saved_tensors", "ctx.options")
NO_FACTS = ("saved_tensors", "needs_input_grad", "options", "shape")
TRIVIAL = (None, False, 0, 1, (0, 0), (1, 1), "none", "mean", -100)  # options that change nothing


class Comparison:
    """A student's function beside ours: where it is wrong, and the values in both in the first such call.

    Only some places of what is returned are asked for. The first calls, so many, are those that it is about.
    """

    def __init__(
        self, ours: Code, theirs: Code, calls: list[Call], places: list[int], first: int = 1
    ) -> None:
        self.ours, self.theirs, self.calls, self.places = ours, theirs, calls, places
        self.yours = [theirs.run(call) for call in calls]
        self._translations: dict[str, ast.expr | None] = {}
        wrong = [k for k, call in enumerate(calls) if not self._fits(self.yours[k], call.right)]
        self.wrong = [k for k in wrong if k < first] or wrong
        if wrong:
            (self.our_values, _), (self.values, _) = (
                code.watch(calls[self.wrong[0]]) for code in (ours, theirs)
            )

    def _fits(self, results: tuple[Any, ...], goal: tuple[Any, ...]) -> bool:
        return bool(results) == bool(goal) and all(has_same(results, goal, k) for k in self.places)

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
            if not is_short and not any(is_equal(self.our_values[node], one) for one in right):
                new = self._in_their_names(node)
                if new is not None and len(text := ast.unparse(new)) <= LONGEST:
                    found[text] = new, self.our_values[node]
        return list(found.values())

    @cached_property
    def _our_texts(self) -> list[str]:
        """Our function, and our expressions in their names."""
        return [ast.unparse(self.ours.main), *(ast.unparse(one) for one, _ in self._foreign)]

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
        equal = [other for other, value in theirs.items() if is_equal(value, self._our_names[name])]
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
        computed = [v for v in self._our_names.values() if not any(is_equal(v, one) for one in given)]
        right = [
            f"`{name}`"
            for name, value in self._their_names.items()
            if "." not in name and isinstance(value, Tensor) and any(is_equal(value, one) for one in computed)
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
