"""Sample inputs of embedding.

None has a ``padding_idx``: that its row gets no gradient is a decree, which finite differences contradict.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional

import manualgrad.functions as F
from manualgrad.cases.info import FunctionInfo, SampleInput, TensorFactory


def _embedding(make: TensorFactory) -> Iterator[SampleInput]:
    rows = torch.tensor([1, 0, 4, 1, 1, 0, 2], device=make.device)  # two of them repeated, one missing
    yield SampleInput("repeated indices", (rows, make.normal(5, 3)))
    yield SampleInput("two sentences", (make.labels(5, 2, 4), make.normal(5, 3)))
    yield SampleInput("one index", (make.labels(5), make.normal(5, 3)))


INFOS = (FunctionInfo(F.embedding, F.Embedding, torch.nn.functional.embedding, _embedding),)
