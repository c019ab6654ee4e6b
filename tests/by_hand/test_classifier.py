from itertools import pairwise

import pytest
import torch

import manualgrad.nn as nn
from manualgrad.by_hand import Classifier, Mirror, Trainer
from manualgrad.by_hand.epoch import Recorded
from manualgrad.training import train_epoch

SIZES = (6, 5, 4, 3)


def build(sizes=SIZES, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def draw(rows, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, 2, 3, generator=generator, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(3, (rows,), generator=generator)


@pytest.mark.parametrize("sizes", [SIZES, (6, 3), (6, 7, 3)])
def test_loss_and_gradients_are_those_of_the_functions(sizes):
    model = build(sizes)
    network = Classifier(sizes, dtype=torch.float64).load(model)
    for rows in (7, 2, 7):  # a short batch in between leaves the other size's tensors right
        inputs, labels = draw(rows, seed=rows)
        model.zero_grad()
        loss = nn.CrossEntropyLoss()(model(inputs), labels)
        loss.backward()
        before = inputs.clone()
        torch.testing.assert_close(network.forward(inputs, labels), loss.detach(), rtol=0, atol=1e-12)
        network.backward()
        grads = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        torch.testing.assert_close(network.parameters.grad, grads, rtol=0, atol=1e-12)
        assert torch.equal(inputs, before)


def test_gradient_by_hand():
    # One unit: z = (2x, 0) with x = 1 and label 1, so p = softmax(2, 0), and dL/dW = (p - onehot) x.
    network = Classifier((1, 2), dtype=torch.float64)
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.tensor([[2.0], [0.0]]))
    loss = network.forward(torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([1]))
    network.backward()
    p = 1 / (1 + torch.tensor(-2.0, dtype=torch.float64).exp())
    torch.testing.assert_close(loss, -(1 - p).log())
    torch.testing.assert_close(network.layers[0].grad_weight, torch.stack([p, -p]).unsqueeze(1))
    torch.testing.assert_close(network.layers[0].grad_bias, torch.stack([p, -p]))


def test_same_weights_same_losses_as_training_with_the_functions():
    model = build()
    network = Classifier(SIZES, dtype=torch.float64).load(model)
    batches = [draw(8, seed=seed) for seed in range(5)] + [draw(3, seed=9)]
    trainer = Trainer(network, torch.optim.Adam([network.parameters], lr=0.01, fused=True))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    for _ in range(3):
        ours = trainer.train_epoch(batches)
        theirs = train_epoch(model, nn.CrossEntropyLoss(), optimizer, batches)
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-12)
        assert ours.accuracy == theirs.accuracy
    inputs, _ = draw(4)
    torch.testing.assert_close(network(inputs), model(inputs).detach(), rtol=0, atol=1e-12)
    network.store(fresh := build(seed=5))
    torch.testing.assert_close(fresh(inputs), network(inputs), rtol=0, atol=1e-12)
    trainer.train_epoch(batches)  # and leaves the copy alone
    assert not torch.equal(fresh(inputs), network(inputs))


def test_a_mirror_shows_and_sets_what_the_network_has():
    models = build(seed=1), build(seed=2)
    learnt, other = (Classifier(SIZES, dtype=torch.float64).load(model) for model in models)
    with torch.no_grad():
        learnt.parameters.add_(1)
    Mirror(other, models[1]).load_state_dict(Mirror(learnt, models[0]).state_dict())
    assert torch.equal(other.parameters, learnt.parameters)
    assert torch.equal(models[1][1].weight, learnt.layers[0].weight)


def test_a_recorded_step_sees_each_batch():
    seen = []
    recorded = Recorded(lambda inputs, labels: seen.append((inputs.clone(), labels.clone(), inputs)))
    batches = [draw(8, seed=seed) for seed in range(3)] + [draw(3)]
    for batch in batches:
        recorded(*batch)
    for (inputs, labels, _), batch in zip(seen, batches, strict=True):
        assert torch.equal(inputs, batch[0])
        assert torch.equal(labels, batch[1])
    assert seen[0][2] is seen[2][2]  # one place for all batches of the usual size
    assert seen[3][2] is batches[3][0]


def test_recorded_steps_train_like_plain_ones():
    batches = [draw(8, seed=seed) for seed in range(6)] + [draw(3, seed=9)]
    scores = []
    for wrap in (lambda step: step, Recorded):
        network = Classifier(SIZES, dtype=torch.float64).load(build())
        trainer = Trainer(network, torch.optim.Adam([network.parameters], lr=0.01, fused=True))
        trainer._step = wrap(trainer.step)
        scores.append([trainer.train_epoch(batches) for _ in range(2)])
    assert scores[0] == scores[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_replayed_step_trains_like_a_plain_one_on_cuda():
    batches = [tuple(part.cuda() for part in draw(8, seed=seed)) for seed in range(9)]
    scores = []
    for unwrap in (False, True):
        network = Classifier(SIZES, "cuda", torch.float64).load(build().cuda())
        adam = torch.optim.Adam([network.parameters], lr=0.01, fused=True, capturable=True)
        trainer = Trainer(network, adam)
        if unwrap:
            trainer._step = trainer.step
        scores.append([trainer.train_epoch(batches).loss for _ in range(2)])
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_low_precision_is_near(precision, tolerance):
    inputs, labels = draw(16, torch.float32)
    exact = Classifier(SIZES).load(build(dtype=torch.float32))
    low = Classifier(SIZES, precision=precision).load(build(dtype=torch.float32))
    for network in (exact, low):
        network.forward(inputs, labels)
        network.backward()
    assert low.parameters.grad.dtype == torch.float32
    difference = (low.parameters.grad - exact.parameters.grad).norm() / exact.parameters.grad.norm()
    assert 0 < difference < tolerance


def test_a_gradient_too_small_for_float16_survives():
    inputs, labels = draw(16, torch.float32)
    network = Classifier((6, 3), precision=torch.float16)
    with torch.no_grad():
        network.parameters[-3:] = torch.tensor([16.0, 0.0, 0.0])  # p of the others is 1e-7
    network.forward(inputs, torch.zeros_like(labels))
    network.backward()
    assert network.parameters.grad.count_nonzero() > 0
