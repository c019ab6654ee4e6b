"""How long does a training step of the convolutional, recurrent and attending networks take, beside torch.nn?

    python -m experiments.benchmarks.layers

times the networks of the scripts, batches of 128, float32, with fused Adam: once with our layers, once with
the one import changed. The images are made up, of MNIST's shape: what is compared is time. Denormals are
flushed.
"""

from collections.abc import Callable
from types import ModuleType
from unittest import mock

import torch

import manualgrad.nn
from experiments import mnist_cnn, mnist_rnn, mnist_transformer
from experiments.benchmarks.interleaved import Candidate, compare, parse_rounds, print_timings

SCRIPTS = (mnist_cnn, mnist_rnn, mnist_transformer)
BATCH = 128
STEPS = 10  # a round


def main() -> None:
    """Print a table for each script's network."""
    torch.set_flush_denormal(True)
    rounds = parse_rounds("Time a training step of the networks with other layers.", 15)
    for script in SCRIPTS:
        name = script.__name__.rpartition(".")[2]
        libraries = {"torch.nn": torch.nn, "our functions": manualgrad.nn}
        candidates = [Candidate(words, _steps(script, nn), STEPS) for words, nn in libraries.items()]
        title = f"one training step of {name}.py, batch {BATCH}, float32, fused Adam"
        print_timings(title, "step", compare(candidates, rounds))


def _steps(script: ModuleType, nn: ModuleType) -> Callable[[], None]:
    """Return a round of steps with one library's layers and loss."""
    torch.manual_seed(0)
    images, labels = torch.rand(BATCH, 28, 28), torch.randint(10, (BATCH,))
    with mock.patch.object(script, "nn", nn):
        model = script.build_model()
    loss_function, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), fused=True)

    def run() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_function(model(images), labels).backward()
            optimizer.step()

    return run


if __name__ == "__main__":
    main()
