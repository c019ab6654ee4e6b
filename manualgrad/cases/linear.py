"""Sample inputs of the linear layer and of softmax, which mix the elements of a row."""

from collections.abc import Iterator

import torch
import torch.nn.functional

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _linear(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("batch", (make.normal(3, 4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("no bias", (make.normal(3, 4), make.normal(5, 4)))
    yield SampleInput("one row without a batch", (make.normal(4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("two batch dimensions", (make.normal(2, 3, 4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("one-dimensional weight", (make.normal(3, 4), make.normal(4)))
    yield SampleInput("data as input", (make.normal(3, 4).detach(), make.normal(5, 4), make.normal(5)))


def _softmax(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),), {"dim": -1})
    yield SampleInput("first dimension", (make.normal(3, 4),), {"dim": 0})
    yield SampleInput("middle of three", (make.normal(2, 4, 3),), {"dim": 1})
    yield SampleInput("one row without a batch", (make.normal(4),), {"dim": 0})


INFOS = (
    FunctionInfo(F.linear, F.Linear, torch.nn.functional.linear, _linear),
    FunctionInfo(F.softmax, F.Softmax, torch.softmax, _softmax),
    FunctionInfo(F.log_softmax, F.LogSoftmax, torch.log_softmax, _softmax),
)
