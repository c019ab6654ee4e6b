import pytest
import torch

import manualgrad.nn as nn
from manualgrad.training import evaluate, gather_batches, train_epoch
from manualgrad.training.finite import Guard, NotFiniteError


@pytest.fixture
def data():
    inputs = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    return inputs, (inputs.sum(1) > 0).long()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


LOSS = nn.CrossEntropyLoss()


def test_batches_cover_everything_once_in_a_shuffled_order(data):
    inputs, labels = data
    batches = list(gather_batches(inputs, labels, 4, torch.Generator().manual_seed(0)))
    assert [len(rows) for rows, _ in batches] == [4, 4, 2]
    together = torch.cat([rows for rows, _ in batches])
    assert not torch.equal(together, inputs)
    assert torch.equal(together.sort(0).values, inputs.sort(0).values)
    for rows, row_labels in batches:
        assert torch.equal((rows.sum(1) > 0).long(), row_labels)


def test_without_a_generator_the_order_stays(data):
    inputs, labels = data
    assert torch.equal(torch.cat([rows for rows, _ in gather_batches(inputs, labels, 4)]), inputs)


@pytest.mark.parametrize("seed", [None, 0])
def test_batches_that_are_done_are_left_out(data, seed):
    def batches(skip):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return list(gather_batches(*data, 4, generator, skip))

    for (inputs, labels), (same_inputs, same_labels) in zip(batches(2), batches(0)[2:], strict=True):
        assert torch.equal(inputs, same_inputs)
        assert torch.equal(labels, same_labels)


def test_shuffling_goes_on_from_epoch_to_epoch(data):
    generator = torch.Generator().manual_seed(0)
    first, second = (next(gather_batches(*data, 10, generator))[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_evaluate_weighs_by_examples_and_changes_nothing(data, model):
    inputs, labels = data
    before = model.weight.clone()
    score = evaluate(model, LOSS, gather_batches(inputs, labels, 4))
    logits = model(inputs)
    assert score.loss == pytest.approx(LOSS(logits, labels).item(), rel=1e-6)
    assert score.accuracy == (logits.argmax(1) == labels).double().mean().item()
    assert torch.equal(model.weight, before)
    assert model.weight.grad is None


def test_one_step_is_gradient_descent(data, model):
    inputs, labels = data
    weight = model.weight.detach().clone().requires_grad_()
    model.weight.grad = torch.ones_like(weight)  # left over from another step
    loss = torch.nn.functional.cross_entropy(inputs @ weight.t() + model.bias.detach(), labels)
    (grad,) = torch.autograd.grad(loss, weight)
    score = train_epoch(model, LOSS, torch.optim.SGD(model.parameters(), lr=0.5), [(inputs, labels)])
    torch.testing.assert_close(model.weight, weight - 0.5 * grad)
    assert score.loss == pytest.approx(loss.item(), rel=1e-6)


def test_no_verdict_is_left_unread(data, model):
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    guard = Guard(optimizer, lambda inputs, labels: "found", read_every=100)
    batches = [(data[0] * torch.nan, data[1])]
    with pytest.raises(NotFiniteError, match="step 0: found"):
        train_epoch(model, LOSS, optimizer, batches, guard=guard)


def test_training_learns(data, model):
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    first = train_epoch(model, LOSS, optimizer, gather_batches(*data, 4))
    for _ in range(30):
        last = train_epoch(model, LOSS, optimizer, gather_batches(*data, 4))
    assert last.loss < first.loss / 3
    assert last.accuracy == 1.0
