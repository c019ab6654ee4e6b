"""How exactly a network computes: float32, cheaper products, or half the bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Module

Precision = Literal["float32", "medium", "bfloat16", "float16"]


def low_dtype(precision: Precision) -> torch.dtype | None:
    """Return the dtype with half the bits, or None where all tensors stay float32."""
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)


@contextmanager
def matmul_precision(precision: Precision) -> Iterator[None]:
    """Allow cheaper float32 products for the length of a ``with`` block, if ``"medium"`` is asked for.

    Parameters
    ----------
    precision : {"float32", "medium", "bfloat16", "float16"}
        With ``"medium"`` a processor that has units for bfloat16 may round a product's factors to it.

    Yields
    ------
    None
        The setting is put back afterwards.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "medium" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Autocast(Module):
    """A network whose layers compute in half precision. Its parameters and what it returns stay float32.

    Parameters
    ----------
    model : Module
        Returns one tensor.
    dtype : torch.dtype
        bfloat16 or float16.
    """

    def __init__(self, model: Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the network."""
        with torch.autocast(inputs.device.type, self.dtype):
            return self.model(inputs).float()
