"""The gradient by finite differences, each derivative repeated with smaller steps until it is certain.

Few elements are moved one at a time. Of many, a pass moves whole groups, every element with its own random
weight, and compares the derivative along the group with what the claimed gradient predicts: a wrong element
moves its group's derivative. The elements of a group that disagrees form smaller groups, and are at last
taken one at a time.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from manualgrad.gradcheck.numeric.evaluator import Direction, Evaluator, Slope
from manualgrad.gradcheck.tolerance import Tolerance, largest

GROUPS = 4  # more elements than twice this are first moved in so many groups
MOST_ELEMENTS, FEWEST = 1024, 16  # that are moved one at a time
MOST_WORK = 2**20  # elements computed for that: of a big tensor, whose every call takes long, fewer are moved
SAMPLE = 64  # elements that are moved where nothing is claimed


@dataclass
class Estimate:
    """The derivatives of ``<u, f(x)>`` by each element of x, in its shape; NaN where unknown."""

    value: Tensor
    error: Tensor  # how far off the value may be
    left: Tensor
    right: Tensor  # the one-sided derivatives
    kink: Tensor  # where the two stay apart however small the step, bool

    @classmethod
    def unknown(cls, shape: torch.Size) -> "Estimate":
        """Return an estimate of which nothing is known."""
        nothing = torch.full(shape, math.nan, dtype=torch.float64)
        return cls(nothing, nothing, nothing, nothing, torch.zeros(shape, dtype=torch.bool))

    def between_slopes(self, yours: Tensor) -> Tensor:
        """Return where a gradient lies between the slopes on the left and the right of a kink."""
        low, high = torch.minimum(self.left, self.right), torch.maximum(self.left, self.right)
        slack = 1e-3 * (high - low)
        return self.kink & (yours >= low - slack) & (yours <= high + slack)


def derivative(
    evaluator: Evaluator,
    claimed: Tensor,
    tolerance: Tolerance,
    generator: torch.Generator,
    groups: int = GROUPS,
) -> Estimate:
    """Estimate the derivative by every element of x, spending least where the claimed gradient holds.

    What is claimed is NaN where nothing is. An element whose group agrees is not measured by itself: its
    derivative is returned as claimed.
    """
    x = evaluator.at
    n = x.numel()
    if not n or not any(len(u) for u in evaluator.upstream):
        zero = torch.zeros(x.shape, dtype=torch.float64)
        return Estimate(zero, zero, zero, zero, zero.bool())
    search = _Search(evaluator, claimed, tolerance, generator)
    most = min(max(MOST_WORK // n, FEWEST), MOST_ELEMENTS)
    if not bool(search.expected.isfinite().any()):
        # Nothing is claimed that a group could agree with: a sample tells.
        unknown, most = torch.arange(n), min(most, SAMPLE)
    else:
        unknown = search.suspects(groups) if n > 2 * groups else torch.arange(n)
    elements = unknown if unknown.numel() <= most else _sample(unknown, x.shape, most)
    columns = [search.expected.clone(), search.error, search.expected, search.expected]
    kink = torch.zeros(n, dtype=torch.bool)
    if elements.numel():
        columns = [column.index_fill(0, unknown, math.nan) for column in columns]
    for i in elements.tolist():
        found, kink[i], _ = search.along((torch.tensor([i]), search.scales[i : i + 1]))
        for column, number in zip(columns, found, strict=True):
            column[i] = number / search.scales[i]
    value, error, left, right, kink = (column.reshape(x.shape) for column in (*columns, kink))
    return Estimate(value, error, left, right, kink)


class _Search:
    """Measures derivatives along elements and groups of them."""

    def __init__(
        self, evaluator: Evaluator, claimed: Tensor, tolerance: Tolerance, generator: torch.Generator
    ) -> None:
        self.evaluator, self.tolerance, self.generator = evaluator, tolerance, generator
        self.expected = claimed.reshape(-1).cpu().double()
        self.scales = evaluator.at.abs().clamp(min=1).reshape(-1).cpu().double()
        self.size = largest(self.expected)
        self.error = torch.zeros_like(self.scales)  # of each element, as its group had it
        self.steps = _step_sizes(evaluator.noise)

    def suspects(self, count: int) -> Tensor:
        """Return the elements whose groups contradict the claimed gradient.

        If all agree, the report shows the largest, which has to be measured by itself.
        """
        elements = torch.arange(self.expected.numel())
        while elements.numel() > count:
            doubtful = self._in_disagreement(elements, count)
            is_narrower = doubtful.numel() <= elements.numel() // 4
            elements = doubtful
            if not is_narrower:
                break
        if not elements.numel() and count > 1:
            elements = (self.expected.abs() / self.scales).argmax()[None]
        return elements

    def _in_disagreement(self, elements: Tensor, count: int) -> Tensor:
        """Return the elements of the groups, ``count`` of them, that contradict the claimed gradient."""
        if count > 1:  # groups of like size: a small gradient is not drowned by a large neighbour
            sizes = (self.expected[elements].abs() / self.scales[elements]).nan_to_num(math.inf)
            elements = elements[sizes.argsort()]
        n = elements.numel()
        weights = torch.rand(n, generator=self.generator, dtype=torch.float64) + 0.5  # each element counts
        weights *= torch.randint(0, 2, (n,), generator=self.generator) * 2 - 1
        moves = weights * self.scales[elements]
        doubtful = []
        for group, move in zip(elements.tensor_split(count), moves.tensor_split(count), strict=True):
            found, is_kink, agrees = self.along((group, move))
            self.error[group] = found.error / self.scales[group]
            if is_kink or not agrees:
                doubtful.append(group)
        return torch.cat(doubtful) if doubtful else elements[:0]

    def along(self, direction: Direction) -> tuple[Slope, bool, bool]:
        """Return the derivative along a direction; tell whether it is at a kink, and as expected.

        One that agrees with the expected one is believed once it is precise enough. Else smaller and smaller
        steps are taken: one that is too large for a fast oscillation, or that reaches over a kink nearby, is
        contradicted by the next. What never settles is not known: NaN.
        """
        elements, moves = direction
        expected = float(self.expected[elements] @ moves)
        bound = self.tolerance.bound(expected, 0.0, self.size)
        found = self.evaluator.quick_slope(direction)
        is_smooth = abs(found.right - found.left) <= 1e-3 * (abs(found.left) + abs(found.right)) + bound
        if is_smooth and abs(found.value - expected) <= bound:
            return found, False, True
        atol = self.tolerance.scaled * self.size + self.tolerance.absolute
        best = Slope(math.nan, math.inf, math.nan, math.nan)
        last_jump = last_value = math.inf
        for step in self.steps:
            found, jump, noise = self.evaluator.slope(direction, step)
            value, error, left, right = found
            # Where nothing is expected (NaN), a derivative is confirmed if it is known to a percent.
            difference = abs(value - expected) if math.isfinite(expected) else 0.01 * abs(value) + 100 * noise
            agrees = error <= max(0.2 * bound, 8 * noise) and difference <= bound + 5 * error
            steady = abs(value - last_value) <= 0.02 * abs(value) + 1e-6 * difference + 2 * noise
            confirmed = (
                steady
                and error <= 1e-3 * abs(value) + 1e-6 * difference + 4 * noise
                and error <= 0.1 * difference
            )
            kink = abs(jump - last_jump) <= 0.01 * jump
            kink = kink and jump > 1e-4 * (abs(left) + abs(right)) + 10 * noise + atol
            # The most precise step so far, unless what has now been settled contradicts it.
            done = agrees or confirmed or kink
            contradicted = abs(value - best.value) > 0.02 * abs(value) + 2 * noise
            if error < best.error or (done and contradicted) or kink:
                best = found
            if done:
                break
            last_jump, last_value = jump, value
        is_as_expected = abs(best.value - expected) <= self.tolerance.bound(expected, best.error, self.size)
        if not done:
            return (best if is_as_expected else best._replace(value=math.nan)), False, False
        return best, kink, is_as_expected


def _sample(elements: Tensor, shape: torch.Size, most: int) -> Tensor:
    """Return some of the elements, from few rows and columns, so that what a row shares can be seen."""
    generator = torch.Generator().manual_seed(0)  # the same ones for every upstream gradient
    coordinates = zip(shape, torch.unravel_index(elements, shape), strict=True)
    ranks = [torch.randperm(size, generator=generator)[along] for size, along in coordinates]
    return elements[torch.stack(ranks).amax(0).argsort(stable=True)[:most]]


def _step_sizes(noise: float) -> list[float]:
    """Return the steps to try, largest first: noise^(1/5) balances truncation and rounding."""
    first = min(noise**0.2, 0.4)
    # Not a whole ratio: of an oscillation, two steps with a common multiple could give the same wrong slope.
    return [first / math.exp(2.0) ** k for k in range(6 if noise < 1e-12 else 2)]
