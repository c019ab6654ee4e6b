"""What only a process of its own can tell: the time to its first step, and the most memory it ever held.

Each contender is a few lines of Python in a fresh interpreter, so that nobody profits from what another has
imported or allocated.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from manualgrad.benchmark.race import Contender, Effort, Table, race, tabulate

XOR = Path(__file__).parents[2] / "experiments" / "xor.py"
# The script itself, with its usual logs. It ends when {look} is called, which is after the first step.
FIRST_STEP = """
import os, runpy, sys
from manualgrad.{module} import {owner}
{owner}.{look} = lambda *ignored: os._exit(0)
sys.argv = [{script!r}, "--runs-dir", {folder!r}, "--engine", {engine!r}]
runpy.run_path({script!r}, run_name="__main__")
"""
FUNCTIONS = {"engine": "functions", "module": "training.watch", "owner": "Watch", "look": "after_step"}
BY_HAND_XOR = {
    "engine": "by-hand",
    "module": "pages.exclusive_or",
    "owner": "ExclusiveOrPage",
    "look": "look",
}
# They end the same way, without the half second in which Python takes PyTorch apart.
TORCH = "import os, torch; os._exit(0)"
OPTIMIZER = "import os, torch; torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1); os._exit(0)"

# {body} defines step(); the first lines are the same for all.
TRAINING = """
import resource, torch
torch.set_flush_denormal(True)
images, labels = torch.rand({images}, 28, 28), torch.randint(10, ({images},))
sizes = (784, 512, 256, 128, 10)
{body}
def train(epochs):
    for _ in range(epochs):
        for rows in torch.randperm({images}).split(128):
            step(images.index_select(0, rows), labels.index_select(0, rows))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(train({first}), train({more}))
"""
MODULES = """
import {nn} as nn
layers = [nn.Flatten()]
for features, units in zip(sizes, sizes[1:]):
    layers += [nn.Linear(features, units), nn.ReLU()]
model, loss_function = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), fused=True)
def step(images, labels):
    optimizer.zero_grad()
    loss_function(model(images), labels).backward()
    optimizer.step()
"""
BY_HAND = """
from manualgrad.by_hand import Classifier
network = Classifier(sizes)
optimizer = torch.optim.Adam([network.parameters], fused=True)
def step(images, labels):
    network.forward(images, labels)
    network.backward()
    optimizer.step()
"""


def measure(effort: Effort) -> Iterator[Table]:
    """Start processes, and let others train.

    Parameters
    ----------
    effort : Effort
        How long to measure.

    Yields
    ------
    Table
        The time to the first step; the most memory that a training run held.
    """
    with tempfile.TemporaryDirectory() as folder:
        first = partial(FIRST_STEP.format, script=str(XOR), folder=folder)
        programs = {
            "import torch": (TORCH, "and nothing else"),
            "xor.py": (first(**FUNCTIONS), "to its first step, with all its logs"),
            "xor.py --engine by-hand": (first(**BY_HAND_XOR), "the same"),
            "torch.optim": (OPTIMIZER, "torch and one optimizer, which imports the compiler"),
        }
        starts = [Contender(name, partial(_run, code), 1, what) for name, (code, what) in programs.items()]
        yield tabulate(
            "process: from the start to the first step", race(starts, min(effort.rounds, 7)), "start"
        )

    images, epochs = (600, (1, 2)) if effort.quick else (6000, (3, 97))
    trainings = {
        "torch.nn": MODULES.format(nn="torch.nn"),
        "functions": MODULES.format(nn="manualgrad.nn"),
        "by hand": BY_HAND,
    }
    rows, ratios, baseline = [], {}, 0.0
    for name, body in trainings.items():
        code = TRAINING.format(body=body, images=images, first=epochs[0], more=epochs[1])
        early, late = map(float, _run(code).split())
        baseline = baseline or late
        rows.append((name, f"{early:.0f} MiB", f"{late:.0f} MiB", f"{late / baseline:.3f}"))
        ratios[f"memory {name}"] = late / baseline
    header = ("", f"most after {epochs[0]} epochs", f"after {sum(epochs)}", "ratio")
    yield Table("process: memory of training 784-512-256-128-10, resident", header, rows, ratios)


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout
