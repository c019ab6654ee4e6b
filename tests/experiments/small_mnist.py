"""experiments/mnist.py on 500 images of ten noisy patterns, for the tests: as functions, and as a script."""

import sys

import torch

from experiments import mnist, mnist_by_hand
from manualgrad.data.mnist import MNIST
from manualgrad.training import launch

COMMAND = [sys.executable, "-W", "ignore", "-m", "tests.experiments.small_mnist"]


def the_folder(runs_dir, experiment="mnist"):
    (folder,) = (runs_dir / experiment).iterdir()
    return folder


def load_small_set(data_dir=None, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(10, 28, 28, generator=generator)

    def draw(count):
        labels = torch.randint(10, (count,), generator=generator)
        return (patterns[labels] + 0.3 * torch.rand(count, 28, 28, generator=generator)).clamp(0, 1), labels

    return MNIST(*draw(500), *draw(100))


def load_exact_set(data_dir=None, device="cpu"):
    """Load them in float64.

    In float32 a sum in another order has another last digit, for which some ReLU is soon on the other side of
    its kink, and the same training in several processes no longer looks the same.
    """
    small = load_small_set()
    return MNIST(
        small.train_images.double(), small.train_labels, small.test_images.double(), small.test_labels
    )


def build_exact_model(build=mnist.build_model):
    return build().double()


def run(argv, exact=False):
    """Run mnist.py, or with "by-hand" first mnist_by_hand.py, and return the exit status."""
    script = mnist_by_hand if argv[:1] == ["by-hand"] else mnist
    script.load_mnist = load_exact_set if exact else load_small_set
    if exact:
        mnist.build_model = build_exact_model
    return launch(script.main, script.Config, [arg for arg in argv if arg not in ("by-hand", "exact")])


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:], "exact" in sys.argv))
