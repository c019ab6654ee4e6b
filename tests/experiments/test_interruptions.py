"""Whatever ends a process, and whenever: resumed, the run comes to the same weights, figures and curves."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.experiments.small_mnist import COMMAND, outcome, the_folder

RUNS = {  # settings, and the seed of what happens to the run
    "mnist": (["--log", "scalars", "--seed", "3", "--epochs", "240"], 0),
    "by hand": (["by-hand", "--epochs", "200"], 1),
    "full log": (["--batch-size", "48", "--epochs", "60"], 2),
}
INTERRUPTIONS = 3  # of each run


def start(runs_dir, *argv):
    return subprocess.Popen(
        [*COMMAND, *argv, "--runs-dir", str(runs_dir)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("argv", "seed"), RUNS.values(), ids=RUNS)
def test_interrupted_at_random_it_ends_as_if_nothing_had_been(tmp_path, argv, seed):
    whole = start(tmp_path / "whole", *argv)
    _, complaint = whole.communicate()
    assert whole.returncode == 0, complaint
    script, experiment = (argv[:1], "mnist_by_hand") if argv[0] == "by-hand" else ([], "mnist")

    numbers = random.Random(seed)
    broken = tmp_path / "broken"
    process, how = start(broken, *argv), []
    while len(how) < INTERRUPTIONS:
        epochs = numbers.randrange(5)  # to wait for: few of them, so that it does not end before
        for _ in range(epochs):
            process.stdout.readline()
        time.sleep(numbers.uniform(0, 0.1 if epochs else 2.5))  # in an epoch, or while it starts
        number = numbers.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        process.send_signal(number)
        _, complaint = process.communicate()
        how.append((number.name, process.returncode))
        # Before Python and its handlers are there, a signal ends the process as it ends any other.
        assert process.returncode in (-number, 1, 130), complaint
        if list(broken.glob("*/*/config.json")):
            argv = [*script, "--resume", str(the_folder(broken, experiment))]
        process = start(broken, *argv)
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint

    ours, theirs = (outcome(the_folder(tmp_path / name, experiment)) for name in ("whole", "broken"))
    assert ours[0] == theirs[0], how
    assert ours[1] == theirs[1], how
    assert ours[2] == theirs[2], how
    print(*how)
