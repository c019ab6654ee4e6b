"""Sample inputs of attention."""

from collections.abc import Iterator

import torch
import torch.nn.functional
from torch import Tensor

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


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
    yield SampleInput("one key for all", (make.normal(2, 3, 4), make.normal(5, 4), make.normal(2, 5, 6)))


INFOS = (
    FunctionInfo(
        F.scaled_dot_product_attention,
        F.ScaledDotProductAttention,
        torch.nn.functional.scaled_dot_product_attention,
        _scaled_dot_product_attention,
    ),
)
