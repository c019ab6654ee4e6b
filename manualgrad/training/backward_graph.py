"""The way that gradients take, from ``grad_fn`` to ``grad_fn``, as TensorBoard's Graphs tab shows it."""

import inspect
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from torch import Tensor

import manualgrad.nn as nn

if TYPE_CHECKING:
    from tensorboard.compat.proto.graph_pb2 import GraphDef


def backward_graph(loss: Tensor, model: nn.Module) -> "GraphDef":
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
        Function, with a number where there are several: ``1_Linear`` is the one next to the input. Edges
        lead the way the gradients go and carry their shapes. What a node's card shows besides tells where
        its backward is written.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    parameters = {parameter: name for name, parameter in model.named_parameters()}
    walk = _walk_back(loss)
    left = Counter(_kind(function) for function in walk)  # counts down, as the walk goes towards the input
    several = {kind for kind, count in left.items() if count > 1}
    names: dict[Any, str] = {}
    graph = GraphDef()
    _add_node(graph, "loss", "Loss", [], [tuple(loss.shape)], {"value": f"{loss.item():.6g}"})
    for function, sources in walk.items():
        kind = _kind(function)
        if kind == "Gradient":
            names[function] = parameters.get(function.variable, "input")
        else:
            names[function] = f"{left[kind]}_{kind}" if kind in several else kind
        left[kind] -= 1
        # "name:1" is the second of the gradients that a node hands on: the form of TensorFlow's graphs.
        inputs = [f"{names[source]}:{which}".removesuffix(":0") for source, which in sources] or ["loss"]
        _add_node(graph, names[function], kind, inputs, _shapes_handed_on(function), _card(function))
    return graph


def hand_written(loss: Tensor) -> list[type]:
    """Return the hand-written Functions on the way back from a loss, each once, nearest first."""
    functions = (getattr(function, "_forward_cls", None) for function in _walk_back(loss))
    return list(dict.fromkeys(function for function in functions if function is not None))


def lesson(function: type) -> str:
    """Return the lesson of a hand-written Function: its file's docstring, if there is one."""
    module = sys.modules.get(function.__module__)  # a student's file may not be there
    return inspect.cleandoc((module and module.__doc__) or "")


def _walk_back(loss: Tensor) -> dict[Any, list[tuple[Any, int]]]:
    """Map each backward function, nearest first, to those that hand it a gradient, and which of theirs."""
    sources: dict[Any, list[tuple[Any, int]]] = {loss.grad_fn: []}
    waiting = [loss.grad_fn]
    while waiting:
        function: Any = waiting.pop(0)
        for which, (following, _) in enumerate(_followers(function)):
            if following not in sources:
                sources[following] = []
                waiting.append(following)
            sources[following].append((function, which))
    return sources


def _followers(function: Any) -> list[tuple[Any, int]]:
    """Return what a function hands gradients to, but for what needs none, such as the data."""
    return [(following, slot) for following, slot in function.next_functions if following is not None]


def _shapes_handed_on(function: Any) -> list[tuple[int, ...]]:
    return [tuple(following._input_metadata[slot].shape) for following, slot in _followers(function)]


def _kind(function: Any) -> str:
    """Name a backward function after its Function, and the end of a way ``Gradient``."""
    if hasattr(function, "variable"):
        return "Gradient"
    written = getattr(function, "_forward_cls", None)
    return written.__name__ if written else function.name().removesuffix("0").removesuffix("Backward")


def _card(function: Any) -> dict[str, str]:
    """Return what a click on a node tells: in ASCII, for TensorBoard shows the bytes of anything else."""
    if hasattr(function, "variable"):
        return {"shape": " x ".join(map(str, function.variable.shape))}
    written = getattr(function, "_forward_cls", None)
    return {"backward": f"by hand, in {written.__module__}" if written else "PyTorch's own"}


def _add_node(
    graph: "GraphDef",
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
