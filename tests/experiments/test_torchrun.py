"""mnist.py in several processes, started as torchrun does; the slow ones by torchrun itself."""

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

from tests.experiments import small_mnist
from tests.experiments.small_mnist import the_folder

ROOT = Path(__file__).parents[2]
SCRIPT = Path(small_mnist.__file__)
STEPS = 4  # an epoch


def train(runs, *argv, ask=None):
    """Run mnist.py in float64 in this process; `ask`: the rank that is sent SIGTERM in the tenth step."""
    steps = []

    def count(*_):
        steps.append(1)
        if len(steps) == 10 and ask == int(os.environ["RANK"]):
            os.kill(os.getpid(), signal.SIGTERM)

    handle = register_optimizer_step_post_hook(count)
    try:
        status = small_mnist.run(
            ["--runs-dir", str(runs), "--log", "scalars", "--epochs", "5", *argv], exact=True
        )
    finally:
        handle.remove()
    return status, len(steps)


def ask_to_stop(runs, whom):
    return train(runs, ask=whom)


def complain(*argv):
    with redirect_stderr(io.StringIO()) as err:
        return train(*argv), err.getvalue()


def decline(runs):
    with redirect_stderr(io.StringIO()) as err:
        return small_mnist.run(["by-hand", "--runs-dir", str(runs)]), err.getvalue()


def figures(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if name != "seconds"}


def losses(folder):
    events = EventAccumulator(str(folder / "training"))
    events.Reload()
    # Sorted: event files that were begun within one second are read in the order of their process ids.
    return sorted((point.step, point.value) for point in events.Scalars("loss"))


@pytest.fixture(scope="module")
def alone(processes, tmp_path_factory):
    runs = tmp_path_factory.mktemp("alone")
    assert processes(1, train, runs) == [(0, 5 * STEPS)]
    return the_folder(runs)


def resembles(folder, alone):
    """Check that two runs differ by rounding alone, and that no point of a curve is doubled."""
    assert figures(folder) == pytest.approx(figures(alone), rel=1e-9)
    assert [step for step, _ in losses(folder)] == [4, 8, 12, 16, 20]
    assert losses(folder) == losses(alone)  # in float32
    return True


def test_two_train_as_one_does_and_only_the_first_writes(processes, alone, tmp_path):
    assert processes(2, train, tmp_path) == [(0, 5 * STEPS)] * 2
    folder = the_folder(tmp_path)
    assert resembles(folder, alone)
    assert json.loads((folder / "config.json").read_text())["processes"] == 2
    assert len(list(folder.glob("events*"))) == 1


def test_asked_to_stop_both_stop_after_the_same_step_and_one_goes_on(processes, alone, tmp_path):
    results = processes(2, ask_to_stop, tmp_path, 1)
    assert results in [[(130, steps)] * 2 for steps in (10, 11)]
    folder = the_folder(tmp_path)
    last = torch.load(folder / "checkpoints" / "last.pt")
    done = last["loader"]["step"]
    assert done == results[0][1]
    assert last["metrics"]["sums"][0] == 128 * (done % STEPS)  # of both
    assert processes(1, train, tmp_path, "--resume", str(folder)) == [(0, 5 * STEPS - done)]
    assert resembles(folder, alone)


def test_numbers_that_go_wrong_stop_both(processes, tmp_path):
    results = processes(2, complain, tmp_path, "--learning-rate", "1e300")
    assert {status for (status, _), _ in results} == {1}
    for _, err in results:
        assert err.startswith("mnist: error: step 2: the output of module ")
        assert err.count("\n") == 2


def test_by_hand_declines(processes, tmp_path):
    results = processes(2, decline, tmp_path)
    assert [status for status, _ in results] == [1, 1]
    assert "mnist_by_hand trains in one process" in "".join(err for _, err in results)
    assert not list(tmp_path.iterdir())


class Torchrun:
    """The command, under way."""

    def __init__(self, *argv):
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
        self.process = subprocess.Popen(
            [sys.executable, *command, *map(str, [SCRIPT, *argv])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def end(self):
        """Wait for the end: the lines on standard output and error that are the script's own, and seconds."""
        began = time.monotonic()
        out, err = self.process.communicate(timeout=60)
        own = [line for line in err.splitlines() if line.startswith(("mnist: ", "to resume: "))]
        return out.splitlines(), own, time.monotonic() - began


def after_a_checkpoint(runs):
    """Wait until a run has saved in the middle of its training, and return its folder."""
    for _ in range(600):
        time.sleep(0.1)
        for config in runs.glob("mnist/*/config.json"):
            last = config.parent / "checkpoints" / "last.pt"
            if last.exists() and torch.load(last)["loader"]["step"]:
                return config.parent
    raise TimeoutError(f"no checkpoint in {runs}")


SOON = 40  # seconds, on a busy machine; torchrun kills what has not ended after 30
LONG = ("--epochs", "10000", "--log", "scalars")


@pytest.fixture
def under_way(tmp_path):
    run = Torchrun("--runs-dir", tmp_path, *LONG)
    try:
        yield run, after_a_checkpoint(tmp_path)
    finally:
        run.process.kill()
        run.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_torchrun_saves_once(under_way, number):
    run, folder = under_way
    run.process.send_signal(number)
    _, err, seconds = run.end()
    assert seconds < SOON
    resume = f"torchrun --nproc-per-node 2 {SCRIPT} --resume {folder}"
    assert err == ["mnist: interrupted", f"to resume: {resume}"]


@pytest.mark.slow
def test_what_ends_both_is_told_by_both_and_the_rest_once(tmp_path):
    run = Torchrun("--runs-dir", tmp_path, "--dry-run", "--require-accuracy", "1")
    out, err, _ = run.end()
    assert run.process.returncode == 1
    assert len(err) == 2
    assert all("below the required 1.0" in line for line in err)
    assert sum("test accuracy" in line for line in out) == 1
