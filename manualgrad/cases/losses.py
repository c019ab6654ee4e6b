"""Sample inputs of the losses."""

from collections.abc import Iterator

import torch
import torch.nn.functional

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _nll_loss(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("labels", (make.normal(3, 4), make.labels(4, 3)))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(
            f"{reduction}, class weights",
            (make.normal(3, 4), make.labels(4, 3), make.uniform(4)),
            {"reduction": reduction},
        )
    ignored = torch.tensor([1, 2, 1, 0, 3], device=make.device)
    yield SampleInput("ignored rows", (make.normal(5, 4), ignored), {"ignore_index": 1})
    yield SampleInput("unbatched", (make.normal(4), make.labels(4)))
    yield SampleInput("images", (make.normal(2, 4, 3, 5), make.labels(4, 2, 3, 5)))


def _softmax_nll(make: TensorFactory) -> Iterator[SampleInput]:
    weight = make.uniform(4)
    yield SampleInput("labels", (make.normal(3, 4), make.labels(4, 3)))
    for reduction in ("mean", "sum", "none"):
        for smoothing in (0.0, 0.2):
            yield SampleInput(
                f"{reduction}, class weights, smoothing {smoothing}",
                (make.normal(3, 4), make.labels(4, 3), weight),
                {"reduction": reduction, "label_smoothing": smoothing},
            )
    ignored = torch.tensor([1, 2, 1, 0, 3], device=make.device)
    yield SampleInput("ignored rows", (make.normal(5, 4), ignored), {"ignore_index": 1})
    yield SampleInput(
        "ignored rows, smoothing", (make.normal(5, 4), ignored), {"ignore_index": 1, "label_smoothing": 0.1}
    )
    yield SampleInput("unbatched", (make.normal(4), make.labels(4)))
    yield SampleInput("images", (make.normal(2, 4, 3, 5), make.labels(4, 2, 3, 5)))
    yield SampleInput("class probabilities", (make.normal(3, 4), make.distribution(3, 4, dim=1)))


def _softmax_cross_entropy(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("distribution", (make.normal(3, 4), make.distribution(3, 4, dim=1)))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(
            f"{reduction}, class weights, smoothing",
            (make.normal(3, 4), make.distribution(3, 4, dim=1), make.uniform(4).requires_grad_()),
            {"reduction": reduction, "label_smoothing": 0.2},
        )
    yield SampleInput("unbatched", (make.normal(4), make.distribution(4, dim=0)))
    yield SampleInput("images", (make.normal(2, 4, 3), make.distribution(2, 4, 3, dim=1)))


def _mse_loss(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("data as target", (make.normal(3, 4), make.normal(3, 4).detach()))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(reduction, (make.normal(3, 4), make.normal(3, 4)), {"reduction": reduction})
    yield SampleInput("one number", (make.normal(), make.normal()))


def _binary_cross_entropy_with_logits(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("data as target", (make.normal(3, 4), make.uniform(3, 4)))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(
            f"{reduction}, both weights",
            (make.normal(3, 4), make.uniform(3, 4).requires_grad_()),
            {"reduction": reduction, "weight": make.uniform(3, 1), "pos_weight": make.uniform(4)},
        )
    yield SampleInput("one number", (make.normal(), make.uniform()))


INFOS = (
    FunctionInfo(F.mse_loss, F.MSELoss, torch.nn.functional.mse_loss, _mse_loss),
    FunctionInfo(F.nll_loss, F.NLLLoss, torch.nn.functional.nll_loss, _nll_loss),
    FunctionInfo(F.softmax_nll, F.SoftmaxNLL, torch.nn.functional.cross_entropy, _softmax_nll),
    FunctionInfo(
        F.softmax_cross_entropy,
        F.SoftmaxCrossEntropy,
        torch.nn.functional.cross_entropy,
        _softmax_cross_entropy,
    ),
    FunctionInfo(
        F.binary_cross_entropy_with_logits,
        F.BCEWithLogitsLoss,
        torch.nn.functional.binary_cross_entropy_with_logits,
        _binary_cross_entropy_with_logits,
    ),
)
