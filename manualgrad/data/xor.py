"""Exclusive or: one of two, but not both. Four rows that no single straight line can separate."""

import torch
from torch import Tensor


def xor(dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Return the truth table.

    Parameters
    ----------
    dtype : torch.dtype
        Of both tensors.
    device : torch.device or str
        Where they are.

    Returns
    -------
    (Tensor, Tensor)
        Inputs (4, 2), in the order 00 01 10 11, and targets (4, 1).
    """
    inputs = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=dtype, device=device)
    targets = torch.tensor([[0], [1], [1], [0]], dtype=dtype, device=device)
    return inputs, targets
