"""How much of a training step is autograd, and how much is arithmetic?

    python experiments/mnist_by_hand.py

trains the network of mnist.py from the same weights on the same batches, and nobody records anything:
forward and backward are the matrix products that manualgrad/by_hand/classifier.py writes one below the other,
into tensors that are made once. Expect the same accuracy, sooner. All of mnist.py's options apply; it trains
in one process.
"""

import sys
from pathlib import Path

import torch

import manualgrad.nn as nn
from manualgrad.by_hand import Classifier
from manualgrad.data.mnist import load_mnist
from manualgrad.errors import UserError
from manualgrad.plots.digits import plot_weights
from manualgrad.plots.evaluation import evaluate_digits
from manualgrad.progress import progress
from manualgrad.training import (
    BatchLoader,
    Checkpointer,
    MetricAccumulator,
    RunDir,
    TrainingMonitor,
    check_finite,
    evaluate,
    launch,
    setup,
    world_size,
)

sys.path.append(str(Path(__file__).parents[1]))  # a script finds only what lies beside it
from experiments import mnist
from experiments.mnist import Config


def main(config: Config) -> dict[str, float]:
    """Train, validate after every epoch, test at the end."""
    if world_size() > 1:
        raise UserError("mnist_by_hand trains in one process: start it with python, not with torchrun")
    device = setup(config)
    training_set, validation_set, test_set = load_mnist(config.data_dir, device).split(config.trial)
    model = mnist.build_model().to(device)
    network = Classifier(model)  # the same numbers: what the one learns, the other knows
    loss_function = nn.CrossEntropyLoss()  # to measure with
    optimizer = torch.optim.Adam(
        [network.parameters], config.learning_rate, eps=mnist.KERAS_EPSILON, fused=True
    )
    loader = BatchLoader(*training_set, config.batch_size, config.seed)
    steps = config.epochs * len(loader)
    metrics = MetricAccumulator(device)

    with RunDir("mnist_by_hand", config, device) as run:
        probe = validation_set[0][: mnist.PROBE]
        monitor = TrainingMonitor(run, model, loss_function, optimizer, probe, mnist.MONITOR_EVERY, steps)
        checkpointer = Checkpointer(run, model, loader, optimizer=optimizer, metrics=metrics, monitor=monitor)
        with checkpointer, progress("training", steps) as bar:
            for epoch in range(loader.epoch, config.epochs + 1):  # --resume: from where it stopped
                for x, y in loader:
                    loss = network.forward(x, y)
                    network.backward()
                    check_finite(loader.step, loss, model, loss_function, x, y)
                    monitor.after_backward(loader.step, loss, x, y)
                    optimizer.step()
                    monitor.after_step(loader.step)
                    metrics.update(loss, network.logits, y)
                    bar(loader.step, metrics)
                    checkpointer.after_step()
                training = metrics.compute()
                validation = evaluate(model, loss_function, *validation_set)
                metrics.reset()
                monitor.after_epoch(loader.step, training, validation)
                print(f"epoch {epoch:2}  train {training}  val {validation}")
                if epoch == config.epochs:
                    when = f"after epoch {epoch}"
                    run.log_figure("first layer", loader.step, plot_weights, model[1].weight, when)
                checkpointer.end_epoch(validation.accuracy)
            checkpointer.load_best_weights()
        return evaluate_digits(run, model, monitor, test_set, loader.step, config.require_accuracy)


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
