"""experiments/mnist.py on 500 images of ten noisy patterns, for the tests: as functions, and as a script."""

import json
import sys

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments import mnist, mnist_by_hand
from manualgrad.data.mnist import MNIST
from manualgrad.training import launch

COMMAND = [sys.executable, "-W", "ignore", "-m", "tests.experiments.small_mnist"]


def outcome(folder):
    """Return all that a run comes to, but for how long things took: figures, what is shown, checkpoints."""
    shown = {}
    for part in sorted({path.parent for path in folder.rglob("events*")}):
        events = EventAccumulator(str(part), size_guidance={"images": 0, "scalars": 0, "histograms": 0})
        events.Reload()
        tags, name = events.Tags(), str(part.relative_to(folder))
        for tag in tags["scalars"]:
            shown[name, tag] = [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in tags["images"]:
            shown[name, tag] = [(image.step, image.encoded_image_string) for image in events.Images(tag)]
        for tag in tags["histograms"]:
            shown[name, tag] = [(item.step, item.histogram_value) for item in events.Histograms(tag)]
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    states = [torch.load(folder / "checkpoints" / name) for name in ("last.pt", "best.pt")]
    parts = ("model", "optimizer", "loader", "generators")
    return metrics, shown, [list(flatten(state.get(part, {}))) for state in states for part in parts]


def flatten(state):
    """Yield every value of nested dicts, lists and tuples, tensors as their bytes."""
    if isinstance(state, dict):
        for name, part in state.items():
            yield name
            yield from flatten(part)
    elif isinstance(state, list | tuple):
        for part in state:
            yield from flatten(part)
    else:
        yield state.numpy().tobytes() if isinstance(state, torch.Tensor) else state


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
