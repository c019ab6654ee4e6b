"""Run a subject once, on copies: forward and backward, and what each custom backward returned.

The autograd engine repairs in silence: it sums a gradient down to its input's shape and casts it to its
input's dtype. So the nodes of the graph that belong to custom Functions get, for the length of one run, an
``apply`` of their own that looks at what goes in and what comes out. It is set on the node, not on the
class: nothing needs to be put back.

This is the one file that reads what PyTorch does not promise to keep:

- ``BackwardCFunction``, the type of a custom Function's node in the graph, and its ``_forward_cls``, the
  Function class, for its name and its arguments' names;
- ``apply``, set on a node: what the engine calls;
- ``_input_metadata``: the shape, dtype and device that the engine makes of each gradient;
- ``_version``: counts changes in place, also one that leaves the values as they were.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from manualgrad.gradcheck.run import Returned, Run
from manualgrad.gradcheck.subject import Subject, SubjectError, same_numbers, tensors_in

# Per result, None where it is not used; or to be drawn at random.
Upstream = Sequence[Tensor | None] | torch.Generator
# From results, leaves and upstream to the gradients of the leaves.
Backward = Callable[[list[Tensor], list[Tensor], list[Tensor]], Sequence[Tensor | None]]


class _Loss(torch.autograd.Function):
    """A number whose gradient by each root is the upstream."""

    @staticmethod
    def forward(ctx: Any, upstream: Sequence[Tensor], *roots: Tensor) -> Tensor:
        ctx.upstream = upstream
        return torch.zeros((), device=roots[0].device)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Any, ...]:
        return None, *ctx.upstream


def differentiate(
    roots: Sequence[Tensor],
    leaves: Sequence[Tensor],
    upstream: Sequence[Tensor],
    retain: bool = False,
    create: bool = False,
) -> Sequence[Tensor | None]:
    """Return the gradients by the leaves, None where nothing arrives.

    An upstream that is given to ``torch.autograd.grad`` itself imports sympy: a third of a second.
    """
    if not roots:
        return [None] * len(leaves)
    loss = _Loss.apply(upstream, *roots)
    return torch.autograd.grad(loss, leaves, None, retain, create, allow_unused=True)


def forward_backward(
    subject: Subject,
    values: Sequence[Any],
    upstream: Upstream,
    *,
    backward: Backward = differentiate,  # how to go backward: once
    around: AbstractContextManager[Any] | None = None,  # for each custom backward to run in
) -> Run:
    """Run forward and backward, on copies; raise :class:`SubjectError` if the subject raises."""
    with torch.enable_grad():
        leaves, arguments = subject.arguments(values)
        nodes = {arguments[i].grad_fn: i for i in leaves}
        results = subject.call(arguments)
        if isinstance(upstream, torch.Generator):
            upstream = [draw(t.detach(), upstream) for t in results]
        given = [None if u is None else u.to(t.dtype) for u, t in zip(upstream, results, strict=True)]
        followed = [t.requires_grad for t in results]
        tops = tuple(torch.zeros_like(t) if u is None else u for u, t in zip(given, results, strict=True))
        run = Run(subject, list(values), tuple(t.detach() for t in results), followed, tops)
        # A module updates its buffers; an in-place function hands back its own argument.
        own = [
            (subject.name_of(i), values[i], arguments[i])
            for i in range(subject.inputs)
            if isinstance(values[i], Tensor) and not any(arguments[i] is t for t in results)
        ]
        run.changed += _changed("forward", own)
        subject.reseed()
        used = [k for k, follows in enumerate(followed) if follows and given[k] is not None]
        roots = [results[k] for k in used]
        try:
            for node in nodes_behind(roots):
                if isinstance(node, BackwardCFunction):
                    # Here, before the engine runs: a checkpoint gives what is saved once in a backward.
                    saved = tensors_in(node.saved_tensors) + tensors_in(vars(node))
                    node.apply = partial(_backward, node, saved, run, nodes, around or nullcontext())
            gradients = backward(roots, list(leaves.values()), [tops[k] for k in used])
        except SubjectError:
            raise
        except (Exception, SystemExit) as error:
            raise SubjectError("backward", error, run.changed) from error
        finally:
            subject.hold(subject.own)
        run.gradients = dict(zip(leaves, gradients, strict=True))
        run.changed = run.changed or _changed("backward", own)
        return run


def draw(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw numbers of random sign and a size between 0.5 and 1.5: none is near zero."""
    size = torch.rand(like.shape, generator=generator, dtype=torch.float64) + 0.5
    return (size * (torch.randint(0, 2, like.shape, generator=generator) * 2 - 1)).to(like)


def _changed(phase: str, own: list[tuple[str, Tensor, Tensor]]) -> list[str]:
    return [
        f"{phase} changed the input {name} in place"
        for name, was, now in own
        if not same_numbers(now.detach(), was)
    ]


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
    saved: list[Tensor],
    run: Run,
    positions: dict[Any, int],
    around: AbstractContextManager[Any],
    *upstream: Tensor | None,
) -> tuple[Any, ...]:
    """Do as the node's own ``apply`` does; note what it changes in place, and what it returns."""
    function = type(node)._forward_cls
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
