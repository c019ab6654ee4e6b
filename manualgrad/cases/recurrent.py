"""Sample inputs of the recurrent cells' gates, with what PyTorch's cells do behind their products."""

from collections.abc import Iterator

import torch
from torch import Tensor

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _lstm_gates(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("batch", (make.normal(3, 20), make.normal(3, 5)))
    yield SampleInput("one row without a batch", (make.normal(20), make.normal(5)))
    yield SampleInput("first step", (make.normal(3, 20), make.uniform(3, 5)))
    yield SampleInput("two batch dimensions", (make.normal(2, 3, 16), make.normal(2, 3, 4)))


def _lstm_gates_reference(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what torch.lstm_cell does behind its products."""
    i, f, g, o = gates.chunk(4, dim=-1)
    next_cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * next_cell.tanh(), next_cell


def _gru_gates(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("batch", (make.normal(3, 15), make.normal(3, 15), make.normal(3, 5)))
    yield SampleInput("one row without a batch", (make.normal(15), make.normal(15), make.normal(5)))
    yield SampleInput("first step", (make.normal(3, 15), make.normal(3, 15), make.uniform(3, 5)))
    yield SampleInput(
        "two batch dimensions", (make.normal(2, 3, 12), make.normal(2, 3, 12), make.normal(2, 3, 4))
    )


def _gru_gates_reference(input_gates: Tensor, hidden_gates: Tensor, hidden: Tensor) -> Tensor:
    """Compute what torch.gru_cell does behind its products."""
    (a1, a2, a3), (u1, u2, u3) = input_gates.chunk(3, dim=-1), hidden_gates.chunk(3, dim=-1)
    candidate = torch.tanh(a3 + torch.sigmoid(a1 + u1) * u3)
    return candidate + torch.sigmoid(a2 + u2) * (hidden - candidate)


INFOS = (
    FunctionInfo(F.lstm_gates, F.LSTMGates, _lstm_gates_reference, _lstm_gates),
    FunctionInfo(F.gru_gates, F.GRUGates, _gru_gates_reference, _gru_gates),
)
