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

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from manualgrad.gradcheck.run import Returned, Run
from manualgrad.gradcheck.subject import same_numbers, tensors_in


def watch(
    roots: Iterable[Tensor], run: Run, positions: dict[Any, int], around: AbstractContextManager[Any]
) -> None:
    """Have every custom node behind the roots record what it does.

    ``positions`` maps a node to the subject's argument that its gradient belongs to; each backward
    runs within ``around``.
    """
    for node in nodes_behind(roots):
        if isinstance(node, BackwardCFunction):
            node.apply = partial(_backward, node, run, positions, around)


def nodes_behind(roots: Iterable[Tensor]) -> Iterator[Node]:
    """Yield the nodes of the graph that ends in the roots."""
    seen: set[Any] = {None}
    stack: list[Any] = [t.grad_fn for t in roots]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
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
    saved = tensors_in(node.saved_tensors) + tensors_in(vars(node))
    run.saved += saved

    def watched() -> list[tuple[str, Tensor | None]]:
        return [
            *(("the upstream gradient", u) for u in upstream),
            *(("a saved tensor", t) for t in saved),
            *(("the .grad of a saved tensor", t.grad) for t in saved if t.is_leaf),
        ]

    before = [None if t is None else (t.detach().clone(), t._version) for _, t in watched()]
    with around:
        returned = type(node).apply(node, *upstream)
    for (what, now), was in zip(watched(), before, strict=True):
        if now is not None and (was is None or now._version != was[1] or not same_numbers(now, was[0])):
            run.changed.append(f"{function.__name__}.backward changed {what} in place")

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
            meta, position = following._input_metadata[slot], positions.get(following)
            shape = torch.Size(meta.shape)
            one = Returned(function, i, position, gradients[i], shape, meta.dtype, meta.device)
            if not isinstance(one.gradient, Tensor | None):
                raise TypeError(
                    f"what backward returned as the gradient of {one.name} is of type "
                    f"{type(one.gradient).__name__}; it must be a tensor or None"
                )
            run.returned.append(one)
            if not one.is_accepted:
                gradients[i] = torch.zeros(shape, dtype=one.dtype, device=one.device)
    return tuple(gradients[: len(needs)])
