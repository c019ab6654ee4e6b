import signal
import sys
import time
from functools import partial
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import manualgrad.nn as nn
from experiments.mnist import build_model
from manualgrad.data.mnist import load_mnist
from manualgrad.errors import UserError
from manualgrad.training import distributed, evaluate, gather_batches, train_epoch
from tests.training.together import joined

LOSS = nn.CrossEntropyLoss()


@pytest.fixture(params=[2, 3])
def together(processes, request):
    """Run a function in so many processes that have joined."""
    return partial(processes, request.param, joined)


@given(st.integers(0, 300), st.integers(1, 8))
def test_each_row_is_one_processs(rows, size):
    parts = [range(rows)[distributed.own_rows(rows, rank, size)] for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(rows))
    assert max(map(len, parts)) == -(-rows // size)


def test_alone_it_does_nothing():
    model = nn.Linear(3, 2)
    with distributed.joined():
        assert distributed.data_parallel(model) is distributed.by_rows(model) is model
        assert (distributed.rank(), distributed.local_rank(), distributed.size()) == (0, 0, 1)
        assert distributed.is_first()
        assert distributed.anyone(True)
        assert not distributed.anyone(False)
        assert distributed.from_first(lambda: "made") == "made"
        assert distributed.first_to_tell()
        assert distributed.first_to_tell()
        with distributed.one_before_the_others():
            pass
        assert not distributed.has_lost_another(RuntimeError("gloo"))
    assert not torch.distributed.is_initialized()


def test_a_signal_does_not_interrupt_what_is_ending_already():
    with pytest.raises(KeyboardInterrupt):
        distributed._interrupt(signal.SIGTERM, None)
    try:
        raise UserError("on its way to the terminal")
    except UserError:
        distributed._interrupt(signal.SIGTERM, None)


def draw(rows):
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.rand(rows, 28, 28, generator=generator, dtype=torch.float64)
    return inputs, (inputs.flatten(1).sum(1) * 7).long() % 10


def gradients(rows, parallel):
    """The loss of one batch, and its gradients; every process begins with weights of its own."""
    torch.manual_seed(distributed.rank())
    model = build_model().double()
    trained = distributed.data_parallel(model) if parallel else model
    inputs, labels = draw(rows)
    loss = LOSS(trained(inputs), labels)
    loss.backward()
    return loss.item(), [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("rows", [128, 7, 4, 2, 1])  # of 4 rows a third process has none, of 1 a second
def test_gradients_are_those_of_the_whole_batch(together, rows):
    loss, grads = gradients(rows, parallel=False)
    for its_loss, its_grads in together(gradients, rows, True):
        assert its_loss == pytest.approx(loss, rel=1e-12)
        for its_grad, grad in zip(its_grads, grads, strict=True):
            torch.testing.assert_close(its_grad, grad, rtol=1e-12, atol=1e-12 * grad.abs().max().item())


def score():
    torch.manual_seed(0)
    model = build_model().double()
    return evaluate(distributed.by_rows(model), LOSS, gather_batches(*draw(101), 20))


def test_figures_are_those_of_all_examples(together):
    expected = score()
    for its in together(score):
        assert its.accuracy == expected.accuracy
        assert its.loss == pytest.approx(expected.loss, rel=1e-12)


class Losses:
    """In the place of a Watch: keeps what it sees."""

    def __init__(self):
        self.seen = []

    def begin_epoch(self):
        pass

    def after_backward(self, loss, inputs, labels):
        self.seen.append(loss.item())

    def after_step(self):
        pass


def hundred_steps(inputs, labels, batch_size):
    torch.manual_seed(0)
    model = build_model().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7)
    losses = Losses()
    order = torch.Generator().manual_seed(0)
    batches = islice(gather_batches(inputs, labels, batch_size, order), 100)
    epoch = train_epoch(distributed.data_parallel(model), LOSS, optimizer, batches, losses)
    return losses.seen, epoch.loss, [parameter.detach() for parameter in model.parameters()]


def hundred_drawn_steps():
    return hundred_steps(*draw(1590), 16)  # the last batch is shorter


def hundred_steps_of_mnist():
    data = load_mnist()
    return hundred_steps(data.train_images[:48000].double(), data.train_labels[:48000], 128)


@pytest.mark.parametrize(
    "steps", [hundred_drawn_steps, pytest.param(hundred_steps_of_mnist, marks=pytest.mark.slow)]
)
def test_training_follows_the_process_alone(together, steps):
    expected, epoch_loss, _ = steps()
    assert len(expected) == 100
    results = together(steps)
    differences = [
        abs(its - loss) / loss for losses, *_ in results for its, loss in zip(losses, expected, strict=True)
    ]
    print(f"largest relative difference of a loss, {len(results)} processes: {max(differences):.1e}")
    for losses, its_epoch_loss, _ in results:
        assert losses == pytest.approx(expected, rel=1e-5)
        assert its_epoch_loss == pytest.approx(epoch_loss, rel=1e-5)
    for _, _, weights in results[1:]:
        assert all(map(torch.equal, weights, results[0][2]))


def wishes(whose):
    return [distributed.anyone(distributed.rank() == who) for who in whose]


def test_a_wish_is_everybodys(together):
    assert set(map(tuple, together(wishes, [0, 1, 99]))) == {(True, True, False)}


def name_of_first():
    return distributed.from_first(lambda: f"process {distributed.rank()}")


def fail_in_first():
    def fail():
        raise UserError(f"process {distributed.rank()} says no")

    try:
        distributed.from_first(fail)
    except UserError as problem:
        return str(problem)


def test_what_the_first_makes_or_raises_is_everybodys(together):
    assert set(together(name_of_first)) == {"process 0"}
    assert set(together(fail_in_first)) == {"process 0 says no"}


def tell():
    return distributed.first_to_tell(), distributed.first_to_tell()


def test_one_process_tells(together):
    answers = together(tell)
    assert sum(first for first, _ in answers) == 1
    assert not any(second for _, second in answers)


def go_through():
    with distributed.one_before_the_others():
        began = time.monotonic()
        if distributed.is_first():
            time.sleep(0.2)
        return began, time.monotonic()


def test_one_goes_before_the_others(together):
    (_, done), *others = together(go_through)
    assert all(began >= done for began, _ in others)


def output():
    return sys.stdout.name


def test_only_the_first_prints(together):
    first, *others = together(output)
    assert first != "/dev/null"
    assert set(others) == {"/dev/null"}
