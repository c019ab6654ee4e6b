import pytest
import torch

import manualgrad.nn as nn
from manualgrad.functions import ReLU
from manualgrad.training import check_finite
from manualgrad.training.nonfinite import NonFiniteError, locate_nonfinite

INPUTS, LABELS = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3
LOSS = nn.CrossEntropyLoss()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def backward(model, inputs=INPUTS):
    loss = LOSS(model(inputs), LABELS)
    loss.backward()
    return loss


def check(model, loss, inputs=INPUTS):
    check_finite(9, loss, model, LOSS, inputs, LABELS)


def test_finite_numbers_pass_also_where_their_sum_overflows(model):
    loss = backward(model)
    check(model, loss)
    model[0].weight.grad.fill_(3e38)
    check(model, loss)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("parameter", "where"),
    [("0.bias", r"module 0, Linear\(in_features=4"), ("2.weight", r"module 2, Linear\(in_features=5")],
)
def test_the_first_module_whose_output_is_wrong_is_named(model, bad, parameter, where):
    with torch.no_grad():
        dict(model.named_parameters())[parameter].view(-1)[0] = bad
    with pytest.raises(NonFiniteError, match=f"^step 9: the output of {where}") as caught:
        check(model, backward(model))
    assert str(caught.value).endswith("The weights are those from before this step")


def test_a_backward_that_divides_by_zero_is_found_in_its_module(model):
    class Wrong(ReLU):
        @staticmethod
        def backward(ctx, grad_output):
            (output,) = ctx.saved_tensors
            return grad_output / (output > 0)

    model[1].forward = Wrong.apply
    loss = backward(model)
    with pytest.raises(NonFiniteError, match=r"the input's gradient in module 1, ReLU\(\), is not finite"):
        check(model, loss)


def test_a_loss_of_finite_outputs(model):
    message = locate_nonfinite(model, lambda output, target: output.sum() / 0, INPUTS, LABELS)
    assert message.startswith("every module's output is finite, and the loss is not finite")


def test_what_is_not_the_same_again(model):
    loss = backward(model)
    model[0].weight.grad[0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match="the same batch again gives finite numbers"):
        check(model, loss)


def test_a_cell_of_two_outputs_and_a_frozen_parameter(model):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTMCell(4, 5), nn.Linear(5, 3)
            self.head.bias.requires_grad_(False)

        def forward(self, inputs):
            return self.head(self.cell(inputs)[0])

    reader = Reader()
    assert locate_nonfinite(reader, LOSS, INPUTS, LABELS) is None
    assert not any(module._forward_hooks for module in reader.modules())
    with torch.no_grad():
        reader.cell.bias_ih[0] = torch.nan
    with pytest.raises(NonFiniteError, match="the output of module cell, LSTMCell"):
        check(reader, backward(reader))
