import pytest
import torch

import manualgrad.nn as nn
from manualgrad.training.precision import Autocast, low_dtype, matmul_precision


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_layers_compute_in_half_precision_and_nothing_else_shows_it(precision):
    seen = []
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    model[1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    output = Autocast(model, low_dtype(precision))(torch.ones(5, 3))
    output.sum().backward()
    assert seen == [low_dtype(precision)]
    assert output.dtype == model[0].weight.dtype == model[0].weight.grad.dtype == torch.float32


def test_products_may_be_cheaper_for_a_while():
    for precision, inside in (("medium", "medium"), ("float32", "highest"), ("bfloat16", "highest")):
        with matmul_precision(precision):
            assert torch.get_float32_matmul_precision() == inside
        assert torch.get_float32_matmul_precision() == "highest"
    assert low_dtype("medium") is low_dtype("float32") is None
