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

from manualgrad.gradcheck.numeric.evaluator import Evaluator, Outputs
from manualgrad.gradcheck.numeric.slopes import Directions, slopes, step_sizes
from manualgrad.gradcheck.tolerance import Tolerance, largest

MOST_DIRECTIONS = 64  # more elements than this are first moved in groups
BIG = 100_000  # elements of which fewer are looked at: a call takes long, and a direction is as large
FEW = 8  # groups of a big tensor
KNOWN = ("value", "error", "left", "right")


@dataclass
class Estimate:
    """The derivatives of ``<u, f(x)>`` by each element of x.

    Attributes
    ----------
    value, error, left, right : Tensor
        In the shape of x: the derivative, how far off it may be, and the one-sided ones. NaN where unknown.
    kink : Tensor
        Where left and right stay apart however small the step, bool.
    """

    value: Tensor
    error: Tensor
    left: Tensor
    right: Tensor
    kink: Tensor

    @classmethod
    def unknown(cls, shape: torch.Size) -> "Estimate":
        """Return an estimate of which nothing is known."""
        nothing = torch.full(shape, math.nan, dtype=torch.float64)
        return cls(nothing, nothing, nothing, nothing, torch.zeros(shape, dtype=torch.bool))


def derivative(
    evaluator: Evaluator,
    upstream: Outputs,
    claimed: Tensor,
    tolerance: Tolerance,
    most_directions: int = MOST_DIRECTIONS,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Estimate the derivative by every element of x, spending least where the claimed gradient holds.

    Parameters
    ----------
    evaluator
        The function, as one of the tensor that is differentiated.
    upstream
        One tensor per output.
    claimed
        The gradient to be judged, in the shape of x.
    tolerance
        What counts as agreement.
    most_directions
        More elements than this are first taken in groups. The derivative by an element whose group agrees
        was not measured by itself; it is returned as claimed.
    generator
        For the groups' weights.

    Returns
    -------
    Estimate
    """
    x = evaluator.at
    n = x.numel()
    if not n or not any(u.numel() for u in upstream):
        zero = torch.zeros(x.shape, dtype=torch.float64)
        return Estimate(zero, zero, zero, zero, zero.bool())
    scales = x.abs().clamp(min=1).reshape(-1).cpu().double()
    expected = claimed.reshape(-1).cpu().double()
    columns = {key: torch.full((n,), math.nan, dtype=torch.float64) for key in KNOWN}
    kink = torch.zeros(n, dtype=torch.bool)
    search = _Search(evaluator, upstream, expected, scales, tolerance, largest(expected), generator)
    elements = torch.arange(n)
    most_elements = 1024 if n <= BIG else MOST_DIRECTIONS

    if n > most_directions and not bool(expected.isfinite().any()):
        # Nothing is claimed that a group could agree with: a sample tells.
        elements = torch.randperm(n, generator=generator)[:MOST_DIRECTIONS].sort().values
    elif n > most_directions:
        columns = {key: expected.clone() if key != "error" else torch.zeros_like(expected) for key in KNOWN}
        elements = search.suspects(elements, most_directions if n <= BIG else min(FEW, most_directions))
        if len(elements) > most_elements:
            for column in columns.values():
                column[elements] = math.nan
            chosen = torch.randperm(len(elements), generator=generator)[:most_elements].sort().values
            elements = elements[chosen]

    for part in elements.split(MOST_DIRECTIONS):
        found = search.single(part)
        for key, column in columns.items():
            column[part] = found[key] / scales[part]
        kink[part] = found["kink"].bool()
    shaped = {key: column.reshape(x.shape) for key, column in columns.items()}
    return Estimate(**shaped, kink=kink.reshape(x.shape))


def agrees(
    evaluator: Evaluator,
    upstream: Outputs,
    claimed: Tensor,
    tolerance: Tolerance,
    generator: torch.Generator | None = None,
) -> bool:
    """Return whether a gradient holds along two random directions, which together move every element."""
    expected = claimed.reshape(-1).cpu().double()
    scales = evaluator.at.abs().clamp(min=1).reshape(-1).cpu().double()
    search = _Search(evaluator, upstream, expected, scales, tolerance, largest(expected), generator)
    return not len(search.in_disagreement(torch.arange(len(expected)), min(2, len(expected))))


@dataclass
class _Search:
    """Measures derivatives along elements and groups of them."""

    evaluator: Evaluator
    upstream: Outputs
    expected: Tensor
    scales: Tensor
    tolerance: Tolerance
    size: float
    generator: torch.Generator | None

    def single(self, elements: Tensor) -> dict[str, Tensor]:
        """Measure the derivative by each element, times its scale."""

        def rows(numbers: Tensor) -> Tensor:
            moved = elements[numbers]
            out = torch.zeros(len(moved), len(self.expected), dtype=self.evaluator.at.dtype)
            out[torch.arange(len(moved)), moved] = self.scales[moved].to(out.dtype)
            return out

        return self._settle(rows, self.expected[elements] * self.scales[elements])

    def suspects(self, elements: Tensor, count: int) -> Tensor:
        """Return the elements whose groups contradict the claimed gradient, and a few that agree."""
        # The largest are also measured by themselves: the report shows one.
        shown = (self.expected.abs() / self.scales).nan_to_num(math.inf).topk(min(4, len(elements))).indices
        while len(elements) > count:
            doubtful = self.in_disagreement(elements, count)
            if not len(doubtful) or len(doubtful) > len(elements) // 4:
                elements = doubtful
                break
            elements = doubtful
        return torch.cat([elements, shown]).unique()

    def in_disagreement(self, elements: Tensor, count: int) -> Tensor:
        """Return the elements of the groups, ``count`` of them, that contradict the claimed gradient."""
        k, n = len(elements), len(self.expected)
        # Never near 0: each element counts.
        weights = torch.rand(k, generator=self.generator, dtype=torch.float64) + 0.5
        weights *= torch.randint(0, 2, (k,), generator=self.generator) * 2 - 1
        moves, expected = weights * self.scales[elements], self.expected[elements]
        # Groups of like size: a small gradient is not drowned by a large neighbour.
        order = (expected.abs() / self.scales[elements]).nan_to_num(math.inf).argsort()
        group = torch.empty(k, dtype=torch.long)
        group[order] = torch.arange(k) * count // k
        predicted = torch.zeros(count, dtype=torch.float64).scatter_add(0, group, expected * moves)

        def rows(numbers: Tensor) -> Tensor:
            out = torch.zeros(len(numbers), n, dtype=self.evaluator.at.dtype)
            for row, number in zip(out, numbers.tolist(), strict=True):
                members = group == number
                row[elements[members]] = moves[members].to(out.dtype)
            return out

        found = self._settle(rows, predicted)
        bound = self.tolerance.bound(predicted, found["error"], self.size)
        agrees = ((found["value"] - predicted).abs() <= bound) & found["certain"].bool()
        return elements[~agrees[group]]

    def _settle(self, directions: Directions, expected: Tensor) -> dict[str, Tensor]:
        """Take smaller and smaller steps along each direction until its derivative is certain.

        One that agrees with the expected one is believed once it is precise enough. One that does not has
        to be confirmed by the next smaller step: a step that is too large for a fast oscillation, or that
        reaches over a kink nearby, is contradicted by it. What never settles is not known: NaN.
        """
        k = len(expected)
        best = {key: torch.full((k,), math.nan, dtype=torch.float64) for key in KNOWN}
        best["error"].fill_(math.inf)
        last_jump, last_value = (torch.full((k,), math.inf, dtype=torch.float64) for _ in range(2))
        settled, kink = torch.zeros(k, dtype=torch.bool), torch.zeros(k, dtype=torch.bool)
        active = torch.arange(k)
        atol = self.tolerance.scaled * self.size + self.tolerance.absolute
        for step in step_sizes(self.evaluator.noise):
            found = slopes(self.evaluator, active, directions, self.upstream, step)
            jump, noise = found.pop("jump").abs(), found.pop("noise")
            found["error"] = found["error"] + jump
            value, error, wanted = found["value"], found["error"], expected[active]
            bound = self.tolerance.bound(wanted, 0.0, self.size)
            difference = (value - wanted).abs()
            # Where nothing is expected (NaN), a derivative is confirmed if it is known to a percent.
            difference = torch.where(wanted.isfinite(), difference, 0.01 * value.abs() + 100 * noise)
            precise = error <= torch.maximum(0.2 * bound, 8 * noise)
            agrees = precise & (difference <= bound + 5 * error)
            steady = (value - last_value[active]).abs() <= 0.02 * value.abs() + 1e-6 * difference + 2 * noise
            confirmed = (
                steady
                & (error <= 1e-3 * value.abs() + 1e-6 * difference + 4 * noise)
                & (error <= 0.1 * difference)
            )
            corner = (jump - last_jump[active]).abs() <= 0.01 * jump
            corner &= jump > 1e-4 * (found["left"].abs() + found["right"].abs()) + 10 * noise + atol

            # The most precise step so far, unless what has now been settled contradicts it.
            done = agrees | confirmed | corner
            contradicted = (value - best["value"][active]).abs() > 0.02 * value.abs() + 2 * noise
            better = (error < best["error"][active]) | (done & contradicted) | corner
            for key, column in found.items():
                best[key][active[better]] = column[better]
            kink[active], last_jump[active], last_value[active] = corner, jump, value
            settled[active] = done
            active = active[~done]
            if not len(active):
                break
        bound = self.tolerance.bound(expected, best["error"], self.size)
        plausible = (best["value"] - expected).abs() <= bound
        best["value"][~(settled | plausible)] = math.nan
        return best | {"kink": kink, "certain": settled}
