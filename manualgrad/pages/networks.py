"""The page of many networks: how many learn exclusive or, how well, and where the others get stuck."""

from collections.abc import Sequence

import numpy as np
import torch

from manualgrad.by_hand.survey import Group
from manualgrad.table import print_table
from manualgrad.training.run import Run

ENDS = 3  # of the others' answers, the most frequent ones


def show_groups(run: Run, groups: Sequence[Group]) -> None:
    """Print a table, and draw the share that learns against the learning rate.

    Parameters
    ----------
    run : Run
        On whose page, and in whose folder, the picture goes.
    groups : sequence of Group
        One row each.
    """
    rows = []
    for group in groups:
        ends = "   ".join(f"{answers} ({count})" for answers, count in group.stuck.most_common(ENDS))
        rows.append((group.squash, f"{group.learning_rate:g}", f"{group.learnt:.1%}", ends))
    header = ("", "learning rate", "learn it", "what most others answer to 00 01 10 11 (how many)")
    print_table("Networks that learn exclusive or", header, rows)

    # Imported here, because a network that is trained alone should not wait for it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for squash in dict.fromkeys(group.squash for group in groups):
        ours = [group for group in groups if group.squash == squash]
        rates, shares = [group.learning_rate for group in ours], [group.learnt for group in ours]
        axis.plot(rates, shares, marker="o", label=squash)
    rates = sorted({group.learning_rate for group in groups})
    axis.set(xscale="log", xlabel="learning rate", ylabel="share of networks that learn it")
    axis.set_ylim(-0.03, 1.03)
    axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axis.set_xticks([], minor=True)
    axis.set_title("How many networks learn exclusive or?")
    figure.legend(loc="outside lower center", ncols=2)  # inside it would cover a curve
    figure.savefig(run.folder / "networks.png")
    run.page.figure("networks that learn", figure)


def show_errors(run: Run, errors: Sequence[float]) -> None:
    """Print how the networks' final errors are spread, and draw it on the page.

    Parameters
    ----------
    run : Run
        On whose page.
    errors : sequence of float
        The mean absolute error of each network.
    """
    run.page.histogram("final mean absolute error", torch.tensor(errors), 0)
    counts, edges = np.histogram(errors, bins=10, range=(0, max(0.5, *errors)))
    rows = []
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        rows.append((f"{low:.2f} to {high:.2f}", str(count), "█" * round(30 * count / len(errors))))
    print_table("Final mean absolute errors", ("from ... to", "networks", ""), rows)
