"""Sample inputs of the functions of single elements."""

from collections.abc import Iterator

import torch

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _elementwise(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),))
    yield SampleInput("one number", (make.normal(),))
    yield SampleInput("three dimensions", (make.normal(2, 3, 5),))
    yield SampleInput("transposed", (make.normal(5, 3).detach().t().requires_grad_(),))


def _power(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("cube", (make.normal(3, 4), 3))
    for exponent in (0, 1, 2, -1):
        yield SampleInput(f"exponent {exponent}", (make.normal(2, 5), exponent))
    yield SampleInput("square root", (make.uniform(3, 2).requires_grad_(), 0.5))


INFOS = (
    FunctionInfo(F.sigmoid, F.Sigmoid, torch.sigmoid, _elementwise),
    FunctionInfo(F.tanh, F.Tanh, torch.tanh, _elementwise),
    FunctionInfo(F.relu, F.ReLU, torch.nn.functional.relu, _elementwise),
    FunctionInfo(F.exp, F.Exp, torch.exp, _elementwise),
    FunctionInfo(F.sin, F.Sin, torch.sin, _elementwise),
    FunctionInfo(F.power, F.Power, torch.pow, _power),
)
