"""Where a number that is not finite came up: a batch goes forward and backward once more, under observation.

In the forward every module's output is looked at; in the backward every node of autograd's graph, what it
is given and what it hands on. A node of ours has the name of its Function, and what it hands on that of the
Function's argument.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import Module
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_leaves

from manualgrad.training.backward_graph import function_of, is_leaf, kind_of, walk_back
from manualgrad.training.operations import Operations, Trail, in_pytorch, is_bad, relative, source_line

PACKAGE = Path(__file__).parents[1]

LossFunction = Callable[[Tensor, Tensor], Tensor]
Gradients = tuple[Tensor | None, ...]


def find_culprit(
    model: Module, loss_function: LossFunction, inputs: Tensor, labels: Tensor, anomaly: bool = False
) -> str | None:
    """Go through a batch again and tell where the first number came up that is not finite.

    Weights and gradients stay as they are.

    Parameters
    ----------
    model : Module
        As it is trained; a compiled one is run uncompiled.
    loss_function : callable
        The loss of its outputs and the labels.
    inputs, labels : Tensor
        The batch, N rows each.
    anomaly : bool
        Find the operation, too, and the line where it is written.

    Returns
    -------
    str or None
        A sentence without its full stop; None if all is finite.
    """
    if isinstance(model, DistributedDataParallel):
        model = model.module  # the other processes are not going through anything
    replay = _Replay(model)
    if finding := bad_from_the_start({"the input": inputs, "the target": labels}, replay.tensors):
        return finding
    operations = Operations(caller=replay.place_of_forward) if anomaly else None
    with (
        torch.compiler.set_stance("force_eager"),  # compiled code has no modules that could be looked at
        torch.autograd.set_detect_anomaly(anomaly, check_nan=False),  # each node knows its forward's line
        operations or nullcontext(),
    ):
        loss = replay.forward(loss_function, inputs, labels)
        gradients = () if is_bad(loss) else replay.backward(loss)
    finding = replay.finding(gradients)
    if finding and operations:
        finding += f". {operations.origin([loss, *gradients])}"
    return finding


def bad_from_the_start(batch: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str | None:
    """Return a sentence about the first tensor that is not finite before anything is computed."""
    for name, tensor in batch.items():
        if is_bad(tensor):
            return f"{name} {describe(tensor)}"
    for name, tensor in weights.items():
        if is_bad(tensor):
            return f"{name} {describe(tensor)}, already before this step"
    return None


def describe(tensor: Tensor) -> str:
    """Say how many numbers of a tensor are not finite, which is the first, and what it is."""
    limit = " (float16 ends at 65504)" if tensor.dtype == torch.float16 else ""
    if tensor.dim() == 0:
        return f"is {tensor.item()}{limit}"
    bad = (~tensor.isfinite()).nonzero()
    first = bad[0].tolist()
    value = tensor[tuple(first)].item()
    return f"is not finite: {len(bad)} of {tensor.numel()} elements, first at {first}: {value}{limit}"


class _Replay:
    """One forward and backward, and what is seen of it."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.layers = _number_layers(model)
        self.tensors: dict[str, Tensor] = {}  # parameters and buffers
        for module, layer in self.layers.items():
            for name, tensor in [
                *module.named_parameters(recurse=False),
                *module.named_buffers(recurse=False),
            ]:
                self.tensors[f"{name} of {type(module).__name__} ({layer})"] = tensor
        self.learnt = {name: tensor for name, tensor in self.tensors.items() if tensor.requires_grad}
        self.outputs: list[tuple[str, Tensor | None]] = []  # in order; None where all is finite
        self.owners: dict[Any, str] = {}  # of each node: the layer in whose forward it came up
        self.trail = Trail()  # from node to node
        self.node: Any = None  # whose backward is running

    def forward(self, loss_function: LossFunction, inputs: Tensor, labels: Tensor) -> Tensor:
        leaves = [module for module in self.model.modules() if not list(module.children())]
        hooks = [module.register_forward_hook(self._after_forward) for module in leaves]
        try:
            loss = loss_function(self.model(inputs), labels)
        finally:
            for hook in hooks:
                hook.remove()
        name = getattr(loss_function, "__name__", type(loss_function).__name__)
        self._note("the loss", name, "", loss)
        return loss

    def backward(self, loss: Tensor) -> Gradients:
        for node in self.owners:
            if not is_leaf(node):  # those only take what arrives
                node.register_prehook(partial(self._before_backward, node))
                node.register_hook(partial(self._after_backward, node))
        return torch.autograd.grad(loss, list(self.learnt.values()), allow_unused=True)

    def finding(self, gradients: Gradients) -> str | None:
        # An infinity that has vanished on the way to the loss was meant.
        last_finite = max((i for i, (_, bad) in enumerate(self.outputs) if bad is None), default=-1)
        for name, bad in self.outputs[last_finite + 1 :]:
            assert bad is not None
            return f"{name} {describe(bad)}"
        arrived = [
            (name, parameter)
            for (name, parameter), gradient in zip(self.learnt.items(), gradients, strict=True)
            if is_bad(gradient)
        ]
        if not arrived:
            return None
        finding = self.trail.origin(id(parameter) for _, parameter in arrived)
        finding = finding or f"the gradient of {arrived[0][0]}, a sum of finite ones, is not finite"
        earlier = next((name for name, bad in self.outputs if bad is not None), None)
        return finding + (f"; in the forward {earlier} was not finite" if earlier else "")

    def place_of_forward(self) -> str | None:
        """Return the line whose backward is running."""
        for entry in reversed(self.node.metadata.get("traceback_", []) if self.node else []):
            found = re.search(r'File "(.+)", line (\d+)', entry)
            if found and not in_pytorch(found[1]):
                return f"the backward of {source_line(found[1], int(found[2]))}"
        return None

    def _after_forward(self, module: Module, inputs: Any, output: Any) -> None:
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._note("the output", type(module).__name__, self.layers[module], tensor)

    def _note(self, what: str, name: str, layer: str, output: Tensor) -> None:
        """Note a result, and that the nodes behind it which nobody has claimed are this layer's."""
        new = [] if output.grad_fn is None else [n for n in walk_back(output) if n not in self.owners]
        self.owners |= dict.fromkeys(new, layer)
        written = {function for node in new if (function := function_of(node))}
        if len(written) == 1:
            name = _name(*written)
        where = f"{what} of {name}" + (f" ({layer})" if layer else "")
        self.outputs.append((where, output if is_bad(output) else None))

    def _before_backward(self, node: Any, received: Gradients) -> None:
        self.node = node

    def _after_backward(self, node: Any, handed_on: Gradients, received: Gradients) -> None:
        read = [(node, slot) for slot, gradient in enumerate(received) if is_bad(gradient)]
        bad = [i for i, gradient in enumerate(handed_on) if is_bad(gradient)]
        written = [_key(*node.next_functions[i]) for i in bad]

        def who() -> str:
            function = function_of(node)
            name = _name(function) if function else f"PyTorch's {kind_of(node)}"
            name += f" ({self.owners[node]})" if self.owners[node] else ""
            if read:  # from nobody: each of the gradients was finite
                return f"the sum of the gradients that reach {name} is not finite"
            argument = (
                f"the gradient of {_argument(function, node, bad[0])} in" if function else "the gradient from"
            )
            gradient = handed_on[bad[0]]
            assert gradient is not None
            return f"{argument} {name} {describe(gradient)}; what it got was finite"

        self.trail.pass_on(read, written, who)


def _key(node: Any, slot: int) -> Any:
    """Return what a gradient on its way to a node goes by: a parameter's is that parameter's."""
    return id(node.variable) if is_leaf(node) else (node, slot)


def _name(function: type[Function]) -> str:
    """Name a Function, and its file if that is not one of ours."""
    file = Path(getattr(sys.modules.get(function.__module__), "__file__", None) or PACKAGE)
    return function.__name__ + ("" if file.is_relative_to(PACKAGE) else f" of {relative(file)}")


def _argument(function: type[Function], node: Any, position: int) -> str:
    """Return the name of the argument whose gradient has a position among those that a node hands on."""
    # There is one for each tensor. Those that need no gradient lead nowhere.
    ways = [i for i, (following, _) in enumerate(node.next_functions) if following is not None]
    needed = [i for i, needs in enumerate(node.needs_input_grad) if needs]
    number = needed[ways.index(position)]
    for parent in function.__mro__:  # the combined form of ours takes *args, and its parent has the names
        if issubclass(parent, Function):
            names = [
                each.name
                for each in inspect.signature(parent.forward).parameters.values()
                if each.kind is each.POSITIONAL_OR_KEYWORD
            ]
            place = number + (parent.setup_context is Function.setup_context)  # behind ctx
            if place < len(names):
                return names[place]
    return f"argument {number}"


def _number_layers(model: Module) -> dict[Module, str]:
    """Name each module's layer as ``layers.py`` does: weights begin a new one."""
    layers: dict[Module, str] = {}
    number = 0
    for module in model.modules():
        number += any(True for _ in module.parameters(recurse=False))
        layers[module] = f"layer {max(number, 1)}"
    return layers
