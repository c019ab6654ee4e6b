"""How many networks learn XOR, and where do the others get stuck?

    python experiments/xor_survey.py

trains a thousand networks at once (manualgrad/by_hand/many.py), with sigmoid and with tanh, at four learning
rates each, because one network that learns proves little: with other initial weights it may not. Expect a
table of the share that learns, and of what the others answer, in about a minute.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from manualgrad.by_hand.many import train_many
from manualgrad.by_hand.xor import Activation
from manualgrad.data.xor import xor
from manualgrad.plots.xor import plot_survey
from manualgrad.progress import track
from manualgrad.table import print_table
from manualgrad.training import Config as BaseConfig
from manualgrad.training import RunDir, check_range, launch, setup

ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "tanh")


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """How many networks to train, and how."""

    networks: int = 1000
    """Networks for each activation and learning rate."""
    learning_rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0)
    """Step sizes to try."""
    hidden: int = 5
    """Hidden units of each network."""
    epochs: int = 20_000
    """Passes over the four rows."""

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        for name in ("networks", "hidden", "epochs"):
            check_range(name, getattr(self, name), minimum=1)
        for rate in self.learning_rates:
            check_range("learning-rates", rate, minimum=0)


def main(config: Config) -> dict[str, Any]:
    """Train every group of networks, all from the same initial weights, and count those that learn."""
    device = setup(config, torch.float64)
    inputs, targets = xor(torch.float64, device)
    generator = torch.Generator().manual_seed(config.seed)
    drawn = torch.rand(3 * config.hidden, config.networks, dtype=torch.float64, generator=generator) * 2 - 1
    shares: dict[str, dict[float, float]] = {activation: {} for activation in ACTIVATIONS}
    rows = []
    with RunDir("xor_survey", config, device) as run:
        groups = [(activation, rate) for activation in ACTIVATIONS for rate in config.learning_rates]
        for activation, rate in track(groups, "training"):
            # One group after the other: a thousand networks fit into a processor's cache.
            weights = drawn.clone().to(device)
            hidden, output = weights.split([2 * config.hidden, config.hidden])
            hidden = hidden.view(2, config.hidden, -1)
            rates = torch.full((config.networks,), rate, dtype=torch.float64, device=device)
            answers = train_many(hidden, output, inputs, targets, rates, config.epochs, activation)
            learnt = ((answers - targets).abs() < 0.5).all(0)  # (K,)
            shares[activation][rate] = learnt.double().mean().item()
            print(f"{activation}, learning rate {rate:g}: {shares[activation][rate]:.1%} learn it")
            stuck = Counter(describe(answer) for answer in answers[:, ~learnt].t().cpu())
            ends = "   ".join(f"{answer} ({count})" for answer, count in stuck.most_common(3))
            rows.append((activation, f"{rate:g}", f"{shares[activation][rate]:.1%}", ends))
        header = ("", "learning rate", "learn it", "what most others answer to 00 01 10 11 (how many)")
        print_table(f"Of {config.networks} networks each", header, rows)
        run.log_figure("networks that learn", 0, plot_survey, shares, config.networks)
        return run.finish({"share_that_learns": shares})


def describe(answers: Tensor) -> str:
    """Name each answer by what it is nearest to: -1, 0, ½ or 1."""
    names = {-1: "-1", 0: "0", 0.5: "½", 1: "1"}
    return " ".join(names[min(names, key=lambda name: abs(name - answer))] for answer in answers.tolist())


if __name__ == "__main__":
    raise SystemExit(launch(main, Config))
