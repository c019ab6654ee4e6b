"""The script of small_mnist.py in float64, for comparisons.

In float32 a sum in another order has another last digit, for which some ReLU is soon on the other side of its
kink, and the same training in several processes no longer looks the same.
"""

from experiments import mnist
from experiments.mnist import build_model
from manualgrad.data.mnist import MNIST
from tests.experiments.small_mnist import load_small_set


def load_exact_set(data_dir=None, device="cpu"):
    small = load_small_set()
    return MNIST(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in small))


def main(argv=None):
    mnist.load_mnist = load_exact_set
    mnist.build_model = lambda: build_model().double()
    return mnist.main(argv)


if __name__ == "__main__":
    raise SystemExit(main())
