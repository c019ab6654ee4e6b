"""How is XOR learnt without autograd?

    python experiments/xor_by_hand.py
    python experiments/xor_by_hand.py --preset tanh

trains the network of xor.py, 2-5-1 without biases, by the loop of manualgrad/by_hand/xor.py: forward,
backward and update are matrix products, one below the other. Expect the figures of the NumPy notebook. The
gradient is the one that the hand-written Functions give; only the bookkeeping is gone, and most of the time.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from manualgrad.by_hand.xor import train_xor
from manualgrad.data.documents import compare, load
from manualgrad.data.xor import draw_xor_weights, xor
from manualgrad.plots.xor import plot_decision_boundary
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, check_range, launch, log_times, setup


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """Which network to train, and how."""

    seed: int = 42
    """Of the initial weights; the notebook's is 42."""
    preset: Literal["sigmoid", "tanh"] = "sigmoid"
    """Activation of both layers."""
    learning_rate: float = 0.3
    """Size of the steps."""
    hidden: int = 5
    """Hidden units."""
    epochs: int = 20_000
    """Passes over the four rows."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        check_range("learning-rate", self.learning_rate, minimum=0)
        check_range("hidden", self.hidden, minimum=1)
        check_range("epochs", self.epochs, minimum=1)


def main(config: Config) -> dict[str, Any]:
    """Train from each look at the network to the next, and compare with the notebook."""
    device = setup(config, torch.float64)
    inputs, targets = xor(torch.float64, device)
    hidden, output = (weight.to(device) for weight in draw_xor_weights(config.seed, config.hidden))
    activate = torch.sigmoid if config.preset == "sigmoid" else torch.tanh
    pictures = log_times(config.epochs, 6)
    curve = range(1, config.epochs + 1, max(1, config.epochs // 100))
    done, errors = 0, {}
    with RunDir("xor_by_hand", config, device) as run:
        for epoch in sorted({*curve, *pictures}):
            rate, steps = config.learning_rate, epoch - done
            answers = train_xor(hidden, output, inputs, targets, rate, steps, config.preset)
            done = epoch
            errors[f"error at epoch {epoch - 1}"] = error = (answers - targets).abs().mean().item()
            loss = (answers - targets).square().sum().item() / 2
            accuracy = (answers.round() == targets).double().mean().item()
            run.log_scalars(epoch, {"loss": loss, "accuracy": accuracy, "mean absolute error": error})
            if epoch in pictures:
                run.log_figure(
                    "boundary",
                    epoch,
                    plot_decision_boundary,
                    lambda x: activate(activate(x @ hidden) @ output),
                    inputs,
                    targets,
                    f"after epoch {epoch}",
                )

        print("answers to 00 01 10 11:", *(f"{answer:.6f}" for answer in answers.flatten()))
        given = load(f"xor_{config.preset}").given
        ours: dict[str, Any] = dict(errors)
        if config.epochs == given["epochs"]:
            ours["output"] = answers.flatten()
        as_given = all(getattr(config, name) == given[name] for name in ("seed", "learning_rate", "hidden"))
        comparison = compare(f"xor_{config.preset}", ours if as_given else {})
        metrics = run.finish(
            {"accuracy": accuracy, "answers": answers.flatten().tolist()} | comparison.metrics
        )
    comparison.raise_if_different()
    return metrics


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
