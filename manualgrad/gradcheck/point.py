"""A point: yours beside the right gradient, element by element."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.numeric.derivative import Estimate
from manualgrad.gradcheck.running import Run


@dataclass
class Point:
    """One run, and each judged argument's gradients in it, by the argument's position.

    All tensors are real float64 on the CPU, in the argument's shape; of a complex one in that of its parts.
    """

    run: Run
    where: str = ""  # how a sentence refers to the point: empty for the inputs as they came
    yours: dict[int, Tensor] = field(default_factory=dict)
    right: dict[int, Tensor] = field(default_factory=dict)  # NaN where it is not known
    numeric: dict[int, Estimate] = field(default_factory=dict)
    reference: dict[int, Tensor] = field(default_factory=dict)  # where the reference has a gradient
    wrong: dict[int, Tensor] = field(default_factory=dict)  # where yours differs by more than rounding, bool
    noise: dict[int, float] = field(default_factory=dict)  # of the function, relative

    @property
    def values(self) -> list[Any]:
        """The arguments."""
        return self.run.values

    def is_wrong(self, position: int) -> bool:
        """Return whether an argument's gradient is wrong somewhere."""
        return bool(self.wrong[position].any())

    def worst_index(self, position: int) -> tuple[int, ...]:
        """Return the element that differs most, among those that are wrong, or else among those known."""
        yours, right = self.yours[position], self.right[position]
        error = (yours - right).abs()
        error = torch.where(yours.isfinite() | ~right.isfinite(), error, math.inf).nan_to_num(-1.0, math.inf)
        if self.is_wrong(position):  # between the slopes of a kink, a large difference is right
            error = error.where(self.wrong[position], -2.0)
        return tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
