"""Can a network remember what it read 27 rows ago?

    python experiments/mnist_rnn.py

reads each digit row by row, from top to bottom, with an LSTM of 128 units, and says at the last row what it
was. Trained as mnist.py is, with its options. Expect 98.2 % of the test images, after some two minutes of one
CPU core.

The picture "gradient through time" shows how much of the loss's gradient reaches the rows that were read
first: on its way back it passes 28 steps. Beside it stands a plain cell, h' = tanh(W x + U h + b), as it is
before training: there it vanishes, to less than a millionth. (28 steps are few. A plain cell learns them all
the same, once its weights have grown.)
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.data.mnist import Examples, load_mnist
from manualgrad.plots.evaluation import evaluate_digits
from manualgrad.plots.layers import plot_gradient_through_time
from manualgrad.progress import progress
from manualgrad.training import (
    BatchLoader,
    Checkpointer,
    MetricAccumulator,
    RunDir,
    TrainingMonitor,
    check_finite,
    distribute,
    evaluate,
    is_first,
    launch,
    setup,
)

sys.path.append(str(Path(__file__).parents[1]))  # a script finds only what lies beside it
from experiments import mnist

UNITS = 128
DRAWN = 256  # validation images whose gradients are drawn


@dataclass(frozen=True, kw_only=True)
class Config(mnist.Config):
    """The network's training."""

    epochs: int = 6
    """Passes over the training images."""

    learning_rate: float = 0.002
    """Adam's step size."""


class PlainCell(nn.Module):
    """The recurrent cell without gates: h' = tanh(W x + U h + b)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.input, self.hidden, self.tanh = nn.Linear(inputs, units), nn.Linear(units, units), nn.Tanh()

    def forward(self, input: Tensor, state: tuple[Tensor] | None = None) -> tuple[Tensor]:
        """Return what the cells show, which is all that they remember."""
        seen = self.input(input)
        return (self.tanh(seen if state is None else seen + self.hidden(state[0])),)


class Reader(nn.Module):
    """Read images (N, 28, 28) row by row, and return what the cells show after the last row: (N, units)."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, images: Tensor) -> Tensor:
        """Let the cell read."""
        first, *others = images.unbind(1)
        state = self.cell(first)
        for row in others:
            state = self.cell(row, state)
        return state[0]


def main(config: Config) -> dict[str, float]:
    """Train, validate after every epoch, test at the end."""
    device = setup(config)
    training_set, validation_set, test_set = load_mnist(config.data_dir, device).split(config.trial)
    model = build_model().to(device)
    wrapped = distribute(model)
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), config.learning_rate, fused=True)
    loader = BatchLoader(*training_set, config.batch_size, config.seed)
    steps = config.epochs * len(loader)
    metrics = MetricAccumulator(device)

    with RunDir("mnist_rnn", config, device) as run:
        log_gradients(run, model, validation_set, 0, "before training")
        probe = validation_set[0][: mnist.PROBE]
        monitor = TrainingMonitor(run, model, loss_function, optimizer, probe, mnist.MONITOR_EVERY, steps)
        checkpointer = Checkpointer(run, model, loader, optimizer=optimizer, metrics=metrics, monitor=monitor)
        with checkpointer, progress("training", steps, shown=is_first()) as bar:
            for epoch in range(loader.epoch, config.epochs + 1):  # --resume: from where it stopped
                model.train()
                for x, y in loader:
                    optimizer.zero_grad()
                    logits = wrapped(x)
                    loss = loss_function(logits, y)
                    loss.backward()
                    check_finite(loader.step, loss, model, loss_function, x, y)
                    monitor.after_backward(loader.step, loss, x, y)
                    optimizer.step()
                    monitor.after_step(loader.step)
                    metrics.update(loss, logits, y)
                    bar(loader.step, metrics)
                    checkpointer.after_step()
                model.eval()
                training = metrics.compute()
                validation = evaluate(model, loss_function, *validation_set)
                metrics.reset()
                monitor.after_epoch(loader.step, training, validation)
                print(f"epoch {epoch:2}  train {training}  val {validation}")
                log_gradients(run, model, validation_set, loader.step, f"after epoch {epoch}")
                checkpointer.end_epoch(validation.accuracy)
            checkpointer.load_best_weights()
        return evaluate_digits(run, model, monitor, test_set, loader.step, config.require_accuracy)


def build_model() -> nn.Sequential:
    """Return the network, images (N, 28, 28) to logits (N, 10)."""
    cell = nn.LSTMCell(28, UNITS)
    forget_gates = cell.bias_ih[UNITS : 2 * UNITS]
    nn.init.ones_(forget_gates)  # they begin rather open, and the cells remember
    return nn.Sequential(Reader(cell), nn.Linear(UNITS, 10))


def log_gradients(run: RunDir, model: nn.Sequential, validation_set: Examples, step: int, when: str) -> None:
    """Draw how far back the gradient reaches, in the model and in a plain cell that has learnt nothing."""
    if not run.full:
        return
    with torch.random.fork_rng(devices=[]):  # the training draws as if there were no picture
        plain = nn.Sequential(Reader(PlainCell(28, UNITS)), nn.Linear(UNITS, 10)).to(validation_set[0].device)
    norms = {
        "LSTM": gradient_norms(model, *validation_set),
        "plain cell, untrained": gradient_norms(plain, *validation_set),
    }
    run.log_figure("gradient through time", step, plot_gradient_through_time, norms, when)


def gradient_norms(model: nn.Sequential, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norm of the loss's gradient by what the cells show after each row: (28,)."""
    shown: list[Tensor] = []
    cell = model[0].get_submodule("cell")
    hook = cell.register_forward_hook(lambda cell, inputs, state: shown.append(state[0]))
    loss = nn.CrossEntropyLoss()(model(images[:DRAWN]), labels[:DRAWN])
    hook.remove()
    return torch.stack([gradient.norm() for gradient in torch.autograd.grad(loss, shown)])


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
