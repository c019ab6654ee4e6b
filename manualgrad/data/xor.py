"""Return the truth table of XOR: four rows that no straight line separates."""

import torch
from torch import Tensor


def xor(dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Return inputs (4, 2), in the order 00 01 10 11, and targets (4, 1)."""
    inputs = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=dtype, device=device)
    targets = torch.tensor([[0], [1], [1], [0]], dtype=dtype, device=device)
    return inputs, targets
