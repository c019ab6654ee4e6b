"""Recurrent cells."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class LSTMCell(torch.nn.LSTMCell):
    """One step of an LSTM; see ``manualgrad.functions.lstm_gates``."""

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return what the cells show and their memory, (..., hidden_size); they begin at zero."""
        _check(self, input)
        if hx is None:
            hx = (input.new_zeros(*input.shape[:-1], self.hidden_size),) * 2
        return F.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class GRUCell(torch.nn.GRUCell):
    """One step of a GRU; see ``manualgrad.functions.gru_gates``."""

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Return the cells' memory, (..., hidden_size); it begins at zero."""
        _check(self, input)
        if hx is None:
            hx = input.new_zeros(*input.shape[:-1], self.hidden_size)
        return F.gru_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


def _check(cell: LSTMCell | GRUCell, input: Tensor) -> None:
    """Raise a ValueError unless input is a row or a batch of rows: a sequence goes in step by step."""
    if input.dim() not in (1, 2):
        name = type(cell).__name__
        raise ValueError(f"{name}: input must have shape (N, I) or (I,), got {tuple(input.shape)}")
