"""Sample inputs of the functions of images."""

from collections.abc import Iterator

import torch.nn.functional

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _avg_pool2d(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("windows side by side", (make.normal(2, 3, 6, 4), 2))
    yield SampleInput("overlapping, padded", (make.normal(2, 3, 5, 7), (3, 2), (2, 1), 1))
    yield SampleInput(
        "the padding does not count",
        (make.normal(2, 3, 6, 7), 3),
        {"stride": 2, "padding": (1, 0), "ceil_mode": True, "count_include_pad": False},
    )
    yield SampleInput("another divisor", (make.normal(2, 3, 5, 4), 2), {"divisor_override": 3})
    yield SampleInput("one image without a batch", (make.normal(3, 4, 6), (2, 3)))


def _max_pool2d(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("windows side by side", (make.normal(2, 3, 6, 4), 2))
    yield SampleInput("overlapping, padded", (make.normal(2, 3, 5, 7), (3, 2), (2, 1), 1))
    yield SampleInput("with gaps", (make.normal(2, 3, 6, 7), 2, 3, 0, (3, 2)), {"ceil_mode": True})
    yield SampleInput("one image without a batch", (make.normal(3, 4, 6), (2, 3)))


INFOS = (
    FunctionInfo(F.avg_pool2d, F.AvgPool2d, torch.nn.functional.avg_pool2d, _avg_pool2d),
    FunctionInfo(F.max_pool2d, F.MaxPool2d, torch.nn.functional.max_pool2d, _max_pool2d),
)
