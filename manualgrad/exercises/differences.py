"""How one value differs from the right one, in the words of gradcheck's findings."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Difference:
    """A difference: one of gradcheck's kinds, and a sentence."""

    kind: str
    message: str


def compare(name: str, yours: Any, right: Tensor) -> Difference | None:
    """Say how a value differs from the right one.

    Parameters
    ----------
    name : str
        How the message calls it.
    yours : Any
        The value.
    right : Tensor
        What it should be.

    Returns
    -------
    Difference or None
        None if it is right up to rounding.
    """
    if isinstance(yours, int | float):
        yours = torch.tensor(yours, dtype=right.dtype)
    if not isinstance(yours, Tensor):
        return Difference("wrong-shape", f"{name} is a {type(yours).__name__}, and should be a tensor.")
    if yours.shape != right.shape:
        return _shape_difference(name, yours, right)
    yours = yours.detach().to(right.dtype)
    if _close(yours, right):
        return None
    kind, sentence = _explain(yours, right)
    gap = (yours - right).abs().nan_to_num(torch.inf)
    index = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    place = f"{name}{list(index)}" if index else name
    figures = f"{place}: yours {yours[index]:.6g}, should be {right[index]:.6g}."
    return Difference(kind, f"{sentence} {figures}".strip())


def _shape_difference(name: str, yours: Tensor, right: Tensor) -> Difference:
    shapes = f"{name} has shape {tuple(yours.shape)}, and should have {tuple(right.shape)}."
    if yours.dim() == 2 and yours.t().shape == right.shape and _close(yours.t(), right):
        return Difference("transposed", f"{shapes} It is the transpose of what it should be.")
    if yours.dim() > right.dim():
        total = yours.sum(tuple(range(yours.dim() - right.dim())))
        if total.shape == right.shape and _close(total, right):
            return Difference("unsummed", f"{shapes} It has to be summed over the rows of the batch.")
    return Difference("wrong-shape", shapes)


def _explain(yours: Tensor, right: Tensor) -> tuple[str, str]:
    if not bool(yours.isfinite().all()):
        return "non-finite", "It is not finite."
    if _close(-yours, right):
        return "sign", "It is right but for its sign."
    if yours.dim() == 2 and yours.shape[0] == yours.shape[1] and _close(yours.t(), right):
        return "transposed", "It is the transpose of what it should be."
    largest = right.abs().argmax()
    factor = float(yours.flatten()[largest] / right.flatten()[largest])
    if right.numel() > 1 and factor and _close(yours / factor, right):
        return "scale", f"It is {factor:.6g} times what it should be."
    return "unknown", ""


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.detach().to(b.dtype), b, rtol=1e-9, atol=1e-12)
