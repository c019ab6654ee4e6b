"""Sample inputs of the normalisations."""

from collections.abc import Iterator

import torch.nn.functional

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _layer_norm(make: TensorFactory) -> Iterator[SampleInput]:
    weight, bias = make.normal(4), make.normal(4)
    yield SampleInput("scale and shift", (make.normal(3, 4), (4,), weight, bias))
    yield SampleInput("rows alone", (make.normal(3, 4), (4,)))
    yield SampleInput("scale", (make.normal(2, 3, 4), (4,), weight))
    yield SampleInput("shift", (make.normal(3, 4), (4,), None, bias))
    yield SampleInput("one row without a batch", (make.normal(4), (4,), weight, bias))
    yield SampleInput("two dimensions a row", (make.normal(2, 3, 4), (3, 4), make.normal(3, 4)))
    yield SampleInput("a larger epsilon", (make.normal(3, 4), (4,), weight, bias, 0.5))


INFOS = (FunctionInfo(F.layer_norm, F.LayerNorm, torch.nn.functional.layer_norm, _layer_norm),)
