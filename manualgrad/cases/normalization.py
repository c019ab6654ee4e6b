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


def _rms_norm(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("scale", (make.normal(3, 4), (4,), make.normal(4)))
    yield SampleInput("rows alone", (make.normal(3, 4), (4,)))
    yield SampleInput("two batch dimensions", (make.normal(2, 3, 4), (4,), make.normal(4)))
    yield SampleInput("one row without a batch", (make.normal(4), (4,), make.normal(4)))
    yield SampleInput("two dimensions a row", (make.normal(2, 3, 4), (3, 4), make.normal(3, 4)))
    yield SampleInput("a larger epsilon", (make.normal(3, 4), (4,), make.normal(4), 0.5))


def _group_norm(make: TensorFactory) -> Iterator[SampleInput]:
    weight, bias = make.normal(6), make.normal(6)
    yield SampleInput("images", (make.normal(2, 6, 1, 3), 3, weight, bias))
    yield SampleInput("groups alone", (make.normal(2, 6, 4, 5), 3))
    yield SampleInput("sequences", (make.normal(3, 6, 4), 2, weight))
    yield SampleInput("one group", (make.normal(2, 6, 4), 1, weight, bias))
    yield SampleInput("a channel a group", (make.normal(2, 6, 4), 6, weight, bias))
    yield SampleInput("channels alone", (make.normal(5, 6), 2, weight, bias))
    yield SampleInput("a larger epsilon", (make.normal(2, 6, 4), 3, weight, bias, 0.5))


def _batch_norm(make: TensorFactory) -> Iterator[SampleInput]:
    # In training without running statistics: a sample may be used again, and vmap refuses to change them.
    weight, bias = make.normal(3), make.normal(3)
    mean, var = make.normal(3).detach(), make.uniform(3)
    yield SampleInput("training", (make.normal(5, 3), None, None, weight, bias, True))
    yield SampleInput("evaluation", (make.normal(5, 3), mean, var, weight, bias))
    yield SampleInput("training on images", (make.normal(2, 3, 4, 5), None, None, weight, bias, True))
    yield SampleInput("evaluation of images", (make.normal(2, 3, 4, 5), mean, var, weight, bias))
    yield SampleInput("training without a scale", (make.normal(2, 3, 4), None, None, None, None, True))
    yield SampleInput("evaluation without a scale", (make.normal(2, 3, 4), mean, var, None, bias))
    yield SampleInput("training on volumes", (make.normal(2, 3, 1, 4, 5), None, None, weight, None, True))
    yield SampleInput("a larger epsilon", (make.normal(5, 3), None, None, weight, bias, True, 0.1, 0.5))


INFOS = (
    FunctionInfo(F.layer_norm, F.LayerNorm, torch.nn.functional.layer_norm, _layer_norm),
    FunctionInfo(F.rms_norm, F.RMSNorm, torch.nn.functional.rms_norm, _rms_norm),
    FunctionInfo(F.group_norm, F.GroupNorm, torch.nn.functional.group_norm, _group_norm),
    FunctionInfo(F.batch_norm, F.BatchNorm, torch.nn.functional.batch_norm, _batch_norm),
)
