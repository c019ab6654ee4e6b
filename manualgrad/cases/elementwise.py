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
    zeros = torch.tensor([0.0, 2.0], dtype=make.dtype, device=make.device, requires_grad=True)
    yield SampleInput("exponent 0 at 0", (zeros, 0))
    yield SampleInput("square root", (make.uniform(3, 2).requires_grad_(), 0.5))


def _leaky_relu(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),))
    yield SampleInput("half", (make.normal(2, 3, 5), 0.5))
    yield SampleInput("negative", (make.normal(2, 5), -0.3))


def _gelu(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("exact", (make.normal(3, 4),))
    yield SampleInput("by tanh", (make.normal(3, 4),), {"approximate": "tanh"})
    yield SampleInput("three dimensions", (make.normal(2, 3, 5),))


def _softplus(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),))
    yield SampleInput("steeper", (make.normal(2, 3, 5), 3.0))
    yield SampleInput("partly above the threshold", (make.normal(2, 5), 2.0, 2.0))


def _dropout(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("half", (make.normal(3, 4),), seed=1)
    yield SampleInput("a fifth", (make.normal(2, 3, 5), 0.2), seed=2)
    yield SampleInput("most", (make.normal(2, 5), 0.8), seed=3)


INFOS = (
    FunctionInfo(F.sigmoid, F.Sigmoid, torch.sigmoid, _elementwise),
    FunctionInfo(F.tanh, F.Tanh, torch.tanh, _elementwise),
    FunctionInfo(F.relu, F.ReLU, torch.nn.functional.relu, _elementwise),
    FunctionInfo(F.leaky_relu, F.LeakyReLU, torch.nn.functional.leaky_relu, _leaky_relu),
    FunctionInfo(F.gelu, F.GELU, torch.nn.functional.gelu, _gelu),
    FunctionInfo(F.silu, F.SiLU, torch.nn.functional.silu, _elementwise),
    FunctionInfo(F.softplus, F.Softplus, torch.nn.functional.softplus, _softplus),
    FunctionInfo(F.dropout, F.Dropout, torch.nn.functional.dropout, _dropout),
    FunctionInfo(F.exp, F.Exp, torch.exp, _elementwise),
    FunctionInfo(F.sin, F.Sin, torch.sin, _elementwise),
    FunctionInfo(F.power, F.Power, torch.pow, _power),
)
