"""The page of exclusive or: the plane as the network sees it, and the way of the four points through it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import manualgrad.nn as nn
from manualgrad.data.xor import xor
from manualgrad.training.layers import layer_outputs, split_into_layers
from manualgrad.training.run import Run

ANSWERS = 7  # of different times in one picture, the last of them large
PICTURES = 40  # of the boundary with --log everything; otherwise one, of the end
PATH_POINTS = 50
EXTENT = (-0.5, 1.5)
GRID = 60  # points on each side of the plane


class ExclusiveOrPage:
    """Pictures of a small network that learns exclusive or.

    Parameters
    ----------
    run : Run
        On whose page they go.
    model : Sequential
        Maps (N, 2) to (N, 1); its first layer is the hidden one.
    answer : callable
        From what the model returns to a number between 0 and 1, or about that.
    epochs : int
        How long it will be trained.

    Attributes
    ----------
    epochs_to_see : set of int
        In which ``look`` does something.
    """

    def __init__(
        self, run: Run, model: nn.Sequential, answer: Callable[[Tensor], Tensor], epochs: int
    ) -> None:
        self.page = run.page
        self.layers = split_into_layers(model)
        self.answer = answer
        self.epochs = epochs
        weight = self.layers[0].parameters[0]
        self.inputs, self.targets = xor(weight.dtype, weight.device)
        ticks = torch.linspace(*EXTENT, GRID, dtype=weight.dtype, device=weight.device)
        self.plane = torch.cartesian_prod(ticks, ticks).flip(1)  # (GRID², 2): the first input runs fastest
        self.path: dict[int, Tensor] = {}
        self.answers: dict[int, Tensor] = {}
        self.answer_epochs: set[int] = set()
        self.picture_epochs: set[int] = set()
        self.path_epochs: set[int] = set()
        if self.page.shows("standard"):
            # Closer together at first, where most happens.
            self.answer_epochs = {round((epochs - 1) * (k / (ANSWERS - 1)) ** 3) for k in range(ANSWERS)}
            self.picture_epochs = {epochs - 1}
            self.path_epochs = {round((epochs - 1) * (k / PATH_POINTS) ** 2) for k in range(PATH_POINTS + 1)}
        if self.page.shows("everything"):
            self.picture_epochs = {round((epochs - 1) * (k / (PICTURES - 1)) ** 2) for k in range(PICTURES)}
        self.epochs_to_see = self.path_epochs | self.answer_epochs | self.picture_epochs

    def look(self, epoch: int) -> None:
        """Draw what there is to draw after an epoch's step; mostly nothing.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        """
        if epoch not in self.epochs_to_see:
            return
        if epoch in self.path_epochs:
            self.path[epoch] = layer_outputs(self.layers, self.inputs)[0]
        if epoch in self.answer_epochs or epoch in self.picture_epochs:
            hidden, *_, output = layer_outputs(self.layers, self.plane)
            answer = self.answer(output)
            if epoch in self.picture_epochs:
                self._draw_boundary(epoch, hidden, answer)
            if epoch in self.answer_epochs:
                self.answers[epoch] = answer
        if epoch == self.epochs - 1:
            self.page.picture(
                "hidden space",
                epoch,
                "hidden path",
                title="Where does the hidden layer move the four points, so that a line can part them?",
                path=torch.stack(list(self.path.values())).cpu().numpy(),
                epochs=list(self.path),
                **self._truth_table(),
            )

    def _draw_boundary(self, epoch: int, hidden: Tensor, answer: Tensor) -> None:
        answers = self.answers | {epoch: answer}
        self.page.picture(
            "boundary",
            epoch,
            "boundary",
            title=f"Where does the network draw its line? After epoch {epoch}",
            extent=EXTENT,
            answers=torch.stack(list(answers.values())).view(-1, GRID, GRID).float().cpu().numpy(),
            epochs=list(answers),
            hidden=hidden.t().reshape(-1, GRID, GRID).float().cpu().numpy(),
            **self._truth_table(),
        )

    def _truth_table(self) -> dict[str, np.ndarray]:
        return {"inputs": self.inputs.cpu().numpy(), "targets": self.targets.flatten().cpu().numpy()}
