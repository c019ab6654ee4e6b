"""Return XOR, four rows that no straight line separates, and the documents' initial weights."""

import numpy as np
import torch
from torch import Tensor


def xor(dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Return inputs (4, 2), in the order 00 01 10 11, and targets (4, 1)."""
    inputs = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=dtype, device=device)
    targets = torch.tensor([[0], [1], [1], [0]], dtype=dtype, device=device)
    return inputs, targets


def draw_xor_weights(seed: int, hidden: int, glorot: bool = False) -> tuple[Tensor, Tensor]:
    """Draw the weights with which the documents' networks start, (2, H) and (H, 1), float64.

    They are uniform between -1 and 1, or Glorot's, which are Keras' default; NumPy's legacy generator draws
    them, as in the documents.
    """
    numbers = np.random.RandomState(seed)
    drawn = []
    for shape in ((2, hidden), (hidden, 1)):
        limit = (6 / sum(shape)) ** 0.5 if glorot else 1
        drawn.append(torch.from_numpy(numbers.uniform(-limit, limit, shape)))
    return drawn[0], drawn[1]
