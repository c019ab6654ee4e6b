"""A point: yours beside the right gradient, element by element."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.numeric.derivative import Estimate
from manualgrad.gradcheck.running import Run
from manualgrad.gradcheck.tolerance import index_of_largest


@dataclass
class ArgumentGradient:
    """One argument's gradient in one run, beside what is known of the right one.

    All tensors are real float64 on the CPU, in the argument's shape; of a complex one in that of its parts.
    """

    yours: Tensor
    numeric: Estimate
    noise: float  # of the function, relative
    reference: Tensor | None  # where the reference has a gradient
    right: Tensor = field(init=False)  # NaN where it is not known
    wrong: Tensor = field(init=False)  # bool, where yours differs by more than rounding

    def __post_init__(self) -> None:
        self.right = self.numeric.value.clone()
        if self.reference is not None:
            known = self.reference.isfinite()
            self.right[known] = self.reference[known]
        self.wrong = torch.zeros(self.yours.shape, dtype=torch.bool)  # until all arguments are known

    @property
    def is_wrong(self) -> bool:
        """Whether it is wrong somewhere."""
        return bool(self.wrong.any())

    def worst_index(self) -> tuple[int, ...]:
        """Return the element that differs most, among those that are wrong, or else among those known."""
        error = (self.yours - self.right).abs()
        error = torch.where(self.yours.isfinite() | ~self.right.isfinite(), error, math.inf)
        error = error.nan_to_num(-1.0, math.inf)
        if self.is_wrong:  # between the slopes of a kink, a large difference is right
            error = error.where(self.wrong, -2.0)
        return index_of_largest(error)


@dataclass
class Point:
    """One run, and each judged argument's gradient in it, by the argument's position."""

    run: Run
    gradients: dict[int, ArgumentGradient]
    where: str = ""  # how a sentence refers to the point: empty for the inputs as they came

    @property
    def values(self) -> list[Any]:
        """The arguments."""
        return self.run.values
