"""Whatever ends a run, and whenever: resumed, it comes to the same weights, figures and curves."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.experiments.small_mnist import COMMAND, the_folder

RUNS = {  # settings, and the seed of what happens to the run
    "functions, saved by the epoch": (["--log", "scalars", "--seed", "3", "--epochs", "240"], 0),
    "by hand, every 7 steps": (["--engine", "by-hand", "--epochs", "200", "--checkpoint-steps", "7"], 1),
    "bfloat16, every 50 steps": (
        ["--precision", "bfloat16", "--batch-size", "48", "--epochs", "180", "--checkpoint-steps", "50"],
        2,
    ),
    "everything logged": (["--log", "everything", "--epochs", "30", "--checkpoint-steps", "5"], 3),
}
INTERRUPTIONS = 5  # of each run


def start(runs_dir, *argv):
    return subprocess.Popen(
        [*COMMAND, "--runs-dir", str(runs_dir), *argv],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def begun(runs_dir):
    return bool(list(runs_dir.glob("mnist/*/config.json")))


def outcome(folder):
    """Return all that a run comes to, but for how long things took."""
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    curves = {
        tag: [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in tags["scalars"]
        if "second" not in tag
    }
    pictures = {
        tag: [(image.step, image.encoded_image_string) for image in events.Images(tag)]
        for tag in tags["images"]
    }
    distributions = {
        tag: [(item.step, item.histogram_value) for item in events.Histograms(tag)]
        for tag in tags["histograms"]
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    states = {}
    for name in ("last", "best"):
        state = torch.load(folder / "checkpoints" / f"{name}.pt")
        states[name] = {part: state[part] for part in ("model", "optimizer", "position") if part in state}
    return {
        "metrics": metrics,
        "curves": curves,
        "pictures": pictures,
        "distributions": distributions,
    }, states


def flatten(state):
    """Yield every value of nested dicts, lists and tuples, tensors as their bytes."""
    if isinstance(state, dict):
        for name, part in state.items():
            yield name
            yield from flatten(part)
    elif isinstance(state, list | tuple):
        for part in state:
            yield from flatten(part)
    else:
        yield state.numpy().tobytes() if isinstance(state, torch.Tensor) else state


@pytest.mark.slow
@pytest.mark.parametrize(("argv", "seed"), RUNS.values(), ids=RUNS)
def test_interrupted_at_random_it_ends_as_if_nothing_had_been(tmp_path, argv, seed):
    whole = start(tmp_path / "whole", *argv)
    _, complaint = whole.communicate()
    assert whole.returncode == 0, complaint

    numbers = random.Random(seed)
    process, how = start(tmp_path / "broken", *argv), []
    while len(how) < INTERRUPTIONS:
        epochs = numbers.randrange(
            5
        )  # to wait for: less than a fifth of them, so that it does not end before
        for _ in range(epochs):
            process.stdout.readline()
        time.sleep(numbers.uniform(0, 0.1 if epochs else 2.5))  # in an epoch, or while it starts
        number = numbers.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        process.send_signal(number)
        _, complaint = process.communicate()
        how.append((number.name, process.returncode))
        # Before Python and its handlers are there, a signal ends the process as it ends any other.
        assert process.returncode in (-number, 1, 130), complaint
        argv = ["--resume", str(the_folder(tmp_path / "broken"))] if begun(tmp_path / "broken") else argv
        process = start(tmp_path / "broken", *argv)
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint
    assert len(how) == INTERRUPTIONS, how

    (ours, our_states), (theirs, their_states) = (
        outcome(the_folder(tmp_path / name)) for name in ("whole", "broken")
    )
    for what in ours:
        assert ours[what] == theirs[what], (what, how)
    assert list(flatten(our_states)) == list(flatten(their_states)), how
    print(*how)


def test_the_message_is_how_to_go_on(tmp_path):
    process = start(tmp_path, "--epochs", "1000", "--checkpoint-steps", "5")
    while process.poll() is None and not list(tmp_path.glob("mnist/*/checkpoints/best.pt")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, complaint = process.communicate()
    folder = the_folder(tmp_path)
    assert process.returncode == 130
    assert complaint.splitlines() == [
        "",
        "stopping after this step (once more: at once)",
        "mnist: interrupted; to go on from the last checkpoint: "
        f"python experiments/mnist.py --resume {folder}",
    ]
    assert "epoch  1" in out
    assert not list(folder.rglob("*.part"))
    assert os.listdir(folder / "checkpoints")
