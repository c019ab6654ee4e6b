"""The way that gradients take, from ``grad_fn`` to ``grad_fn``, as TensorBoard's Graphs tab shows it."""

import inspect
import sys
from collections import Counter, defaultdict
from typing import Any

from torch import Tensor
from torch.autograd import Function

import manualgrad.nn as nn
from manualgrad.training.layers import split_into_layers

RESHAPING = {"View", "UnsafeView", "Transpose", "T", "Permute", "Expand", "Unsqueeze", "Clone"}


def backward_graph(loss: Tensor, model: nn.Sequential) -> Any:
    """Describe what ``loss.backward()`` walks through, as a GraphDef.

    It has a box for each layer, which a double click opens, with a box for each backward function and each
    parameter. A function's box has the name of its Function, with a number where the layer has several:
    ``1_Linear`` is the one next to the input. Edges lead the way the gradients go and carry their shapes,
    which a click on a box lists. In each box lies a node, for TensorBoard draws a box larger than a node:
    ``by_hand``, ``PyTorch`` or ``gradient``. Its card tells in which file the backward is written, and a
    parameter's name.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    layers = split_into_layers(model)
    layer_of = {parameter: n for n, layer in enumerate(layers) for parameter in layer.parameters}
    parameters = {parameter: name for name, parameter in model.named_parameters()}
    nodes = walk_back(loss)
    boxes: dict[Any, int] = {}  # a node's layer: the last one whose parameters the gradient reaches by it
    for node in reversed(nodes):
        behind = (boxes[following] for following, _ in _followers(node))
        boxes[node] = layer_of.get(node.variable, -1) if _is_leaf(node) else max(behind, default=-1)
    for node in nodes:
        if not _is_leaf(node) and not node._input_metadata[0].shape:
            boxes[node] = len(layers)  # it computes a single number, as only the loss is
    names = [layer.name.removesuffix("2d") for layer in layers]  # a box has room for 17 letters
    titles = [*(f"{name}/" for name in names), "loss/", ""]  # box -1 is that of the input
    left = Counter((boxes[node], _kind_of(node)) for node in nodes)  # counts down, towards the input
    several = {kind for kind, count in left.items() if count > 1}
    sources: dict[Any, list[str]] = defaultdict(list, {_beyond(loss.grad_fn)[0]: ["loss/value"]})
    graph = GraphDef()
    _add_node(graph, "loss/value", "Loss", [], [tuple(loss.shape)], {"value": f"{loss.item():.6g}"})
    for node in nodes:
        box, kind = boxes[node], _kind_of(node)
        card = _card(node)
        name = f"{left[box, kind]}_{kind}" if (box, kind) in several else kind
        left[box, kind] -= 1
        if _is_leaf(node):
            name = "input"
            if node.variable in parameters:
                card["parameter"] = parameters[node.variable]
                path = card["parameter"].partition(".")[2]  # "norm1.weight" is named "weight of norm1"
                name = " of ".join(reversed(path.rsplit(".", 1)))
        followers = _followers(node)
        shapes = [tuple(following._input_metadata[slot].shape) for following, slot in followers]
        whose = "gradient" if _is_leaf(node) else "by_hand" if _function_of(node) else "PyTorch"
        path = f"{titles[box]}{name}/{whose}"
        _add_node(graph, path, kind, sources[node], shapes, card)
        for which, (following, _) in enumerate(followers):
            # "path:1" is the second of the gradients that a node hands on: the form of TensorFlow's graphs.
            sources[following].append(f"{path}:{which}" if which else path)
    return graph


def lessons(loss: Tensor) -> dict[str, str]:
    """Return the docstrings of the files of the hand-written Functions on the way back, nearest first."""
    functions = [function for node in walk_back(loss) if (function := _function_of(node))]
    modules = {function.__name__: sys.modules.get(function.__module__) for function in functions}
    return {name: inspect.getdoc(module) or "" for name, module in modules.items() if module}


def walk_back(loss: Tensor) -> list[Any]:
    """Return the nodes of autograd's graph, nearest first, each behind all that hand it a gradient."""
    found, arriving = [_beyond(loss.grad_fn)[0]], Counter[Any]()
    order = found[:]
    for node in found:  # which grows
        for following, _ in _followers(node):
            if following not in arriving:
                found.append(following)
            arriving[following] += 1
    for node in order:
        for following, _ in reversed(_followers(node)):  # an operand on the left was there first
            arriving[following] -= 1
            if not arriving[following]:
                order.append(following)
    return order


def _is_leaf(node: Any) -> bool:
    """Return whether a gradient's way ends at this node: at a parameter or another leaf tensor."""
    return hasattr(node, "variable")


def _function_of(node: Any) -> type[Function] | None:
    """Return the hand-written Function whose backward a node runs, or None if it is PyTorch's own."""
    return getattr(node, "_forward_cls", None)  # which autograd gives to every Function's node


def _kind_of(node: Any) -> str:
    """Name a node after its Function, and a leaf ``Gradient``."""
    if _is_leaf(node):
        return "Gradient"
    function = _function_of(node)
    return function.__name__ if function else node.name().rstrip("0123456789").removesuffix("Backward")


def _followers(node: Any) -> list[tuple[Any, int]]:
    """Return what a node hands gradients to, but for what needs none, such as the data."""
    followers = [_beyond(following, slot) for following, slot in node.next_functions]
    return [(following, slot) for following, slot in followers if following is not None]


def _beyond(node: Any, slot: int = 0) -> tuple[Any, int]:
    """Return the first node, from this one on, that does more than give numbers another shape."""
    while node is not None and _kind_of(node) in RESHAPING:
        node, slot = node.next_functions[0]
    return node, slot


def _card(node: Any) -> dict[str, str]:
    """Return what a click on a node tells: in ASCII, for TensorBoard shows the bytes of anything else."""
    if _is_leaf(node):
        return {"shape": " x ".join(map(str, node.variable.shape))}
    function = _function_of(node)
    return {"backward": f"by hand, in {function.__module__}" if function else "PyTorch's own"}


def _add_node(graph: Any, name: str, kind: str, inputs: list[str], shapes: Any, card: dict[str, str]) -> None:
    node = graph.node.add(name=name, op=kind, input=inputs)
    for shape in shapes:
        sizes = node.attr["_output_shapes"].list.shape.add()
        for size in shape:
            sizes.dim.add(size=size)
    for key, text in card.items():
        node.attr[key].s = text.encode()
