"""The way that gradients take, from ``grad_fn`` to ``grad_fn``, as TensorBoard's Graphs tab shows it."""

import inspect
import sys
from collections import Counter
from typing import Any

from torch import Tensor
from torch.autograd import Function

import manualgrad.nn as nn


def backward_graph(loss: Tensor, model: nn.Module) -> Any:
    """Describe what ``loss.backward()`` walks through.

    Parameters
    ----------
    loss : Tensor
        A single number that depends on the model's parameters.
    model : Module
        Gives the parameters their names.

    Returns
    -------
    GraphDef
        A node for each backward function and for each parameter. A function's node has the name of its
        Function, with a number where there are several: ``1_Linear`` is the one next to the input, and
        ``1_weight`` its weight. Edges lead the way the gradients go and carry their shapes. What a
        node's card shows besides tells where its backward is written, and a parameter's name in the model.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    parameters = {parameter: name for name, parameter in model.named_parameters()}
    walk = walk_back(loss)
    left = Counter(kind_of(node) for node in walk)  # counts down, as the walk goes towards the input
    several = {kind for kind, count in left.items() if count > 1}
    names: dict[Any, str] = {}
    graph = GraphDef()
    _add_node(graph, "loss", "Loss", [], [tuple(loss.shape)], {"value": f"{loss.item():.6g}"})
    for node, sources in walk.items():
        kind = kind_of(node)
        card = _card(node)
        if not is_leaf(node):
            names[node] = f"{left[kind]}_{kind}" if kind in several else kind
        elif node.variable in parameters:
            # By the number of the function that it belongs to: the model's own names count ReLUs, too. And
            # short: TensorBoard cuts off what is longer than 8 letters.
            card["parameter"] = parameters[node.variable]
            owner, short = names[sources[0][0]], card["parameter"].rpartition(".")[2]
            name = owner.partition("_")[0] + "_" + short if "_" in owner else short
            names[node] = f"{owner}.{short}" if name in names.values() else name
        else:
            names[node] = "input"
        left[kind] -= 1
        # "name:1" is the second of the gradients that a node hands on: the form of TensorFlow's graphs.
        inputs = [f"{names[source]}:{which}".removesuffix(":0") for source, which in sources] or ["loss"]
        _add_node(graph, names[node], kind, inputs, _shapes_handed_on(node), card)
    return graph


def hand_written(loss: Tensor) -> list[type]:
    """Return the hand-written Functions on the way back from a loss, each once, nearest first."""
    return list(dict.fromkeys(function for node in walk_back(loss) if (function := function_of(node))))


def lesson(function: type) -> str:
    """Return the lesson of a hand-written Function: its file's docstring, if there is one."""
    module = sys.modules.get(function.__module__)  # a student's file may not be there
    return inspect.cleandoc((module and module.__doc__) or "")


def walk_back(loss: Tensor) -> dict[Any, list[tuple[Any, int]]]:
    """Map each node of autograd's graph to those that hand it a gradient, and which of theirs.

    Parameters
    ----------
    loss : Tensor
        Of any shape. It needs a gradient.

    Returns
    -------
    dict
        The nodes, each behind all of its sources, the nearest first; for each the pairs of source and
        position, none for the loss's own.
    """
    sources: dict[Any, list[tuple[Any, int]]] = {loss.grad_fn: []}
    waiting = [loss.grad_fn]
    while waiting:
        node: Any = waiting.pop(0)
        for which, (following, _) in enumerate(_followers(node)):
            if following not in sources:
                sources[following] = []
                waiting.append(following)
            sources[following].append((node, which))
    missing = {node: len(sources_of_node) for node, sources_of_node in sources.items()}
    walk, waiting = {}, [loss.grad_fn]
    while waiting:  # a recurrent network's weight has a source in every step
        node = waiting.pop(0)
        walk[node] = sources[node]
        for following, _ in _followers(node):
            missing[following] -= 1
            if not missing[following]:
                waiting.append(following)
    return walk


def is_leaf(node: Any) -> bool:
    """Return whether a gradient's way ends at this node: at a parameter or another leaf tensor."""
    return hasattr(node, "variable")


def function_of(node: Any) -> type[Function] | None:
    """Return the hand-written Function whose backward a node runs, or None if it is PyTorch's own."""
    return getattr(node, "_forward_cls", None)  # which autograd gives to every Function's node


def kind_of(node: Any) -> str:
    """Name a node after its Function, and a leaf ``Gradient``."""
    if is_leaf(node):
        return "Gradient"
    function = function_of(node)
    return function.__name__ if function else node.name().removesuffix("0").removesuffix("Backward")


def _followers(node: Any) -> list[tuple[Any, int]]:
    """Return what a node hands gradients to, but for what needs none, such as the data."""
    return [(following, slot) for following, slot in node.next_functions if following is not None]


def _shapes_handed_on(node: Any) -> list[tuple[int, ...]]:
    return [tuple(following._input_metadata[slot].shape) for following, slot in _followers(node)]


def _card(node: Any) -> dict[str, str]:
    """Return what a click on a node tells: in ASCII, for TensorBoard shows the bytes of anything else."""
    if is_leaf(node):
        return {"shape": " x ".join(map(str, node.variable.shape))}
    function = function_of(node)
    return {"backward": f"by hand, in {function.__module__}" if function else "PyTorch's own"}


def _add_node(
    graph: Any,
    name: str,
    kind: str,
    inputs: list[str],
    shapes: list[tuple[int, ...]],
    card: dict[str, str],
) -> None:
    node = graph.node.add(name=name, op=kind, input=inputs)
    for shape in shapes:
        sizes = node.attr["_output_shapes"].list.shape.add()
        for size in shape:
            sizes.dim.add(size=size)
    for key, text in card.items():
        node.attr[key].s = text.encode()
