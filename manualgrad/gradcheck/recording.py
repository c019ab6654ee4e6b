"""Record what each custom backward returned, before the autograd engine touches it.

The engine repairs in silence: it sums a gradient down to its input's shape and casts it to its input's
dtype. So the nodes of the graph that belong to custom Functions get, for the length of one run, an
``apply`` of their own that looks at what goes in and what comes out. It is set on the node, not on the
class: nothing needs to be put back.

This is the one file that reads what PyTorch does not promise to keep: see :data:`PRIVATE`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, Function

from manualgrad.gradcheck.subject import forward_names, same_bits

PRIVATE = {
    "BackwardCFunction": "the type of a custom Function's node in the graph",
    "_forward_cls": "the Function class of such a node, for its name and its arguments' names",
    "apply, set on a node": "what the engine calls: to see what goes in and what comes out",
    "_input_metadata": "the shape, dtype and device that the engine makes of each gradient",
    "_version": "counts changes in place, also one that leaves the values as they were",
}
Around = Callable[[list[Tensor]], AbstractContextManager[Any]]


@dataclass
class Returned:
    """One gradient as ``backward`` returned it, beside what it should look like.

    Attributes
    ----------
    name : str
        The argument of ``forward`` that it belongs to.
    position : int or None
        The subject's argument that this is the gradient of, where the two are directly connected.
    gradient : Tensor or None
        As returned.
    shape, dtype, device
        Those of the argument.
    """

    name: str
    position: int | None
    gradient: Tensor | None
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    @property
    def is_accepted(self) -> bool:
        """Whether the engine takes it, if only after summing it; if not, zeros are put in its place."""
        return self.gradient is None or engine_accepts(self.gradient.shape, self.shape)


@dataclass
class Record:
    """What the custom backwards of one run did.

    Attributes
    ----------
    returned : list of Returned
        What each of them returned.
    changed : list of str
        What was modified in place that should not have been, as a phrase.
    saved : list of Tensor
        What they could read.
    functions : list of type
        The custom Functions in the graph.
    """

    returned: list[Returned] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    saved: list[Tensor] = field(default_factory=list)
    functions: list[type[Function]] = field(default_factory=list)


def watch(roots: Sequence[Tensor], record: Record, positions: dict[Any, int], around: Around) -> None:
    """Have every custom node behind the roots record what it does.

    ``positions`` maps a node to the subject's argument that its gradient belongs to; ``around`` makes a
    context for each backward to run in, from the tensors that it has saved.
    """
    for node in _custom_nodes(roots):
        _Recorder(node, record, positions, around).install()


class _Recorder:
    """Stands in for one node's ``apply``."""

    def __init__(
        self, node: BackwardCFunction, record: Record, positions: dict[Any, int], around: Around
    ) -> None:
        self.node, self.record, self.positions, self.around = node, record, positions, around
        self.function: type[Function] = type(node)._forward_cls  # type: ignore[attr-defined]
        record.functions.append(self.function)

    def install(self) -> None:
        self.node.apply = self  # type: ignore[method-assign]

    def __call__(self, *upstream: Tensor | None) -> Any:
        saved = _saved_tensors(self.node)
        self.record.saved += saved
        watched = [("the upstream gradient", u) for u in upstream if isinstance(u, Tensor)]
        watched += [("a saved tensor", t) for t in saved]
        watched += [
            ("the .grad of a saved tensor", t.grad) for t in saved if t.is_leaf and t.grad is not None
        ]
        without = [t for t in saved if t.is_leaf and t.grad is None]
        before = [(t.detach().clone(), t._version) for _, t in watched]
        with self.around(saved):
            returned = type(self.node).apply(self.node, *upstream)
        for (what, now), (was, version) in zip(watched, before, strict=True):
            if now._version != version or not same_bits(now, was):
                self._changed(what)
        if any(t.grad is not None for t in without):
            self._changed("the .grad of a saved tensor")
        gradients = returned if isinstance(returned, tuple | list) else (returned,)
        return self._inspect(list(gradients))

    def _changed(self, what: str) -> None:
        self.record.changed.append(f"{self.function.__name__}.backward changed {what} in place")

    def _inspect(self, gradients: list[Any]) -> tuple[Any, ...]:
        """Note each gradient, and hand the engine something that it accepts."""
        needs = self.node.needs_input_grad
        if len(gradients) != len(needs) and any(g is not None for g in gradients[len(needs) :]):
            raise _miscounted(self.function, len(gradients), len(needs))
        missing = list(range(len(gradients), len(needs)))
        if any(not needs[i] for i in missing):
            raise _miscounted(self.function, len(gradients), len(needs))
        gradients = gradients[: len(needs)] + [None] * len(missing)
        # next_functions has an entry per tensor argument; those that need no gradient lead nowhere.
        edges = iter(edge for edge in self.node.next_functions if edge[0] is not None)
        names = forward_names(self.function)
        for i, needed in enumerate(needs):
            if not needed:
                continue
            node, slot = next(edges)
            meta = node._input_metadata[slot]
            gradient = gradients[i]
            if gradient is not None and not isinstance(gradient, Tensor):
                raise TypeError(
                    f"backward returned a {type(gradient).__name__} as the gradient of "
                    f"{names[i] if i < len(names) else i}; a gradient is a tensor or None"
                )
            shape = torch.Size(meta.shape)
            name = names[i] if i < len(names) else str(i)
            self.record.returned.append(
                Returned(name, self.positions.get(node), gradient, shape, meta.dtype, meta.device)
            )
            if not self.record.returned[-1].is_accepted:
                gradients[i] = torch.zeros(shape, dtype=meta.dtype, device=meta.device)
        return tuple(gradients)


def _saved_tensors(node: BackwardCFunction) -> list[Tensor]:
    """Return everything that backward may read: what was saved, and tensors hung on ctx."""
    return [t for t in node.saved_tensors if isinstance(t, Tensor)] + _tensors_within(vars(node))


def _tensors_within(value: Any, depth: int = 3) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    if not depth or not isinstance(value, dict | list | tuple):
        return []
    return [t for part in parts for t in _tensors_within(part, depth - 1)]


def _custom_nodes(roots: Sequence[Tensor]) -> Iterator[BackwardCFunction]:
    seen: set[Any] = set()
    stack: list[Any] = [t.grad_fn for t in roots]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            yield node
        stack += [next_node for next_node, _ in node.next_functions]


def engine_accepts(shape: torch.Size, wanted: torch.Size) -> bool:
    """Return whether the engine takes a gradient of this shape: it sums what broadcasting would expand."""
    try:
        return shape == wanted or torch.broadcast_shapes(shape, wanted) == shape
    except RuntimeError:
        return False


def _miscounted(function: type[Function], got: int, wanted: int) -> TypeError:
    return TypeError(
        f"{function.__name__}.backward returned {got} gradient{'s' * (got != 1)}, but forward takes {wanted} "
        f"argument{'s' * (wanted != 1)}: return one for each, None for what has none"
    )
