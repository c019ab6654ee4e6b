import errno
import fcntl
import itertools
import os
import shutil
import signal
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import manualgrad.nn as nn
from manualgrad.errors import UserError
from manualgrad.training import (
    Keeper,
    Position,
    Run,
    Score,
    TrainingSettings,
    Watch,
    evaluate,
    gather_batches,
    train_epoch,
)
from manualgrad.training.checkpoint import read_checkpoint, write_checkpoint
from manualgrad.training.finite import Guard, NotFiniteError
from manualgrad.training.interruption import Interrupted

EPOCHS, STEPS = 3, 5  # of each epoch; the last batch is a short one
LOSS = nn.CrossEntropyLoss()


class Killed(BaseException):
    """Ends a training as nothing else does, so that nobody can have prepared for it."""


def draw(rows, seed=0):
    inputs = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))
    return inputs, inputs[:, :3].argmax(1)


PASSED = itertools.count(2, 2)


def train(settings, end=None, at=-1, hidden=5):
    """Train a little network as experiments/mnist.py does, and call ``end`` before step ``at``.

    Two seconds pass before it begins, as when a process starts: TensorBoard reads event files in the order of
    the second that their names begin with.
    """
    now, passed = time.time, next(PASSED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now() + passed)
        return train_now(settings, end, at, hidden)


def train_now(settings, end, at, hidden):
    torch.manual_seed(settings.seed)
    model = nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, fused=True)
    position = Position(settings.seed)
    inputs, labels = draw(4 * STEPS - 1)

    def until_the_end(batches):
        for batch in batches:
            if position.steps == at:
                end()
            torch.rand(1)  # as dropout would: the generator's state depends on all steps before
            yield batch

    with Run("lesson", "test", settings, torch.device("cpu")) as run:
        watch = Watch(run, model, LOSS, optimizer, inputs[:4], 2)
        with Keeper(run, model, position, {"optimizer": optimizer, "watch": watch}) as keeper:
            for epoch in range(position.epoch, settings.epochs + 1):
                position.begin(epoch)
                batches = gather_batches(inputs, labels, 4, position.shuffling(), position.batches)
                training = train_epoch(model, LOSS, optimizer, until_the_end(batches), watch, keeper)
                keeper.after_training()
                validation = evaluate(model, LOSS, [draw(30, seed=1)])
                keeper.after_validation(validation)
                run.log_scores(epoch, training=training, validation=validation)
            best = keeper.take_best()
        run.finish({"training_loss": training.loss} | best)
    weights = [p.detach().clone() for p in model.parameters()]
    return run.folder, weights, (training, validation, best, torch.rand(3))


def kill():
    raise Killed


@pytest.fixture
def settings(tmp_path):
    return TrainingSettings(runs_dir=tmp_path / "runs", epochs=EPOCHS, log="scalars", checkpoint_steps=3)


def the_folder(settings):
    (folder,) = (settings.runs_dir / "lesson").iterdir()
    return folder


@contextmanager
def keeper_of(settings, model, guard=None):
    """A keeper of a training that is yet to begin."""
    with (
        Run("lesson", "test", settings, torch.device("cpu")) as run,
        Keeper(run, model, Position(0), {}, guard) as keeper,
    ):
        yield keeper


def checkpoint(settings, kind):
    return read_checkpoint(the_folder(settings) / "checkpoints" / f"{kind}.pt", kind)


def curves(folder):
    """Return every curve as its points, but for the speed."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("speed")
    }


def assert_same(one, other):
    assert all(map(torch.equal, one[1], other[1]))
    assert one[2][:3] == other[2][:3]
    assert torch.equal(one[2][3], other[2][3])
    assert curves(one[0]) == curves(other[0])


def test_killed_before_any_step_and_resumed_it_ends_as_if_nothing_had_been(settings, tmp_path):
    whole = train(replace(settings, runs_dir=tmp_path / "whole"))
    assert {len(points) for tag, points in curves(whole[0]).items() if tag.startswith("loss/t")} == {EPOCHS}
    for at in range(EPOCHS * STEPS):
        broken = replace(settings, runs_dir=tmp_path / f"killed before step {at}")
        with pytest.raises(Killed):
            train(broken, kill, at)
        assert_same(whole, train(replace(broken, resume=the_folder(broken))))


def test_killed_again_and_again(settings, tmp_path):
    whole = train(replace(settings, runs_dir=tmp_path / "whole"))
    with pytest.raises(Killed):
        train(settings, kill, 4)
    resumed = replace(settings, resume=the_folder(settings))
    for at in (5, 5, 9, 14):
        with pytest.raises(Killed):
            train(resumed, kill, at)
    assert_same(whole, train(resumed))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_a_whole_step_with_everything_saved(settings, tmp_path, number, capfd):
    whole = train(replace(settings, runs_dir=tmp_path / "whole"))
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as caught:
        train(settings, lambda: os.kill(os.getpid(), number), 7)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    folder = the_folder(settings)
    assert caught.value.__notes__ == [
        f"to go on from the last checkpoint: python experiments/lesson.py --resume {folder}"
    ]
    assert "stopping after this step" in capfd.readouterr().err
    last = read_checkpoint(folder / "checkpoints" / "last.pt", "last")
    assert last["position"]["steps"] == 8  # the step that was going on, and 3 is not one of its divisors
    assert_same(whole, train(replace(settings, resume=folder)))


def test_a_signal_when_nobody_reads_what_is_printed(settings):
    """As in ``mnist.py 2>&1 | tee log``, where Ctrl-C ends ``tee``, too."""

    def interrupt():
        reading, writing = os.pipe()
        os.close(reading)
        stderr = os.dup(2)
        os.dup2(writing, 2)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(writing)

    with pytest.raises(Interrupted):
        train(settings, interrupt, 7)
    last = checkpoint(settings, "last")
    assert last["position"]["steps"] == 8


def test_a_second_signal_ends_it_at_once(settings):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(settings, twice, 7)
    last = checkpoint(settings, "last")
    assert last["position"]["steps"] == 6  # the last multiple of 3


def test_more_epochs_train_a_finished_run_further(settings, tmp_path):
    longer = train(replace(settings, epochs=EPOCHS + 2, runs_dir=tmp_path / "longer"))
    train(replace(settings, checkpoint_steps=None))  # the end of the last epoch is saved in any case
    resumed = train(replace(settings, epochs=EPOCHS + 2, resume=the_folder(settings)))
    assert all(map(torch.equal, longer[1], resumed[1]))
    assert curves(resumed[0]) == curves(longer[0])


def test_a_finished_run_is_not_done_again(settings):
    folder = train(settings)[0]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="is finished; --epochs with more than 3 trains it further"):
        train(replace(settings, resume=folder))
    with pytest.raises(UserError, match=r"--epochs 2: .* is in epoch 3 already"):
        train(replace(settings, epochs=2, resume=folder))
    assert {path: path.read_bytes() for path in before} == before


def test_the_best_weights_are_those_with_the_best_validation(settings):
    model = nn.Sequential(nn.Linear(1, 1))
    with keeper_of(settings, model) as keeper:
        for epoch, accuracy in enumerate((0.5, 0.7, 0.7, 0.6), 1):
            keeper.position.begin(epoch)
            torch.nn.init.constant_(model[0].weight, epoch)
            keeper.after_validation(Score(1 / epoch, accuracy))
        assert keeper.take_best() == {"epoch": 2, "validation_accuracy": 0.7, "validation_loss": 0.5}
        assert model[0].weight.item() == 2
    best = checkpoint(settings, "best")
    assert (best["epoch"], best["model"]["0.weight"].item()) == (2, 2)


def test_the_best_weights_are_saved_before_anything_that_knows_of_them(settings):
    with keeper_of(replace(settings, checkpoint_steps=1), nn.Sequential(nn.Linear(1, 1))) as keeper:
        keeper.after_validation(Score(0.5, 0.7))
        keeper.after_step()
        assert checkpoint(settings, "last")["best"]["validation_accuracy"] == 0.7
        assert checkpoint(settings, "best")["validation_accuracy"] == 0.7


def test_after_an_interruption_the_best_weights_are_still_the_best(settings):
    model = nn.Sequential(nn.Linear(1, 1))
    with keeper_of(replace(settings, checkpoint_steps=1), model) as keeper:
        keeper.after_validation(Score(0.5, 0.7))
        keeper.after_step()
    with keeper_of(replace(settings, resume=the_folder(settings)), model) as keeper:
        keeper.after_validation(Score(0.4, 0.6))
        assert keeper.take_best()["validation_accuracy"] == 0.7


def test_saving_takes_little_of_the_time(settings):
    with keeper_of(replace(settings, checkpoint_steps=None), nn.Sequential(nn.Linear(1, 1))) as keeper:

        def saved_after(seconds, method):
            keeper.position.steps += 1
            keeper._saved_at = time.perf_counter() - seconds
            keeper._cost = 0.5
            method()
            return checkpoint(settings, "last")["position"]["steps"] == keeper.position.steps

        assert not saved_after(40, keeper.after_training)
        assert saved_after(60, keeper.after_training)
        assert not saved_after(50, keeper.after_step)
        assert saved_after(61, keeper.after_step)


def test_a_verdict_that_is_not_read_yet_is_read_before_saving(settings):
    model = nn.Sequential(nn.Linear(1, 1))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    guard = Guard(optimizer, lambda inputs, labels: "found", read_every=100)
    with keeper_of(replace(settings, checkpoint_steps=1), model, guard) as keeper:
        guard.check(torch.tensor(torch.nan), torch.ones(2), torch.ones(2), 0)
        with pytest.raises(NotFiniteError, match="step 0: found"):
            keeper.after_step()
    assert checkpoint(settings, "last")["position"]["steps"] == 0


def test_the_line_to_go_on_can_be_pasted(settings, tmp_path):
    spaced = replace(settings, runs_dir=tmp_path / "my runs")
    with pytest.raises(Killed) as caught:
        train(spaced, kill, 1)
    assert caught.value.__notes__[0].endswith(f" --resume '{the_folder(spaced)}'")


def test_a_checkpoint_that_does_not_fit_leaves_the_run_as_it_was(settings):
    folder = train(settings)[0]
    last = folder / "checkpoints" / "last.pt"
    write_checkpoint(last, checkpoint(settings, "last") | {"optimizer": {}})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="does not fit this run"):
        train(replace(settings, epochs=EPOCHS + 1, resume=folder))
    assert {path: path.read_bytes() for path in before} == before


def test_a_file_system_that_locks_no_folders(settings, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EBADF, "Bad file descriptor")  # as NFS does

    monkeypatch.setattr(fcntl, "flock", refuse)
    with keeper_of(settings, nn.Sequential(nn.Linear(1, 1))):
        assert checkpoint(settings, "last")["position"]["steps"] == 0


def test_another_network_is_refused(settings):
    with pytest.raises(Killed):
        train(settings, kill, 4)
    resumed = replace(settings, resume=the_folder(settings))
    with pytest.raises(UserError, match=r"its 0.weight is \(5, 6\), this network's \(7, 6\)"):
        train(resumed, hidden=7)


def test_another_run_s_checkpoint_is_refused(settings, tmp_path):
    with pytest.raises(Killed):
        train(settings, kill, 4)
    resumed = replace(settings, resume=the_folder(settings), seed=1)
    with pytest.raises(UserError, match=r"was made with --seed 0, config\.json says 1"):
        train(resumed)


def test_a_run_that_is_still_going_cannot_be_resumed(settings):
    def resume_meanwhile():
        with pytest.raises(UserError, match="is still running, in another process"):
            train(replace(settings, resume=the_folder(settings)))

    train(settings, resume_meanwhile, 4)


def test_the_folder_removed_under_way(settings):
    def remove():
        shutil.rmtree(the_folder(settings))

    with pytest.raises(UserError, match="was removed while the run was going on") as caught:
        train(settings, remove, 4)
    assert not hasattr(caught.value, "__notes__")  # there is nothing to go on from


def test_a_long_training_is_saved_by_the_clock(settings):
    clocked = replace(settings, checkpoint_steps=None, checkpoint_minutes=1e-9)
    with pytest.raises(Killed):
        train(clocked, kill, 7)
    last = checkpoint(settings, "last")
    assert last["position"]["steps"] == 7


def test_weights_that_are_not_finite_never_replace_good_ones(settings):
    model = nn.Sequential(nn.Linear(1, 1))
    with keeper_of(replace(settings, checkpoint_steps=1), model) as keeper:
        keeper.after_step()
        torch.nn.init.constant_(model[0].bias, torch.inf)
        keeper.after_step()
    last = checkpoint(settings, "last")
    assert last["position"]["steps"] == 1
    assert last["model"]["0.bias"].isfinite().all()
