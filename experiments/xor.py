"""Can a hidden layer learn what no straight line can separate?

    python experiments/xor.py
    python experiments/xor.py --preset tanh --learning-rate 1 --hidden 3
    python experiments/xor.py --preset keras --seeds 20

trains a small network on the four rows of XOR, as a source document does:

    sigmoid, tanh   2-5-1, it twice, no bias; gradient descent on half the squared error, 20 000 epochs
    keras           2-4-1, tanh, then a sigmoid; Adam on binary cross-entropy, 1000 epochs

Expect every row correct, and all the errors and outputs that the document prints. Where the weights start
decides much: --seeds trains many networks, and shows which of them learn. One takes about ten seconds.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.data.documents import compare, load
from manualgrad.data.xor import draw_xor_weights, xor
from manualgrad.plots import xor as plots
from manualgrad.progress import track
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, TrainingMonitor, check_range, launch, log_times, setup
from manualgrad.training.descent import GradientDescent


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """Which network to train, and how."""

    seed: int = 42
    """Of the initial weights; the document's is 42."""
    preset: Literal["sigmoid", "tanh", "keras"] = "sigmoid"
    """Network and how it learns."""
    learning_rate: float | None = None
    """Size of the steps (default: the document's 0.3; keras 0.001)."""
    hidden: int | None = None
    """Hidden units (default: the document's 5; keras 4)."""
    epochs: int | None = None
    """Passes over the four rows (default: the document's 20 000; keras 1000)."""
    seeds: int = 1
    """Networks to train, each from the next seed."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("learning-rate", self.learning_rate, minimum=0)
        for name in ("hidden", "epochs", "seeds"):
            check_range(name, getattr(self, name), minimum=1)


class Network(NamedTuple):
    """A model and how it learns."""

    model: nn.Sequential  # hidden layer, activation, output unit
    predict: nn.Module  # from inputs (N, 2) to answers (N, 1): numbers near 0 or 1
    loss_function: Any
    optimizer: Any


def main(config: Config) -> dict[str, Any]:
    """Train one network or many, and compare the first with its document."""
    device = setup(config, torch.float64)
    document = load(f"xor_{config.preset}")
    settings = document.given | {name: value for name, value in vars(config).items() if value is not None}
    inputs, targets = xor(torch.float64, device)
    seeds = range(config.seed, config.seed + config.seeds)
    with RunDir("xor", config, device) as run:
        networks = {seed: build(settings, seed, device) for seed in seeds}
        answers, errors, correct = {}, {}, {}
        for seed, network in networks.items():
            found = train(network, inputs, targets, settings["epochs"], run if seed == config.seed else None)
            answers[seed], errors[seed], correct[seed] = found
            print(f"seed {seed}: answers to 00 01 10 11:", *(f"{y:.6f}" for y in answers[seed].flatten()))
        learnt = [seed for seed in seeds if correct[seed] == 1]
        print(f"{len(learnt)} of {len(seeds)} networks learnt XOR")
        if len(seeds) > 1:
            all_ = {seed: network.predict for seed, network in networks.items()}
            run.log_figure("all networks/boundaries", 0, plots.plot_many_boundaries, all_, inputs, targets)
            run.log_figure("all networks/errors", 0, plots.plot_many_errors, errors, learnt)
        ours: dict[str, Any] = {f"error at epoch {epoch}": e for epoch, e in errors[config.seed].items()}
        if settings["epochs"] == document.given["epochs"]:
            ours |= {"output": (y := answers[config.seed].flatten()), "rounded output": y.round()}
        as_given = all(settings[name] == value for name, value in document.given.items() if name != "epochs")
        comparison = compare(f"xor_{config.preset}", ours if as_given else {})
        metrics = {"accuracy": sum(correct.values()) / len(seeds), "networks_that_learnt": len(learnt)}
        metrics |= {"mean_absolute_error": list(errors[config.seed].values())[-1]}
        outputs = {"answers": [y.flatten().tolist() for y in answers.values()]}
        metrics = run.finish(metrics | outputs | comparison.metrics)
    comparison.raise_if_different()
    return metrics


def train(
    network: Network, inputs: Tensor, targets: Tensor, epochs: int, run: RunDir | None
) -> tuple[Tensor, dict[int, float], float]:
    """Train on all four rows at once; return answers, mean absolute errors by epoch, and accuracy."""
    model, predict, loss_function, optimizer = network
    every, looks, errors = max(1, epochs // 100), log_times(epochs, 6), {}
    monitor = run and TrainingMonitor(run, model, loss_function, optimizer, inputs, 3 * every, epochs)
    path = [model[:2](inputs)]  # where the hidden layer puts the four rows
    for epoch in track(range(epochs), "training"):
        optimizer.zero_grad()
        loss = loss_function(model(inputs), targets)
        loss.backward()
        if epoch % every == 0 or epoch == epochs - 1:
            answers = predict(inputs).detach()
            errors[epoch] = (answers - targets).abs().mean().item()
            accuracy = (answers.round() == targets).double().mean().item()
            if run:
                figures = {"loss": loss.item(), "accuracy": accuracy, "mean absolute error": errors[epoch]}
                run.log_scalars(epoch + 1, figures, part="training")
        if monitor:
            monitor.after_backward(epoch + 1, loss, inputs, targets)
        optimizer.step()
        if monitor:
            monitor.after_step(epoch + 1)
        if run and (step := epoch + 1) in looks:
            path.append(model[:2](inputs))
            half = math.atanh(0.5) if isinstance(model[-1], nn.Tanh) else 0.0
            data, when = (inputs, targets), f"after epoch {step}"
            run.log_figure("boundary", step, plots.plot_decision_boundary, predict, *data, when)
    if run and monitor:
        run.log_figure("hidden layer/space", step, plots.plot_hidden_space, path, *data, model[2], half, when)
        run.log_figure("hidden layer/units", step, plots.plot_hidden_units, model[:2], *data, when)
        monitor.report(accuracy, guessing=0.5)
    return answers, errors, accuracy


@torch.no_grad()
def build(settings: dict[str, Any], seed: int, device: torch.device) -> Network:
    """Return a fresh network of one of the documents."""
    keras, rate = settings["preset"] == "keras", settings["learning_rate"]
    hidden = nn.Linear(2, settings["hidden"], bias=keras, dtype=torch.float64, device=device)
    output = nn.Linear(settings["hidden"], 1, bias=keras, dtype=torch.float64, device=device)
    weights = draw_xor_weights(seed, settings["hidden"], glorot=keras)
    for layer, weight in zip((hidden, output), weights, strict=True):
        layer.weight.copy_(weight.t())  # the documents write x @ W; PyTorch keeps the transpose
        if keras:
            layer.bias.zero_()
    if keras:
        model = nn.Sequential(hidden, nn.Tanh(), output)
        adam = torch.optim.Adam(model.parameters(), lr=rate, eps=settings["epsilon"])
        return Network(model, nn.Sequential(model, nn.Sigmoid()), F.binary_cross_entropy_with_logits, adam)
    activation = nn.Sigmoid() if settings["preset"] == "sigmoid" else nn.Tanh()
    model = nn.Sequential(hidden, activation, output, activation)
    descent = GradientDescent(model.parameters(), rate)
    return Network(model, model, lambda y, t: F.mse_loss(y, t, reduction="sum") / 2, descent)


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
