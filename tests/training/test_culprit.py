import math
from pathlib import Path

import pytest
import torch
from torch.autograd import Function

import manualgrad.nn as nn
from manualgrad.exercises.train_with import in_place_of_ours
from manualgrad.training.culprit import find_culprit
from manualgrad.training.precision import Autocast
from tests.exercises.attempts import attempt

HERE = Path(__file__).name
LOSS = nn.CrossEntropyLoss()


class Slope(Function):
    """x W + b, as one would write it first; in the backward, one of the three is divided by zero."""

    wrong = "bias"

    @staticmethod
    def forward(ctx, input, scale, weight, bias):
        ctx.save_for_backward(input, weight)
        return input @ weight + bias

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        grads = {"input": grad_output @ weight.t(), "weight": input.t() @ grad_output}
        grads["bias"] = grad_output.sum(0)
        grads[Slope.wrong] = grads[Slope.wrong] / 0.0
        return grads["input"], None, grads["weight"], grads["bias"]


class SlopeLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 4))
        self.bias = nn.Parameter(torch.randn(4))

    def forward(self, input):
        return Slope.apply(input, 2.0, self.weight, self.bias)


class Layer(nn.Module):
    """Any code as a module."""

    def __init__(self, code):
        super().__init__()
        self.code = code

    def forward(self, input):
        return self.code(input)


def network(middle=None):
    torch.manual_seed(0)
    middle = middle or nn.Linear(5, 4)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), middle, nn.ReLU(), nn.Linear(4, 3))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, 2, 3, generator=generator), torch.randint(3, (7,), generator=generator)


def find(model, batch, loss_function=LOSS):
    """Return the finding; and, as it is found with anomaly, the part about the operation."""
    inputs, labels = batch
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    finding = find_culprit(model, loss_function, inputs, labels)
    closer = find_culprit(model, loss_function, inputs, labels, anomaly=True)
    assert all(
        torch.equal(p.nan_to_num(), b.nan_to_num()) for p, b in zip(model.parameters(), before, strict=True)
    )
    assert all((p.grad == 1).all() for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    if finding is None:
        assert closer is None
        return None, None
    assert closer.startswith(finding)
    return finding, closer.removeprefix(finding)


def test_nothing_is_found_where_all_is_finite(batch):
    assert find(network(), batch) == (None, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_pixel(batch, bad):
    batch[0][3, 1, 2] = bad
    finding, _ = find(network(), batch)
    assert finding == f"the input is not finite: 1 of 42 elements, first at [3, 1, 2]: {bad}"


def test_bad_targets(batch):
    targets = torch.rand(7, 3)
    targets[4, 1] = math.inf
    finding, _ = find(network(), (batch[0], targets), nn.MSELoss())
    assert finding == "the target is not finite: 1 of 21 elements, first at [4, 1]: inf"


def test_a_bad_weight(batch):
    model = network()
    with torch.no_grad():
        model[3].weight[2, 1] = math.nan
    finding, _ = find(model, batch)
    assert finding == (
        "weight of Linear (layer 2) is not finite: 1 of 20 elements, first at [2, 1]: nan, "
        "already before this step"
    )


def test_exploded_weights(batch):
    model = network()
    with torch.no_grad():
        model[3].weight.fill_(3e38)
    finding, operation = find(model, batch)
    assert finding.startswith("the output of Linear (layer 2) is not finite: ")
    assert "operation is aten.addmm in" in operation


def test_a_forward_that_divides_by_zero(batch):
    finding, operation = find(network(Layer(lambda x: x[:, :4].abs() / 0.0)), batch)
    assert finding == "the output of Layer (layer 1) is not finite: 28 of 28 elements, first at [0, 0]: inf"
    assert operation.startswith(". The operation is aten.div in ")
    assert f"{HERE}:" in operation
    assert "x[:, :4].abs() / 0.0" in operation


def test_an_infinity_that_vanishes_on_the_way_to_the_loss_is_not_blamed(batch):
    masking = Layer(lambda x: x[:, :4].masked_fill(x[:, :4] > 0, math.inf))
    healing = nn.Sequential(masking, nn.Tanh())
    assert find(network(healing), batch) == (None, None)
    model = network(healing)
    model[5] = Layer(lambda x: x[:, :3].log() * 0)
    finding, operation = find(model, batch)
    assert finding.startswith("the output of Layer (layer 1)")
    assert "x[:, :3].log() * 0" in operation
    assert "aten.log in" in operation


@pytest.mark.parametrize(
    ("wrong", "size", "index"), [("input", 35, "[0, 0]"), ("weight", 20, "[0, 0]"), ("bias", 4, "[0]")]
)
def test_a_backward_that_is_infinite_for_one_argument(batch, monkeypatch, wrong, size, index):
    monkeypatch.setattr(Slope, "wrong", wrong)
    finding, operation = find(network(SlopeLayer()), batch)
    assert finding.startswith(f"the gradient of {wrong} in Slope of ")
    assert f"{HERE} (layer 2) is not finite: " in finding
    assert f" of {size} elements, first at {index}: " in finding
    assert finding.endswith("; what it got was finite")
    assert operation.startswith(". The operation is aten.div in ")
    assert operation.endswith(": `grads[Slope.wrong] = grads[Slope.wrong] / 0.0`")


class Product(Function):
    """Takes as many tensors as there are; the second one's gradient is infinite."""

    @staticmethod
    def forward(ctx, first, *others):
        ctx.save_for_backward(first, others[0])
        return first * others[0]

    @staticmethod
    def backward(ctx, grad_output):
        first, second = ctx.saved_tensors
        return grad_output * second, first / 0.0, None


@pytest.mark.parametrize("frozen", [0, 1])
def test_an_argument_without_a_name(batch, frozen):
    def code(x):
        x = x[:, :4]
        return Product.apply(x.detach() if frozen else x, x, 2.0)

    finding, _ = find(network(Layer(code)), batch)
    assert finding.startswith("the gradient of argument 1 in Product of ")


def test_a_student_s_function(batch, tmp_path):
    file = tmp_path / "relu.py"
    file.write_text(attempt("relu", "grad_input = grad_output / (output > 0)"))
    with in_place_of_ours(file):
        finding, operation = find(network(), batch)
    assert finding.startswith("the gradient of input in ")
    assert f" of {file} (layer 2) is not finite: " in finding
    assert finding.endswith("; what it got was finite")
    assert f"aten.div in {file}:" in operation
    assert operation.endswith(": `grad_input = grad_output / (output > 0)`")


def test_a_backward_of_pytorch_s_own_is_found_by_its_forward(batch):
    finding, operation = find(network(Layer(lambda x: (x[:, :4] * 0).sqrt())), batch)
    assert finding.startswith("the gradient from PyTorch's Sqrt (layer 1) is not finite: 28 of 28 elements")
    assert operation.startswith(". The operation is aten.div in the backward of ")
    assert "(x[:, :4] * 0).sqrt()" in operation


def test_an_infinite_gradient_that_vanishes_is_not_blamed(batch):
    def two_infinite_slopes(x):
        x = x[:, :4]
        x = x + (x * 0).abs().pow(0.5)  # its gradient reaches the weights
        return x + torch.where(x > 9, x, 0.0).sqrt()  # comes first in the backward, but nothing is chosen

    finding, operation = find(network(Layer(two_infinite_slopes)), batch)
    assert finding.startswith("the gradient from PyTorch's Pow (layer 1) is not finite")
    assert "`x = x + (x * 0).abs().pow(0.5)" in operation


def test_the_logarithm_of_zero_in_the_loss(batch):
    def likelihood(logits, labels):
        return -(logits * 0).log().mean()

    finding, operation = find(network(), batch, likelihood)
    assert finding == "the loss of likelihood is inf"
    assert operation.startswith(". The operation is aten.log in ")
    assert operation.endswith(": `return -(logits * 0).log().mean()`")


def test_our_loss(batch):
    model = network()
    with torch.no_grad():
        model[5].bias.copy_(torch.tensor([3e38, -3e38, 0]))
    finding, operation = find(model, batch)
    assert finding in ("the loss of SoftmaxNLL is inf", "the loss of SoftmaxNLL is nan")
    assert "functions/softmax_nll.py:" in operation


def test_float16_overflows(batch):
    model = network()
    with torch.no_grad():
        model[3].weight.mul_(1e6).clamp_(-6e4, 6e4)
    assert find(model, batch) == (None, None)
    finding, operation = find(nn.Sequential(Autocast(model, torch.float16)), batch)
    assert finding.startswith("the output of Linear (layer 2) is not finite: ")
    assert finding.endswith(" (float16 ends at 65504)")
    assert "aten." in operation


def test_where_the_forward_left_an_infinity_behind(batch):
    linear = nn.Linear(5, 4)
    torch.nn.init.ones_(linear.weight)
    finding, operation = find(
        network(nn.Sequential(Layer(lambda x: x.abs() / 0.0), linear, nn.Tanh())), batch
    )  # tanh is 1 there, its slope 0: infinity times zero comes up where the weight's gradient is computed
    assert finding.startswith("the gradient of weight in Linear (layer 2) is not finite: 20 of 20 elements")
    assert finding.endswith(
        "; what it got was finite; in the forward the output of Layer (layer 1) was not finite"
    )
    assert "aten.div in" in operation


def test_a_sum_of_finite_gradients(batch):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 3)

        def forward(self, x):
            return self.linear(x.flatten(1)) + self.linear(x.flatten(1))

    model = Twice()
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    finding, operation = find(model, (batch[0] * 0, batch[1]), lambda logits, labels: logits.sum() * 3e37)
    assert finding == "the gradient of bias of Linear (layer 1), a sum of finite ones, is not finite"
    assert "aten.add in" in operation


@pytest.mark.parametrize("in_place", [True, False])
def test_a_compiled_network(batch, in_place, monkeypatch):
    monkeypatch.setattr(Slope, "wrong", "weight")
    model = network(SlopeLayer())
    if in_place:
        model.compile(backend="eager")
    else:
        model = torch.compile(model, backend="eager")
    finding, _ = find(model, batch)
    assert finding.startswith("the gradient of weight in Slope of ")


def test_a_network_on_several_processes(batch, tmp_path, monkeypatch):
    monkeypatch.setattr(Slope, "wrong", "weight")
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = torch.nn.parallel.DistributedDataParallel(network(SlopeLayer()))
        assert find(model, batch)[0].startswith("the gradient of weight in Slope of ")
    finally:
        torch.distributed.destroy_process_group()
