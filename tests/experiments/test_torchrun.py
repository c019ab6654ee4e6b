"""experiments/mnist.py in several processes, started as torchrun does; the slow ones by torchrun itself."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.exercises.attempts import attempt
from tests.experiments import exact_mnist, small_mnist

ROOT = Path(__file__).parents[2]
SCRIPT = Path(exact_mnist.__file__)


def train(runs, *argv, ask=None):
    """Run the script in this process; `ask`: the rank that is sent SIGTERM in the tenth step."""
    steps = []

    def count(*_):
        steps.append(1)
        if len(steps) == 10 and ask == int(os.environ["RANK"]):
            os.kill(os.getpid(), signal.SIGTERM)

    handle = register_optimizer_step_post_hook(count)
    try:
        status = exact_mnist.main(["--runs-dir", str(runs), "--log", "scalars", "--epochs", "5", *argv])
    finally:
        handle.remove()
    return status, len(steps)


def ask_to_stop(runs, whom):
    return train(runs, ask=whom)


def only_folder(runs):
    (folder,) = (runs / "mnist").iterdir()
    return folder


def figures(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if name != "seconds"}


def curve(folder, tag):
    events = EventAccumulator(str(folder))
    events.Reload()
    # Sorted: event files that were begun within one second are read in the order of their process ids.
    return sorted((point.step, point.value) for point in events.Scalars(tag))


@pytest.fixture(scope="module")
def alone(processes, tmp_path_factory):
    runs = tmp_path_factory.mktemp("alone")
    assert processes(1, train, runs) == [(0, 20)]
    return only_folder(runs)


def resembles(folder, alone):
    """Check that two runs differ by rounding alone, and that no point of a curve is doubled."""
    assert figures(folder) == pytest.approx(figures(alone), rel=1e-9)
    losses = curve(folder, "loss/training")
    assert [step for step, _ in losses] == [1, 2, 3, 4, 5]
    assert losses == curve(alone, "loss/training")  # in float32
    return True


@pytest.mark.parametrize("size", [2, 3])
def test_it_trains_as_alone_and_only_the_first_writes(processes, alone, tmp_path, size):
    assert processes(size, train, tmp_path) == [(0, 20)] * size
    folder = only_folder(tmp_path)
    assert resembles(folder, alone)
    assert json.loads((folder / "config.json").read_text())["processes"] == size
    names = {path.name.split(".")[0] for path in folder.iterdir()}
    assert names == {"checkpoints", "config", "events", "metrics"}
    assert len(list(folder.glob("events*"))) == 1
    # The check compares the whole batch's gradient with numeric slopes of the whole batch's loss.
    ((_, error),) = curve(folder, "gradient check/worst relative error")
    assert error < 1e-6


@pytest.mark.parametrize("whom", [0, 1])
def test_asked_to_stop_all_stop_after_the_same_step_and_go_on_in_another_number(
    processes, alone, tmp_path, whom
):
    results = processes(2, ask_to_stop, tmp_path, whom)
    assert results in [[(130, steps)] * 2 for steps in (10, 11)]
    folder = only_folder(tmp_path)
    last = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    assert last["position"]["steps"] == results[0][1]
    assert last["position"]["tally"][0] == 128 * last["position"]["batches"]
    rest = 20 - last["position"]["steps"]
    assert processes(3, train, tmp_path, "--resume", str(folder)) == [(0, rest)] * 3
    assert only_folder(tmp_path) == folder
    assert resembles(folder, alone)


def complain(*argv):
    with redirect_stderr(io.StringIO()) as err:
        return train(*argv), err.getvalue()


def test_numbers_that_go_wrong_stop_all_and_are_told_once(processes, tmp_path):
    results = processes(2, complain, tmp_path, "--learning-rate", "1e300")
    assert {result for result, _ in results} == {(1, 1)}
    message = "".join(err for _, err in results)
    assert message.startswith("mnist: error: step 1: the output of Linear (layer 2) is not finite")
    assert message.count("\n") == 1


def test_by_hand_declines(processes, tmp_path):
    results = processes(2, complain, tmp_path, "--engine", "by-hand")
    assert {result for result, _ in results} == {(1, 0)}
    assert "--engine by-hand trains in one process" in "".join(err for _, err in results)
    assert not list(tmp_path.iterdir())


class Torchrun:
    """The command, under way."""

    def __init__(self, size, *argv):
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size), "--"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *command, *map(str, argv)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def worker(self, rank):
        """The process with that rank."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
                return int(child)
        raise LookupError(rank)

    def end(self):
        """Wait for the end: the lines on standard output and error that are the script's own, and seconds."""
        began = time.monotonic()
        out, err = self.process.communicate(timeout=60)
        own = [line for line in err.splitlines() if line.startswith("mnist: ")]
        return out.splitlines(), own, time.monotonic() - began


def after_a_checkpoint(runs):
    """Wait until a run has saved in the middle of its training, and return its folder."""
    for _ in range(600):
        time.sleep(0.1)
        for config in runs.glob("mnist/*/config.json"):
            last = config.parent / "checkpoints" / "last.pt"
            if last.exists() and torch.load(last, weights_only=True)["position"]["steps"]:
                return config.parent
    raise TimeoutError(f"no checkpoint in {runs}")


SOON = 25  # seconds, on a busy machine; torchrun kills what has not ended after 30
LONG = ("--epochs", "10000", "--log", "scalars", "--checkpoint-steps", "50")


@pytest.fixture
def under_way(tmp_path):
    run = Torchrun(2, SCRIPT, "--runs-dir", tmp_path, *LONG)
    try:
        yield run, after_a_checkpoint(tmp_path)
    finally:
        run.process.kill()
        run.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_dies_the_other_says_so_and_ends(processes, under_way, rank):
    run, folder = under_way
    os.kill(run.worker(rank), signal.SIGKILL)
    _, err, seconds = run.end()
    assert seconds < SOON
    assert run.process.returncode == 1
    assert err == [
        "mnist: error: another of the 2 processes has ended; to go on from the last checkpoint: "
        f"torchrun --nproc-per-node 2 experiments/mnist.py --resume {folder}"
    ]
    last = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    assert last["position"]["steps"] % 50 == 0 or last["position"]["batches"] == 4
    epoch = last["position"]["epoch"]
    goes_on = processes(1, train, folder.parents[1], "--resume", str(folder), "--epochs", str(epoch))
    assert goes_on == [(0, 4 - last["position"]["batches"])]


@pytest.mark.slow
@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_torchrun_saves_once(under_way, wish):
    run, folder = under_way
    run.process.send_signal(wish)
    _, err, seconds = run.end()
    assert seconds < SOON
    assert err == [
        "mnist: interrupted; to go on from the last checkpoint: "
        f"torchrun --nproc-per-node 2 experiments/mnist.py --resume {folder}"
    ]


@pytest.mark.slow
def test_what_ends_all_is_told_once(tmp_path):
    run = Torchrun(2, SCRIPT, "--runs-dir", tmp_path, "--dry-run", "--require-accuracy", "1")
    out, err, _ = run.end()
    assert run.process.returncode == 1
    assert len(err) == 1
    assert "below the required 1.0" in err[0]
    assert sum("test accuracy" in line for line in out) == 1


@pytest.mark.slow
@pytest.mark.parametrize("option", [("--precision", "bfloat16"), ("--precision", "medium"), ("--with",)])
def test_with_other_options(tmp_path, option):
    if option == ("--with",):
        option = ("--with", tmp_path / "relu.py")
        option[1].write_text(attempt("relu", "grad_input = grad_output * (output > 0)"))
    run = Torchrun(2, small_mnist.__file__, "--runs-dir", tmp_path, *option, "--epochs", "2", "--log", "none")
    out, err, _ = run.end()
    assert (run.process.returncode, err) == (0, [])
    runs = 2 if option[0] == "--with" else 1  # with ours, and with theirs
    assert (
        sum("digits read rightly" in line for line in out)
        == len(list(tmp_path.glob("mnist/*/metrics.json")))
        == runs
    )


@pytest.mark.slow
def test_a_wrong_argument_is_told_once():
    run = Torchrun(2, SCRIPT, "--epochs", "0")
    _, err, _ = run.end()
    assert err == ["mnist: error: argument --epochs: must be at least 1, got 0 (--help lists the options)"]
