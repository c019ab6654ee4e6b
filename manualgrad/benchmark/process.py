"""What only a process of its own can tell: the time to its first step, and the most memory it ever held.

Each contender is a few lines of Python in a fresh interpreter, so that nobody profits from what another has
imported or allocated.
"""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from manualgrad.benchmark.race import Contender, Effort, Table, race, tabulate

XOR = """
from manualgrad.by_hand.xor import train_xor
from manualgrad.data.xor import xor
import torch
hidden, output = torch.rand(2, 5, dtype=torch.float64), torch.rand(5, 1, dtype=torch.float64)
train_xor(hidden, output, *xor(), 0.3, 1)
"""
FUNCTIONS = """
from manualgrad.data.xor import xor
import manualgrad.nn as nn, torch
model = nn.Sequential(nn.Linear(2, 5), nn.Sigmoid(), nn.Linear(5, 1), nn.Sigmoid()).double()
inputs, targets = xor()
nn.MSELoss()(model(inputs), targets).backward()
"""
SGD = FUNCTIONS + "torch.optim.SGD(model.parameters(), lr=0.3).step()\n"

# {body} defines step(); the first lines are the same for all.
TRAINING = """
import resource, torch
torch.set_flush_denormal(True)
images, labels = torch.rand(6000, 28, 28), torch.randint(10, (6000,))
sizes = (784, 512, 256, 128, 10)
{body}
def train(epochs):
    for _ in range(epochs):
        for rows in torch.randperm(6000).split(128):
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
    programs = {
        "import torch": ("import torch", "and nothing else"),
        "by hand": (XOR, "the first step of exclusive or"),
        "functions": (FUNCTIONS, "its first gradients"),
        "functions with SGD": (SGD, "building an optimizer imports the compiler"),
    }
    starts = [Contender(name, partial(_run, code), 1, what) for name, (code, what) in programs.items()]
    yield tabulate("process: from the start to the first step", race(starts, min(effort.rounds, 7)), "start")

    epochs = (1, 2) if effort.quick else (3, 97)
    trainings = {
        "torch.nn": MODULES.format(nn="torch.nn"),
        "functions": MODULES.format(nn="manualgrad.nn"),
        "by hand": BY_HAND,
    }
    rows, ratios, baseline = [], {}, 0.0
    for name, body in trainings.items():
        code = TRAINING.format(body=body, first=epochs[0], more=epochs[1])
        early, late = map(float, _run(code).split())
        baseline = baseline or late
        rows.append((name, f"{early:.0f} MiB", f"{late:.0f} MiB", f"{late / baseline:.3f}"))
        ratios[f"memory {name}"] = late / baseline
    header = ("", f"most after {epochs[0]} epochs", f"after {sum(epochs)}", "ratio")
    yield Table("process: memory of training 784-512-256-128-10, resident", header, rows, ratios)


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout
