import math

import pytest
import torch

import manualgrad.nn as nn
from manualgrad.training.finite import Guard, NotFiniteError

LOSS = nn.CrossEntropyLoss()
BAD = [math.nan, math.inf, -math.inf]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def batches(count, bad=()):
    """Batches of different sizes; some of them with a pixel that is NaN."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(count):
        inputs = torch.randn(4 + number % 3, 6, generator=generator)
        inputs[1, 2] = math.nan if number in bad else inputs[1, 2]
        made.append((inputs, torch.randint(3, (len(inputs),), generator=generator)))
    return made


def replay(inputs, labels):
    """Tell which batch was gone through, by what is wrong with it."""
    return f"{len(inputs)} rows" if inputs.isnan().any() else None


def adam(model, **options):
    return torch.optim.Adam(model.parameters(), lr=0.1, fused=True, **options)


def train(model, optimizer, data, guard=None):
    """Train, and return the weights from before each step."""
    history = []
    for step, (inputs, labels) in enumerate(data):
        history.append([p.detach().clone() for p in model.parameters()])
        optimizer.zero_grad()
        loss = LOSS(model(inputs), labels)
        loss.backward()
        if guard:
            try:
                guard.check(loss, inputs, labels, step)
            except NotFiniteError as problem:
                return history, str(problem)
        optimizer.step()
    return history, None


def same(tensors, others):
    return all(map(torch.equal, tensors, others))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("parameter", range(4))
def test_one_bad_entry_of_any_gradient_is_caught(bad, parameter):
    model = network()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    list(model.parameters())[parameter].grad.view(-1)[-1] = bad
    guard = Guard(adam(model), lambda inputs, labels: "found")
    with pytest.raises(NotFiniteError, match=r"^step 7: found. The weights are those from before this step$"):
        guard.check(torch.tensor(1.0), torch.ones(2, 6), torch.zeros(2), 7)


@pytest.mark.parametrize("values", [(math.inf, -math.inf), (math.nan, math.inf)])
def test_bad_entries_do_not_cancel(values):
    model = network()
    model[0].weight.grad = torch.zeros_like(model[0].weight)
    model[0].weight.grad[0, :2] = torch.tensor(values)
    with pytest.raises(NotFiniteError):
        Guard(adam(model), lambda *_: "found").check(torch.tensor(1.0), torch.ones(2), torch.ones(2), 0)


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_loss_with_finite_gradients_is_caught(bad):
    model = network()
    with pytest.raises(NotFiniteError):
        Guard(adam(model), lambda *_: "found").check(torch.tensor(bad), torch.ones(2), torch.ones(2), 0)


@pytest.mark.parametrize("huge", [1e30, 3.4e38, -3.4e38])
def test_huge_gradients_are_not_refused_though_their_sum_overflows(huge):
    model = network()
    for p in model.parameters():
        p.grad = torch.full_like(p, huge)
    Guard(adam(model), replay).check(torch.tensor(3.4e38), torch.ones(2), torch.ones(2), 0)


def test_parameters_without_a_gradient_are_nothing_to_look_at():
    model = network()
    model[0].bias.grad = torch.ones(5)
    Guard(adam(model), replay).check(torch.tensor(1.0), torch.ones(2), torch.ones(2), 0)


def test_the_weights_and_the_optimizer_are_as_before_the_bad_step():
    model = network()
    optimizer = adam(model)
    history, problem = train(model, optimizer, batches(9, bad=[5]), Guard(optimizer, replay))
    assert problem == "step 5: 6 rows. The weights are those from before this step"
    assert len(history) == 6
    assert same(model.parameters(), history[-1])
    assert all(state["step"] == 5 for state in optimizer.state.values())


@pytest.mark.parametrize("make", [adam, lambda model: torch.optim.SGD(model.parameters(), lr=0.1)])
def test_a_guard_changes_nothing_about_a_training_that_goes_well(make):
    alone, guarded = network(), network()
    train(alone, make(alone), batches(9))
    optimizer = make(guarded)
    assert train(guarded, optimizer, batches(9), Guard(optimizer, replay))[1] is None
    assert same(alone.parameters(), guarded.parameters())


@pytest.mark.parametrize("bad", range(8))
def test_read_later_the_optimizer_stops_in_time_by_itself(bad):
    model = network()
    optimizer = adam(model)
    # The steps after the bad one, one of them just as bad, run before anybody looks.
    data = batches(8, bad=[bad, 7])
    history, problem = train(model, optimizer, data, Guard(optimizer, replay, read_every=4))
    assert problem == f"step {bad}: {len(data[bad][0])} rows. The weights are those from before this step"
    assert len(history) == (4 if bad < 4 else 8)
    assert same(model.parameters(), history[bad])
    assert all(state["step"] == bad for state in optimizer.state.values())


def test_read_later_a_good_training_is_bit_identical():
    alone, guarded = network(), network()
    train(alone, adam(alone), batches(9))
    optimizer = adam(guarded)
    assert train(guarded, optimizer, batches(9), Guard(optimizer, replay, read_every=4))[1] is None
    assert same(alone.parameters(), guarded.parameters())


def test_settling_reads_what_is_not_read_yet():
    model = network()
    optimizer = adam(model)
    guard = Guard(optimizer, replay, read_every=100)
    assert train(model, optimizer, batches(3), guard)[1] is None
    guard.settle()
    assert train(model, optimizer, batches(5, bad=[2]), guard)[1] is None
    with pytest.raises(NotFiniteError, match="step 2: 6 rows"):
        guard.settle()


def test_only_a_fused_optimizer_can_be_read_later():
    with pytest.raises(ValueError, match="needs a fused optimizer"):
        Guard(torch.optim.Adam(network().parameters()), replay, read_every=2)


def test_what_does_not_come_again_is_told():
    guard = Guard(adam(network()), lambda inputs, labels: None)
    with pytest.raises(NotFiniteError, match=r"step 3: .* the same batch again gives finite numbers"):
        guard.check(torch.tensor(math.nan), torch.ones(2), torch.ones(2), 3)
