"""Whatever ends a run, and whenever: resumed, it ends as if nothing had been. The loop is mnist.py's own."""

import itertools
import os
import signal
import time
from dataclasses import replace

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from experiments import mnist
from experiments.mnist import Config
from manualgrad.errors import UserError
from manualgrad.training import Metrics, load_best
from manualgrad.training.checkpoint import read_checkpoint, write_checkpoint
from tests.experiments.small_mnist import load_small_set, outcome, the_folder

EPOCHS, STEPS = 2, 4
PASSED = itertools.count(2, 2)


class Killed(BaseException):
    """Ends a training as nothing else does, so that nobody can have prepared for it."""


def kill():
    raise Killed


@pytest.fixture(autouse=True)
def small_set(monkeypatch):
    """Take a small network that needs the global generator, so that its state matters, too."""
    nn = mnist.nn

    def build():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 12), torch.nn.Dropout(0.1), nn.ReLU(), nn.Linear(12, 10)
        )

    monkeypatch.setattr(mnist, "load_mnist", load_small_set)
    monkeypatch.setattr(mnist, "build_model", build)
    monkeypatch.setattr(mnist, "MONITOR_EVERY", 3)


def train(config, end=None, at=0):
    """Run mnist.py, and call ``end`` before its optimizer's step number ``at``, counted from 1.

    Two seconds pass before it begins, as when a process starts: TensorBoard reads event files in the order of
    the second that their names begin with.
    """
    now, passed, steps = time.time, next(PASSED), itertools.count(1)
    handle = register_optimizer_step_pre_hook(lambda *_: end() if next(steps) == at else None)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: now() + passed)
            return mnist.main(config)
    finally:
        handle.remove()


@pytest.fixture
def config(tmp_path):
    return Config(runs_dir=tmp_path / "runs", epochs=EPOCHS, log="scalars")


def resumed(config, **changes):
    return replace(config, resume=the_folder(config.runs_dir), **changes)


def last(config):
    return read_checkpoint(the_folder(config.runs_dir) / "checkpoints" / "last.pt")


def finish(config):
    """Run mnist.py to its end, and return all that it comes to."""
    train(config)
    return outcome(the_folder(config.runs_dir))


@pytest.fixture
def whole(config, tmp_path):
    config = replace(config, runs_dir=tmp_path / "whole")
    return finish(config)


def test_killed_before_any_step_and_resumed_it_ends_as_if_nothing_had_been(config, tmp_path, whole):
    assert [step for step, _ in whole[1]["training", "loss"]] == [STEPS, 2 * STEPS]
    for at in (1, 2, STEPS, STEPS + 1, EPOCHS * STEPS):
        broken = replace(config, runs_dir=tmp_path / f"killed before step {at}")
        with pytest.raises(Killed):
            train(broken, kill, at)
        assert finish(resumed(broken)) == whole


def test_killed_between_the_last_step_and_the_test(config, whole, monkeypatch):
    monkeypatch.setattr(mnist, "evaluate_digits", lambda *_: kill())
    with pytest.raises(Killed):
        train(config)
    monkeypatch.undo()
    small_set.__wrapped__(monkeypatch)
    assert finish(resumed(config)) == whole


@pytest.mark.parametrize(
    ("number", "at"), [(signal.SIGINT, 5), (signal.SIGTERM, STEPS)]
)  # an epoch's last step
def test_a_signal_ends_it_after_a_whole_step_with_everything_saved(config, whole, number, at):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt) as caught:
        train(config, lambda: os.kill(os.getpid(), number), at)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert caught.value.__notes__[0].endswith(f" --resume {the_folder(config.runs_dir)}")
    assert last(config)["loader"]["step"] == at
    assert finish(resumed(config)) == whole


def test_a_second_signal_ends_it_at_once(config):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(config, twice, 5)
    assert last(config)["loader"]["step"] < 5


def test_more_epochs_train_a_finished_run_further(config, tmp_path):
    longer = replace(config, epochs=EPOCHS + 1, runs_dir=tmp_path / "longer")
    figures, curves, states = finish(longer)
    train(config)
    ours = finish(resumed(config, epochs=EPOCHS + 1))
    assert (ours[0], ours[2]) == (figures, states)
    assert ours[1]["training", "loss"] == curves["training", "loss"]


def test_a_finished_run_is_not_done_again(config):
    train(config)
    folder = the_folder(config.runs_dir)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for epochs in (EPOCHS, EPOCHS - 1):
        with pytest.raises(UserError, match=f"is finished: it has {EPOCHS} epochs"):
            train(resumed(config, epochs=epochs))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_best_weights_are_those_with_the_best_validation(config, monkeypatch):
    accuracies = iter([0.5, 0.7, 0.7, 0.6])
    monkeypatch.setattr(mnist, "evaluate", lambda *_: Metrics(1.0, next(accuracies)))
    metrics = train(replace(config, epochs=4))
    assert metrics["best_epoch"] == 2
    assert metrics["validation_accuracy"] == 0.7
    model, best = mnist.build_model(), the_folder(config.runs_dir) / "checkpoints" / "best.pt"
    load_best(the_folder(config.runs_dir), model)
    assert model[1].weight.equal(read_checkpoint(best)["model"]["1.weight"])


def test_a_resumed_run_keeps_its_best_weights(config, monkeypatch):
    accuracies = iter([0.9, 0.5, 0.7])
    monkeypatch.setattr(mnist, "evaluate", lambda *_: Metrics(1.0, next(accuracies)))
    with pytest.raises(Killed):
        train(replace(config, epochs=3), kill, 2 * STEPS + 1)
    best = the_folder(config.runs_dir) / "checkpoints" / "best.pt"
    before = best.read_bytes()
    assert train(resumed(config, epochs=3))["best_epoch"] == 1
    assert best.read_bytes() == before


def test_another_network_or_other_settings_are_refused(config, monkeypatch):
    with pytest.raises(Killed):
        train(config, kill, 4)
    with pytest.raises(UserError, match="--seed 1: the run was begun with 0"):
        train(resumed(config, seed=1))
    monkeypatch.setattr(mnist, "build_model", lambda: mnist.nn.Sequential(mnist.nn.Linear(3, 2)))
    with pytest.raises(UserError, match=r"last.pt belongs to another network: Missing key"):
        train(resumed(config))


class Evil:
    def __reduce__(self):
        return os.abort, ()


def test_a_file_that_was_cut_off_or_is_another_program_s(tmp_path):
    path, model = tmp_path / "last.pt", torch.nn.Linear(3, 2).state_dict()
    write_checkpoint(path, {"model": model})
    whole = path.read_bytes()
    assert read_checkpoint(path)["model"].keys() == model.keys()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert_refused(path)
    for content in ({"model": model}, {"model": model, "format": "manualgrad checkpoint 1"}, [1], Evil()):
        torch.save(content, path)
        assert_refused(path)


def assert_refused(path):
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path} cannot be used: ")
    assert "\n" not in str(caught.value)
