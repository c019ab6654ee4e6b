"""Record what each custom backward returned, before the autograd engine touches it.

The engine repairs in silence: it sums a gradient down to its input's shape and casts it to its input's
dtype. So the nodes of the graph that belong to custom Functions get, for the length of one run, an
``apply`` of their own that looks at what goes in and what comes out. It is set on the node, not on the
class: nothing needs to be put back.

This is the one file that reads what PyTorch does not promise to keep:

- ``BackwardCFunction``, the type of a custom Function's node in the graph, and its ``_forward_cls``, the
  Function class, for its name and its arguments' names;
- ``apply``, set on a node: what the engine calls;
- ``_input_metadata``: the shape, dtype and device that the engine makes of each gradient;
- ``_version``: counts changes in place, also one that leaves the values as they were.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, Function

from manualgrad.gradcheck.run import Returned, Run
from manualgrad.gradcheck.subject import forward_names, same_numbers


def watch(
    roots: Sequence[Tensor], run: Run, positions: dict[Any, int], around: AbstractContextManager[Any]
) -> None:
    """Have every custom node behind the roots record what it does.

    ``positions`` maps a node to the subject's argument that its gradient belongs to; each backward
    runs within ``around``.
    """
    for node in _custom_nodes(roots):
        node.apply = partial(_backward, node, run, positions, around)  # type: ignore[method-assign]


def _custom_nodes(roots: Sequence[Tensor]) -> Iterator[BackwardCFunction]:
    seen: set[Any] = {None}
    stack: list[Any] = [t.grad_fn for t in roots]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if isinstance(node, BackwardCFunction):
                yield node
            stack += [next_node for next_node, _ in node.next_functions]


def _backward(
    node: Any,
    run: Run,
    positions: dict[Any, int],
    around: AbstractContextManager[Any],
    *upstream: Tensor | None,
) -> tuple[Any, ...]:
    """Do as the node's own ``apply`` does; note what it changes in place, and what it returns."""
    function = type(node)._forward_cls
    saved = [t for t in node.saved_tensors if isinstance(t, Tensor)] + _tensors_within(vars(node))
    run.saved += saved
    watched = [("the upstream gradient", u) for u in upstream if isinstance(u, Tensor)]
    watched += [("a saved tensor", t) for t in saved]
    watched += [("the .grad of a saved tensor", t.grad) for t in saved if t.is_leaf and t.grad is not None]
    without = [t for t in saved if t.is_leaf and t.grad is None]
    before = [(t.detach().clone(), t._version) for _, t in watched]
    with around:
        returned = type(node).apply(node, *upstream)
    changed = [
        what
        for (what, now), (was, version) in zip(watched, before, strict=True)
        if now._version != version or not same_numbers(now, was)
    ]
    changed += ["the .grad of a saved tensor"] * any(t.grad is not None for t in without)
    run.changed += [f"{function.__name__}.backward changed {what} in place" for what in changed]

    needs = node.needs_input_grad
    gradients = list(returned) if isinstance(returned, tuple | list) else [returned]
    gradients += [None] * all(needs[len(gradients) :]) * (len(needs) - len(gradients))
    if len(gradients) < len(needs) or any(g is not None for g in gradients[len(needs) :]):
        got, wanted = len(gradients), len(needs)
        raise TypeError(
            f"{function.__name__}.backward returned {got} gradient{'s' * (got != 1)}, but forward takes "
            f"{wanted} argument{'s' * (wanted != 1)}: return one for each, None for what has none"
        )
    # next_functions has an entry per tensor argument; those that need no gradient lead nowhere.
    edges = iter(edge for edge in node.next_functions if edge[0] is not None)
    for i, needed in enumerate(needs):
        if needed:
            following, slot = next(edges)
            one = _returned(function, i, gradients[i], following._input_metadata[slot])
            one.position = positions.get(following)
            run.returned.append(one)
            if not one.is_accepted:
                gradients[i] = torch.zeros(one.shape, dtype=one.dtype, device=one.device)
    return tuple(gradients[: len(needs)])


def _returned(function: type[Function], i: int, gradient: Any, meta: Any) -> Returned:
    names = forward_names(function)
    name = names[i] if i < len(names) else str(i)
    if gradient is not None and not isinstance(gradient, Tensor):
        what = type(gradient).__name__
        raise TypeError(
            f"what backward returned as the gradient of {name} is of type {what}; it must be a tensor or None"
        )
    return Returned(name, None, gradient, torch.Size(meta.shape), meta.dtype, meta.device)


def _tensors_within(value: Any, depth: int = 3) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if not depth or not isinstance(value, dict | list | tuple):
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [t for part in parts for t in _tensors_within(part, depth - 1)]
