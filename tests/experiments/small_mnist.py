"""experiments/mnist.py on 500 images of ten noisy patterns, for the tests: as a fixture, and as a script."""

import sys

import torch

from experiments import mnist
from manualgrad.data.mnist import MNIST

COMMAND = [sys.executable, "-W", "ignore", "-m", "tests.experiments.small_mnist", "--device", "cpu"]


def the_folder(runs_dir):
    (folder,) = (runs_dir / "mnist").iterdir()
    return folder


def load_small_set(data_dir=None, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(10, 28, 28, generator=generator)

    def draw(count):
        labels = torch.randint(10, (count,), generator=generator)
        return (patterns[labels] + 0.3 * torch.rand(count, 28, 28, generator=generator)).clamp(0, 1), labels

    return MNIST(*draw(500), *draw(100))


if __name__ == "__main__":
    mnist.load_mnist = load_small_set
    raise SystemExit(mnist.main(sys.argv[1:]))
