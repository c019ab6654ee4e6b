"""List every function with its sample inputs and its reference, PyTorch's own function.

This is the one list that tests, gradcheck and exercises read.

A function and its reference take the same arguments, so a sample serves both. Dimensions differ from one
another, so that a transposition changes a shape, and no number is near 0, where ReLU has its kink.
"""

from manualgrad.cases import elementwise, losses, normalization, recurrent, rows, spatial
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory, join_outputs

__all__ = ["FUNCTIONS", "FunctionInfo", "SampleInput", "TensorFactory", "join_outputs"]

_KINDS = (elementwise, rows, spatial, normalization, recurrent, losses)

FUNCTIONS: dict[str, FunctionInfo] = {info.name: info for kind in _KINDS for info in kind.INFOS}
