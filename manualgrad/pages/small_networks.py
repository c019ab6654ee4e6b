"""Networks so small that every value and every gradient can be written on its node."""

from collections.abc import Sequence
from itertools import count, product
from typing import Any

from torch import Tensor

import manualgrad.functions as F
from manualgrad.training.run import Run


def show_chain(
    run: Run, title: str, nodes: Sequence[tuple[str, float, float]], slopes: Sequence[float]
) -> None:
    """Draw functions of one number, one after another.

    Parameters
    ----------
    run : Run
        On whose page it goes.
    title : str
        What is computed.
    nodes : sequence of (str, float, float)
        From input to output: name, value, and the output's gradient by it.
    slopes : sequence of float
        The derivative of each node after the first by the one before it.
    """
    names = [name for name, _, _ in nodes]
    links = [(*ends, "slope", slope, None) for *ends, slope in zip(names, names[1:], slopes, strict=False)]
    columns = [[(name, [("", [value], [gradient])])] for name, value, gradient in nodes]
    run.page.picture("graph", 0, "network", title=title, columns=columns, links=links, gradient_of="y")


def show_sigmoid_network(
    run: Run, step: int, title: str, inputs: Tensor, targets: Tensor, w1: Tensor, w2: Tensor, *biases: Tensor
) -> None:
    """Draw two sigmoid layers under E = ½ Σ (target - out)², with what goes forward and what comes back.

    Parameters
    ----------
    run : Run
        On whose page it goes.
    step : int
        When this is.
    title : str
        The same in words.
    inputs, targets : Tensor
        (N, I) and (N, O), for a few rows N.
    w1, w2 : Tensor
        (H, I) and (O, H): a row a unit. They are left as they are.
    *biases : Tensor
        None, or one for all units of each layer, () each.
    """
    if not run.page.shows("standard"):
        return
    x, w1, w2, *biases_ = (t.detach().clone().requires_grad_() for t in (inputs, w1, w2, *biases))
    b1, b2 = biases_ or (None, None)
    net_h = F.linear(x, w1, b1)
    h = F.sigmoid(net_h)
    net_o = F.linear(h, w2, b2)
    o = F.sigmoid(net_o)
    error = F.mse_loss(o, targets, reduction="sum") / 2
    for tensor in (net_h, h, net_o, o):
        tensor.retain_grad()
    error.backward()

    columns = [
        [*_units("x", {"": x}), *_bias("b1", b1)],
        [*_units("h", {"net": net_h, "out": h}), *_bias("b2", b2)],
        _units("o", {"net": net_o, "out": o}),
        [("E", [("", [error.item()], [1.0])])],
    ]
    number = count(1)
    links: list[tuple[str, str, str, float | None, float | None]] = []
    for start, end, weight, bias in (("x", "h", w1, "b1"), ("h", "o", w2, "b2")):
        for i, j in product(*map(range, weight.shape)):
            slope = _slopes(weight)[i, j].item()
            links.append((f"{start}{j + 1}", f"{end}{i + 1}", f"w{next(number)}", weight[i, j].item(), slope))
        if biases:
            links += [(bias, f"{end}{i + 1}", "", None, None) for i in range(len(weight))]
    links += [(f"o{i + 1}", "E", "", None, None) for i in range(len(w2))]
    run.page.picture("network", step, "network", title=title, columns=columns, links=links, gradient_of="E")


def _units(letter: str, held: dict[str, Tensor]) -> list[Any]:
    """Return a layer's nodes: each unit with what it holds for every row, (N, units) tensors by name."""
    units = next(iter(held.values())).shape[1]
    return [
        (
            f"{letter}{i + 1}",
            [(name, t[:, i].tolist(), _slopes(t)[:, i].tolist()) for name, t in held.items()],
        )
        for i in range(units)
    ]


def _bias(name: str, bias: Tensor | None) -> list[Any]:
    return [] if bias is None else [(name, [("", [bias.item()], [_slopes(bias).item()])])]


def _slopes(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad
