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


def _conv2d(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("batch", (make.normal(2, 3, 6, 7), make.normal(4, 3, 2, 5)))
    yield SampleInput(
        "bias, stride and padding",
        (make.normal(2, 3, 7, 6), make.normal(5, 3, 4, 2), make.normal(5), (2, 3), (1, 2)),
    )
    yield SampleInput("gaps", (make.normal(2, 3, 8, 7), make.normal(5, 3, 2, 4)), {"dilation": (3, 2)})
    yield SampleInput(
        "two groups", (make.normal(3, 4, 7, 5), make.normal(6, 2, 3, 4), make.normal(6), 1, 1, 1, 2)
    )
    yield SampleInput("the size stays", (make.normal(3, 2, 4, 6), make.normal(4, 2, 3, 5), None, 1, "same"))
    yield SampleInput("one image without a batch", (make.normal(3, 5, 4), make.normal(2, 3, 4, 1)))
    yield SampleInput(
        "data as input", (make.normal(2, 3, 6, 5).detach(), make.normal(4, 3, 2, 1), make.normal(4))
    )


def _max_pool2d(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("windows side by side", (make.normal(2, 3, 6, 4), 2))
    yield SampleInput("overlapping, padded", (make.normal(2, 3, 5, 7), (3, 2), (2, 1), 1))
    yield SampleInput("with gaps", (make.normal(2, 3, 6, 7), 2, 3, 0, (3, 2)), {"ceil_mode": True})
    yield SampleInput("one image without a batch", (make.normal(3, 4, 6), (2, 3)))


INFOS = (
    FunctionInfo(F.conv2d, F.Conv2d, torch.nn.functional.conv2d, _conv2d),
    FunctionInfo(F.avg_pool2d, F.AvgPool2d, torch.nn.functional.avg_pool2d, _avg_pool2d),
    FunctionInfo(F.max_pool2d, F.MaxPool2d, torch.nn.functional.max_pool2d, _max_pool2d),
)
