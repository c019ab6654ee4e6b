"""Say how one value differs from the right one, outside of a gradient check."""

from typing import Any

import torch
from torch import Tensor


def difference(name: str, yours: Any, right: Tensor) -> str:
    """Say how a value differs from the right one.

    Parameters
    ----------
    name : str
        How the message calls it.
    yours : Any
        The value: a tensor, or numbers.
    right : Tensor
        What it should be.

    Returns
    -------
    str
        Empty if it is right up to rounding.
    """
    try:
        yours = torch.as_tensor(yours, dtype=right.dtype).detach()
    except (TypeError, ValueError, RuntimeError):
        return f"{name} is a {type(yours).__name__}, and should be a tensor."
    if yours.shape != right.shape:
        return f"{name} has shape {tuple(yours.shape)}, and should have {tuple(right.shape)}."
    gap = (yours - right).abs().nan_to_num(torch.inf)
    if bool((gap <= 1e-9 * right.abs() + 1e-12).all()):
        return ""
    index = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    place = f"{name}{list(index)}" if index else name
    return f"{place}: yours {yours[index]:.6g}, should be {right[index]:.6g}."
