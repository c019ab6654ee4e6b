"""Sample inputs of what mixes the numbers of a row: the linear layer, embedding, softmax and attention.

No embedding has a ``padding_idx``: that its row gets no gradient is a decree, which finite differences
contradict.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional
from torch import Tensor

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _linear(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("batch", (make.normal(3, 4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("no bias", (make.normal(3, 4), make.normal(5, 4)))
    yield SampleInput("one row without a batch", (make.normal(4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("two batch dimensions", (make.normal(2, 3, 4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("one-dimensional weight", (make.normal(3, 4), make.normal(4)))
    yield SampleInput("data as input", (make.normal(3, 4).detach(), make.normal(5, 4), make.normal(5)))


def _embedding(make: TensorFactory) -> Iterator[SampleInput]:
    rows = torch.tensor([1, 0, 4, 1, 1, 0, 2], device=make.device)  # two of them repeated, one missing
    yield SampleInput("repeated indices", (rows, make.normal(5, 3)))
    yield SampleInput("two sentences", (make.labels(5, 2, 4), make.normal(5, 3)))
    yield SampleInput("one index", (make.labels(5), make.normal(5, 3)))


def _softmax(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),), {"dim": -1})
    yield SampleInput("first dimension", (make.normal(3, 4),), {"dim": 0})
    yield SampleInput("middle of three", (make.normal(2, 4, 3),), {"dim": 1})
    yield SampleInput("one row without a batch", (make.normal(4),), {"dim": 0})


def _scaled_dot_product_attention(make: TensorFactory) -> Iterator[SampleInput]:
    def inputs(*batch: int) -> tuple[Tensor, Tensor, Tensor]:
        return make.normal(*batch, 3, 4), make.normal(*batch, 5, 4), make.normal(*batch, 5, 6)

    yield SampleInput("one sequence", inputs())
    yield SampleInput("batch and heads", inputs(2, 7))
    yield SampleInput("causal", inputs(2), {"is_causal": True})
    yield SampleInput("another scale", inputs(2), {"scale": 0.3})
    yield SampleInput("mask to add", (*inputs(2), make.normal(3, 5)))
    hidden = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], device=make.device).bool()
    yield SampleInput("truth values, one row hidden", inputs(2), {"attn_mask": hidden})
    yield SampleInput("dropout", inputs(2), {"dropout_p": 0.3}, seed=1)
    yield SampleInput("one key for all", (make.normal(2, 3, 4), make.normal(5, 4), make.normal(2, 5, 6)))


INFOS = (
    FunctionInfo(F.linear, F.Linear, torch.nn.functional.linear, _linear),
    FunctionInfo(F.embedding, F.Embedding, torch.nn.functional.embedding, _embedding),
    FunctionInfo(F.softmax, F.Softmax, torch.softmax, _softmax),
    FunctionInfo(F.log_softmax, F.LogSoftmax, torch.log_softmax, _softmax),
    FunctionInfo(
        F.scaled_dot_product_attention,
        F.ScaledDotProductAttention,
        torch.nn.functional.scaled_dot_product_attention,
        _scaled_dot_product_attention,
    ),
)
