"""How many networks learn exclusive or, and where the others get stuck.

One network that learns proves little: with other initial weights it may not. A thousand of them, trained at
once, show what an activation and a learning rate are worth.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from manualgrad.by_hand.many import train_many
from manualgrad.by_hand.xor import Squash
from manualgrad.data.xor import xor


@dataclass(frozen=True)
class Group:
    """Networks that differ in nothing but their initial weights.

    Attributes
    ----------
    squash : {"sigmoid", "tanh"}
        After both layers.
    learning_rate : float
        Of all of them.
    learnt : float
        The share that gets all four rows right.
    stuck : Counter
        What the others answer to the four rows, as ``"0 ½ ½ 1"``, and how many of them do.
    """

    squash: Squash
    learning_rate: float
    learnt: float
    stuck: Counter[str]


def survey(
    networks: int,
    epochs: int,
    hidden: int,
    learning_rates: Sequence[float],
    squash: Squash,
    seed: int,
    device: torch.device | str = "cpu",
) -> list[Group]:
    """Train one group of networks for each learning rate, all from the same weights.

    Parameters
    ----------
    networks : int
        In a group.
    epochs : int
        Passes over the four rows.
    hidden : int
        Hidden units of each.
    learning_rates : sequence of float
        One a group.
    squash : {"sigmoid", "tanh"}
        After both layers.
    seed : int
        Of the initial weights, uniform from -1 to 1 as in the source document.
    device : torch.device or str
        Where to compute.

    Returns
    -------
    list of Group
        In the order of the learning rates.
    """
    inputs, targets = xor(torch.float64, device)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(3 * hidden, networks, dtype=torch.float64, generator=generator) * 2 - 1
    groups = []
    for learning_rate in learning_rates:
        # One group after the other: a thousand networks fit into a processor's cache, four thousand do not.
        weights = drawn.clone().to(device)
        rates = torch.full((networks,), learning_rate, dtype=torch.float64, device=device)
        hidden_weights, output_weights = weights[: 2 * hidden].view(2, hidden, -1), weights[2 * hidden :]
        answers = train_many(hidden_weights, output_weights, inputs, targets, rates, epochs, squash)
        right = ((answers - targets).abs() < 0.5).all(0)  # (K,)
        stuck = Counter(_describe(answer) for answer in answers[:, ~right].t().cpu())
        groups.append(Group(squash, learning_rate, right.double().mean().item(), stuck))
    return groups


def _describe(answers: Tensor) -> str:
    """Name four answers by what they are nearest to: 0, ½ or 1."""
    names = {-1: "-1", 0: "0", 0.5: "½", 1: "1"}
    return " ".join(
        min(names.items(), key=lambda name: abs(name[0] - answer))[1] for answer in answers.tolist()
    )
