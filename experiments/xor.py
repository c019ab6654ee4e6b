"""Can a hidden layer learn what no straight line can separate?

    python experiments/xor.py
    python experiments/xor.py --preset tanh
    python experiments/xor.py --preset keras --seeds 20
    python experiments/xor.py --with my-backwards/sigmoid.py
    python experiments/xor.py --engine by-hand
    python experiments/xor.py --networks 1000

trains a small network on the four rows of exclusive or, as its document does:

    sigmoid   2-5-1, sigmoid twice, no bias; gradient descent on half the squared error, 20 000 epochs
    tanh      the same with tanh
    keras     2-4-1, tanh, then a sigmoid; Adam on binary cross-entropy, 1000 epochs

Expect every row right, and all the errors and outputs that the documents print. Where the weights start
decides much: see with --seeds how many networks learn. The first two take about ten seconds, the third six.
All four rows are trained on, which leaves none to validate with: every curve is the training's.

--engine by-hand trains without autograd (manualgrad/by_hand/xor.py), in a fraction of a second.
--networks trains that many at once, with sigmoid and tanh at four learning rates each: how many learn, and
where do the others get stuck? A thousand take about a minute.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.by_hand.survey import survey
from manualgrad.by_hand.xor import Squash, train_xor
from manualgrad.data.documents import compare, load
from manualgrad.data.xor import xor
from manualgrad.errors import UserError
from manualgrad.exercises.train_with import train_both
from manualgrad.pages.exclusive_or import ExclusiveOrPage
from manualgrad.pages.networks import show_errors, show_groups
from manualgrad.table import print_table
from manualgrad.training import (
    GradientDescent,
    Metrics,
    Run,
    RunSettings,
    Watch,
    changed_settings,
    launch,
    option,
    prepare,
    track,
)

DOCUMENTS_SEED = 42
POINTS = 100  # on the curve of the error, over the whole training
LOOKS = 32  # of the watch
LEARNING_RATES = (0.1, 0.3, 1.0, 3.0)  # that --networks tries


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """Which document's network, for how long, and how many of it."""

    seed: int = option(
        DOCUMENTS_SEED, "of the initial weights; the documents' is 42", minimum=0, maximum=2**32 - 1
    )
    preset: Literal["sigmoid", "tanh", "keras"] = option("sigmoid", "the network and how it learns")
    epochs: int | None = option(None, "passes over the four rows (default: the document's)", minimum=1)
    seeds: int = option(1, "networks to train one after another, each from the next seed", minimum=1)
    engine: Literal["functions", "by-hand"] = option(
        "functions", "autograd with our functions, or no autograd"
    )
    networks: int | None = option(None, "survey that many networks, all trained at once", minimum=1)
    require_accuracy: float | None = option(
        None,
        "exit with status 1 if a smaller part of the rows is right",
        minimum=0,
        maximum=1,
        role="circumstance",
    )
    with_: Path | None = option(None, "an exercise's file: train again with the function in it, and compare")
    dry_run: bool = option(False, "two epochs only, to see that everything works")


@dataclass(frozen=True)
class Network:
    """A model and how it learns."""

    model: nn.Sequential
    answer: Callable[[Tensor], Tensor]  # from what the model returns to a number that is rounded to 0 or 1
    loss_function: Callable[[Tensor, Tensor], Tensor]
    learning_rate: float
    make_optimizer: Callable[[], Any]  # by hand needs none, and making one of torch.optim's takes a second


@dataclass(frozen=True)
class Outcome:
    """What a network comes to in its last epoch, and the mean absolute errors by epoch on the way there."""

    outputs: list[float]  # one for each row
    accuracy: float
    error: float
    errors: dict[int, float]

    def __str__(self) -> str:
        return f"{self.accuracy * 4:.0f} of 4 rows right, mean absolute error {self.error:.4f}"


def run(settings: Settings) -> Metrics:
    """Train with our functions; if there is a student's, with that, too."""
    by_hand = settings.engine == "by-hand" or settings.networks
    if by_hand and (settings.preset == "keras" or settings.with_):
        raise UserError("--engine by-hand and --networks know the presets sigmoid and tanh, and no --with")
    if settings.networks:
        if settings.seeds > 1:
            raise UserError("--networks trains its own number of networks at once: no --seeds")
        return survey_networks(settings, settings.networks)
    if settings.with_ is None:
        return run_once(settings)
    ours = replace(settings, with_=None)
    runs = settings.runs_dir / "xor"
    return train_both(settings.with_, runs, lambda: run_once(ours), lambda: run_once(settings))


def run_once(settings: Settings) -> Metrics:
    """Train one network or many; compare the first with its document."""
    device = prepare(settings.device, settings.seed, torch.float64)
    system = f"xor_{settings.preset}"
    document = load(system)
    epochs = 2 if settings.dry_run else settings.epochs or document.given["epochs"]

    variant = changed_settings(settings) + (f"-with-{settings.with_.stem}" if settings.with_ else "")
    with Run("xor", variant, settings, device) as record:
        outcomes: list[Outcome] = []
        for number in range(settings.seeds):
            seed = (settings.seed + number) % 2**32  # NumPy's seeds end there
            network = build(settings.preset, document.given, seed, device)
            learn = train_by_hand if settings.engine == "by-hand" else train
            outcomes.append(learn(network, epochs, device, None if outcomes else record))
            if settings.seeds > 1:
                print(f"seed {seed}: {outcomes[-1]}")
        first = outcomes[0]
        accuracy = sum(outcome.accuracy for outcome in outcomes) / len(outcomes)
        show_truth_table(first, settings.seed)
        if settings.seeds > 1:
            show_errors(record, [outcome.error for outcome in outcomes])
            record.log(epochs - 1, {"accuracy/all networks": accuracy})

        ours: dict[str, Sequence[float] | float] = {}
        if settings.seed == document.given["seed"]:
            ours |= {f"error at epoch {epoch}": error for epoch, error in first.errors.items()}
            if epochs == document.given["epochs"]:
                ours |= {"output": first.outputs, "rounded output": [round(y) for y in first.outputs]}
        comparison = compare(system, {name: ours[name] for name in document.printed if name in ours})
        print_table("The document's figures", comparison.header, comparison.rows())
        print(comparison.summary())

        learnt = sum(outcome.accuracy == 1 for outcome in outcomes)
        reached = f"{learnt} of {len(outcomes)} networks learnt it" if settings.seeds > 1 else first
        print(f"exclusive or, {settings.preset}, {epochs} epochs: {reached}")
        metrics = record.finish(
            {
                "accuracy": accuracy,
                "networks": len(outcomes),
                "networks_that_learnt": learnt,
                "mean_absolute_errors": [outcome.error for outcome in outcomes],
                "outputs": [outcome.outputs for outcome in outcomes],
            }
            | comparison.metrics()
        )
    if settings.with_ is None:  # a student's figures may differ
        comparison.raise_if_different()
    if settings.require_accuracy is not None and accuracy < settings.require_accuracy:
        raise UserError(f"accuracy {accuracy} is below the required {settings.require_accuracy}")
    return metrics


def survey_networks(settings: Settings, networks: int) -> Metrics:
    """Train many networks of both kinds at several learning rates, and count those that learn."""
    device = prepare(settings.device, settings.seed, torch.float64)
    with Run("xor", changed_settings(settings), settings, device) as record:
        groups = []
        presets: tuple[Squash, ...] = ("sigmoid", "tanh")
        for preset in track(presets, "training"):
            given = load(f"xor_{preset}").given
            epochs = 2 if settings.dry_run else settings.epochs or given["epochs"]
            groups += survey(networks, epochs, given["hidden"], LEARNING_RATES, preset, settings.seed, device)
        show_groups(record, groups)
        shares = {f"{group.squash} at {group.learning_rate:g}": group.learnt for group in groups}
        return record.finish({"networks": networks, "epochs": epochs} | shares)


def train(network: Network, epochs: int, device: torch.device, record: Run | None) -> Outcome:
    """Train on all four rows at once, epoch after epoch."""
    inputs, targets = xor(torch.float64, device)
    optimizer = network.make_optimizer()
    every = max(1, epochs // POINTS)
    watch = page = None
    if record:
        look_every = max(1, epochs // LOOKS)
        watch = Watch(record, network.model, network.loss_function, optimizer, inputs, look_every)
        page = ExclusiveOrPage(record, network.model, network.answer, epochs)
    errors: dict[int, float] = {}
    for epoch in track(range(epochs), "training"):
        optimizer.zero_grad()
        output = network.model(inputs)
        loss = network.loss_function(output, targets)
        loss.backward()
        if watch:
            watch.after_backward(loss, inputs, targets)
        optimizer.step()
        if watch and page:
            watch.after_step()
            page.look(epoch)

        if epoch % every == 0 or epoch == epochs - 1:
            answers = network.answer(output.detach())
            accuracy = (answers.round() == targets).double().mean().item()
            errors[epoch] = (answers - targets).abs().mean().item()
            if record:
                curves = {"loss/training": loss.item(), "accuracy/training": accuracy}
                record.log(epoch, curves | {"mean absolute error": errors[epoch]})
    return Outcome(answers.flatten().tolist(), accuracy, errors[epochs - 1], errors)


def train_by_hand(network: Network, epochs: int, device: torch.device, record: Run | None) -> Outcome:
    """Do the same without autograd, as one loop from each look at the network to the next."""
    inputs, targets = xor(torch.float64, device)
    parameters = [parameter.detach() for parameter in network.model.parameters()]
    hidden, output = (parameter.t().clone() for parameter in parameters)  # the documents' transpose
    squash: Squash = "sigmoid" if isinstance(network.model[1], nn.Sigmoid) else "tanh"
    page = ExclusiveOrPage(record, network.model, network.answer, epochs) if record else None
    looks = {*range(0, epochs, max(1, epochs // POINTS)), epochs - 1}
    if page:
        looks |= page.epochs_to_see
    done, errors = 0, {}
    for epoch in sorted(looks):
        steps, done = epoch + 1 - done, epoch + 1
        answers = train_xor(hidden, output, inputs, targets, network.learning_rate, steps, squash)
        accuracy = (answers.round() == targets).double().mean().item()
        errors[epoch] = (answers - targets).abs().mean().item()
        if record and page:
            for parameter, weight in zip(parameters, (hidden, output), strict=True):
                parameter.copy_(weight.t())
            page.look(epoch)
            curves = {"loss/training": (answers - targets).square().sum().item() / 2}
            curves |= {"accuracy/training": accuracy, "mean absolute error": errors[epoch]}
            record.log(epoch, curves)
    return Outcome(answers.flatten().tolist(), accuracy, errors[epochs - 1], errors)


def build(preset: str, given: dict[str, Any], seed: int, device: torch.device) -> Network:
    """Return a fresh network of one of the documents."""
    keras = preset == "keras"
    hidden = nn.Linear(2, given["hidden"], bias=keras, dtype=torch.float64)
    output = nn.Linear(given["hidden"], 1, bias=keras, dtype=torch.float64)
    numbers = np.random.RandomState(seed)  # the legacy generator, which the documents use
    for layer in (hidden, output):
        shape = (layer.in_features, layer.out_features)
        limit = math.sqrt(6 / sum(shape)) if keras else 1  # Glorot's, which is Keras' default
        with torch.no_grad():
            # The documents write x @ W with W of shape (inputs, units); PyTorch keeps the transpose.
            layer.weight.copy_(torch.from_numpy(numbers.uniform(-limit, limit, shape).T))
        if keras:
            nn.init.zeros_(layer.bias)

    rate = given["learning_rate"]
    if keras:
        model = nn.Sequential(hidden, nn.Tanh(), output).to(device)
        adam = partial(torch.optim.Adam, model.parameters(), lr=rate, eps=given["epsilon"])
        return Network(model, F.sigmoid, F.binary_cross_entropy_with_logits, rate, adam)
    squash = nn.Sigmoid() if preset == "sigmoid" else nn.Tanh()
    model = nn.Sequential(hidden, squash, output, squash).to(device)
    descent = partial(GradientDescent, model.parameters(), rate)
    return Network(model, nn.Identity(), half_squared_error, rate, descent)


def half_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Return ½ Σ (target - output)², whose slope by the output is the documents' output - target."""
    return F.mse_loss(output, target, reduction="sum") / 2


def show_truth_table(outcome: Outcome, seed: int) -> None:
    """Print what the network makes of each row."""
    inputs, targets = (part.tolist() for part in xor())
    rows = []
    for (a, b), (target,), output in zip(inputs, targets, outcome.outputs, strict=True):
        verdict = "right" if round(output) == target else "wrong"
        rows.append((f"{a:.0f} {b:.0f}", f"{target:.0f}", f"{output:.6f}", str(round(output)), verdict))
    print_table(f"The truth table of seed {seed}", ("input", "target", "output", "rounded", ""), rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
