"""The gradient by finite differences, each derivative repeated with smaller steps until it is certain.

Few elements are moved one at a time. Of many, a pass moves whole groups, every element with its own random
weight, and compares the derivative along the group with what the claimed gradient predicts: a wrong element
moves its group's derivative. The elements of a group that disagrees form smaller groups, and are at last
taken one at a time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from manualgrad.gradcheck.tolerance import Tolerance, largest

GROUPS = 4  # more elements than twice this are first moved in so many groups
MOST_ELEMENTS, FEWEST = 1024, 16  # that are moved one at a time
MOST_WORK = 2**20  # elements computed for that: of a big tensor, whose every call takes long, fewer are moved
SAMPLE = 64  # elements that are moved where nothing is claimed
STAIRCASE = 1e-2  # the noise that is assumed where a small move changes nothing at all
GRID = 1e-6  # the spacing of points whose differences show noise
FAR = 1e-2  # a move that shows in any dtype
MOST_ENTRIES, MOST_COLUMNS = 2**18, 256  # of a Jacobian that is measured


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


class Slope(NamedTuple):
    """A derivative along a direction, how far off it may be, and the one-sided ones; NaN where unknown."""

    value: float
    error: float
    left: float
    right: float


class Differences:
    """Differences of ``<u, f(x)>`` near a point; f maps a tensor to outputs.

    The noise is what the outputs are off by, relative to their size. Unless it is known, it is taken for the
    rounding of the point's dtype, until :meth:`measure_noise` is called.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Sequence[Tensor]],
        at: Tensor,
        base: Sequence[Tensor],  # f at the point
        upstream: Sequence[Tensor],
        noise: float | None = None,
    ) -> None:
        self.function, self.at, self.base = function, at, base
        self.upstream = [_flat(u) for u in upstream]
        self.noise = torch.finfo(at.dtype).eps if noise is None else noise
        self.scales = _flat(at.abs().clamp(min=1))
        self._largest = largest(self.scales)
        # What rounding acts on: the results, and what they were made from, their argument at least.
        self._size = 0.01 * self._largest * max(map(largest, self.upstream), default=0.0)
        self._size += sum(float((u * _flat(f)).norm()) for u, f in zip(self.upstream, self.base, strict=True))

    def slope(self, elements: Tensor, moves: Tensor, step: float) -> Slope:
        """Return the derivative from one step either way; the moves are those of a step of 1."""
        up, down = (self._change(elements, sign * step * moves) for sign in (1, -1))
        value = (up - down) / (2 * step)
        # The step itself is rounded, too.
        error = self.noise / step * (8 * self._size + 2 * abs(value) * self._largest)
        return Slope(value, error, -down / step, up / step)

    def extrapolated(self, elements: Tensor, moves: Tensor, step: float) -> tuple[Slope, float, float]:
        """Extrapolate two steps to step zero (Richardson); return also the jump at zero, and the rounding.

        The one-sided derivatives are kept, because at a kink they are all that can be said. Of a smooth
        function they differ in proportion to the step: the jump between them vanishes, at a kink it stays.
        """
        coarse, fine = (self.slope(elements, moves, size) for size in (step, step / 2))
        jump = abs(2 * (fine.right - fine.left) - (coarse.right - coarse.left))
        third = (fine.value - coarse.value) / 3
        error = abs(third) + fine.error + jump
        return fine._replace(value=fine.value + third, error=error), jump, fine.error

    def _change(self, elements: Tensor, moves: Tensor) -> float:
        """Return ``<u, f(moved x) - f(x)>``; NaN outside the function's domain."""
        point = self.at.clone(memory_format=torch.contiguous_format)
        point.view(-1)[elements] += moves.to(point)
        pairs = zip(self._values(point) or (), self.base, self.upstream, strict=False)
        changes = [float(_flat(now - was) @ u) for now, was, u in pairs]
        return sum(changes) if changes else math.nan

    def _values(self, point: Tensor) -> Sequence[Tensor] | None:
        try:
            outputs = self.function(point)
        except Exception:
            return None
        return outputs if [o.shape for o in outputs] == [o.shape for o in self.base] else None

    def jacobian(self) -> Tensor | None:
        """Return the derivative of each result by each element, (results, elements); None if too large."""
        x, n = self.at, self.at.numel()
        results = sum(map(len, self.upstream))
        if x.dtype != torch.float64 or not 0 < n * results <= MOST_ENTRIES or n > MOST_COLUMNS:
            return None
        steps = max(1e-5, self.noise ** (1 / 3)) * self.scales
        columns = []
        for move in torch.diag(steps).to(x).reshape(-1, *x.shape):
            up, down = self.function(x + move), self.function(x - move)
            columns.append(torch.cat([_flat(a - b) for a, b in zip(up, down, strict=True)]))
        return torch.stack(columns, 1) / (2 * steps)

    def measure_noise(self) -> None:
        """Measure the relative error of a result: what a dtype rounds, an iteration's end."""
        if self.at.dtype != torch.float64 or not self.at.numel():
            return
        weights = torch.linspace(0.5, 1.5, self.at.numel(), dtype=torch.float64) * self.scales
        direction = weights.to(self.at).reshape(self.at.shape)
        outputs = [self._values(self.at + step * direction) for step in (FAR, *(GRID * k for k in range(8)))]
        if any(values is None for values in outputs):
            return
        rows = torch.stack([torch.cat([_flat(v) for v in values or ()]) for values in outputs])
        far, grid = rows[0], rows[1:]
        moving = (far - grid[0]).abs() > 1e-6 * grid[0].abs()
        # Along the grid every result changes that is computed in float64 or float32, and few in a half type.
        if 2 * int((moving & (grid == grid[0]).all(0)).sum()) > int(moving.sum()):
            self.noise = STAIRCASE
        else:
            self.noise = max(self.noise, min(4 * _roughness(grid), STAIRCASE / 2))


def gradient(
    differences: Differences,
    claimed: Tensor,
    tolerance: Tolerance,
    generator: torch.Generator,
    groups: int = GROUPS,
) -> Estimate:
    """Estimate the derivative by every element of x, spending least where the claimed gradient holds.

    What is claimed is NaN where nothing is. An element whose group agrees is not measured by itself: its
    derivative is returned as claimed.
    """
    n, shape = claimed.numel(), claimed.shape
    if not n or not any(len(u) for u in differences.upstream):
        zero = torch.zeros(shape, dtype=torch.float64)
        return Estimate(zero, zero, zero, zero, zero.bool())
    search = _Search(differences, claimed, tolerance, generator)
    most = min(max(MOST_WORK // n, FEWEST), MOST_ELEMENTS)
    unknown = elements = torch.arange(n)
    if not bool(search.expected.isfinite().any()):
        # Nothing is claimed that a group could agree with: a sample tells.
        elements = _sample(unknown, shape, min(most, SAMPLE))
    elif n > 2 * groups:
        unknown, worst = search.suspects(groups, most)
        elements = torch.cat([_sample(unknown, shape, most), worst]).unique()
    columns = [search.expected.clone(), search.error, search.expected.clone(), search.expected.clone()]
    kink = torch.zeros(n, dtype=torch.bool)
    for column in columns:
        column[unknown] = math.nan
    for i in elements.tolist():
        found, kink[i], _ = search.along(elements.new_tensor([i]), search.scales[i : i + 1])
        for column, number in zip(columns, found, strict=True):
            column[i] = number / search.scales[i]
    return Estimate(*(column.reshape(shape) for column in (*columns, kink)))


class _Search:
    """Looks for the elements whose derivative is not the claimed one."""

    def __init__(
        self, differences: Differences, claimed: Tensor, tolerance: Tolerance, generator: torch.Generator
    ) -> None:
        self.differences, self.tolerance, self.generator = differences, tolerance, generator
        self.scales = differences.scales
        self.expected, self.size = _flat(claimed), largest(claimed)
        self.error = torch.zeros_like(self.expected)  # of each element, as its group had it

    def suspects(self, groups: int, most: int) -> tuple[Tensor, Tensor]:
        """Return the elements that may be wrong, and if these are many a few that are."""
        elements = torch.arange(self.expected.numel())
        found = self._contradicting(elements, groups)
        if not found and groups > 1:  # the largest, which the report shows, has to be measured by itself
            return (elements := (self.expected.abs() / self.scales).argmax()[None]), elements
        suspects = worst = torch.cat([elements[:0], *(group for _, group in found)])
        others_agree = True
        while found and worst.numel() > 2 * GROUPS:
            others_agree &= len(found) == 1
            if not others_agree and suspects.numel() <= most:
                break
            _, worst = max(found, key=lambda pair: pair[0])
            found = self._contradicting(worst, GROUPS)
            if others_agree and found:
                suspects = torch.cat([group for _, group in found])
        return suspects, worst[: 2 * GROUPS]

    def _contradicting(self, elements: Tensor, count: int) -> list[tuple[float, Tensor]]:
        """Return the groups, of so many, that contradict what is claimed, each with how far it is off."""
        if count > 1:  # groups of like size: a small gradient is not drowned by a large neighbour
            sizes = (self.expected[elements].abs() / self.scales[elements]).nan_to_num(math.inf)
            elements = elements[sizes.argsort()]
        weights = torch.rand(elements.shape, generator=self.generator, dtype=torch.float64) + 0.5
        weights *= torch.randint(0, 2, elements.shape, generator=self.generator) * 2 - 1
        moves, contradicting = weights * self.scales[elements], []
        for group, move in zip(elements.tensor_split(count), moves.tensor_split(count), strict=True):
            slope, is_kink, off = self.along(group, move)
            self.error[group] = slope.error / self.scales[group]
            if is_kink or off:
                contradicting.append((off, group))
        return contradicting

    def along(self, elements: Tensor, moves: Tensor) -> tuple[Slope, bool, float]:
        """Return the derivative along a direction, whether that is at a kink, and how far it is off.

        One that agrees with the expected one is believed once it is precise enough. Else smaller and smaller
        steps are taken: one that is too large for a fast oscillation, or that reaches over a kink nearby, is
        contradicted by the next. What never settles is not known: NaN.
        """
        noise, expected = self.differences.noise, float(self.expected[elements] @ moves)
        is_claimed = math.isfinite(expected)
        bound = self.tolerance.bound(expected if is_claimed else 0.0, 0.0, self.size)

        def off(found: Slope) -> float:
            difference = abs(found.value - expected)
            is_close = difference <= self.tolerance.bound(expected, found.error, self.size)
            return 0.0 if is_close else math.inf if math.isnan(difference) else difference

        found = self.differences.slope(elements, moves, noise ** (1 / 3))  # balances truncation and rounding
        is_smooth = abs(found.right - found.left) <= 1e-3 * (abs(found.left) + abs(found.right)) + bound
        if is_smooth and abs(found.value - expected) <= bound:
            return found, False, 0.0
        best, last, last_jump = Slope(math.nan, math.inf, math.nan, math.nan), math.inf, math.inf
        # No whole ratio: of an oscillation, steps with a common multiple could give the same wrong slope.
        for k in range(6 if noise < 1e-12 else 2):
            step = min(noise**0.2, 0.4) / math.exp(2.0) ** k
            found, jump, rounding = self.differences.extrapolated(elements, moves, step)
            no_jump = 1e-4 * (abs(found.left) + abs(found.right)) + 10 * rounding + self.tolerance.absolute
            is_kink = abs(jump - last_jump) <= 0.01 * jump and jump > no_jump + 1e-6 * self.size
            is_steady = abs(found.value - last) <= 0.02 * abs(found.value) + 2 * rounding
            needed = 0.001 * (off(found) if is_claimed else abs(found.value))
            is_precise = found.error <= max(needed, 0.2 * bound, 8 * rounding)
            if is_kink or (is_precise and (is_steady or not off(found))):
                return found, is_kink, off(found)
            if found.error < best.error:
                best = found
            last, last_jump = found.value, jump
        return best._replace(value=math.nan) if off(best) else best, False, off(best)


def _sample(elements: Tensor, shape: torch.Size, most: int) -> Tensor:
    """Return some of the elements, from few rows and columns, so that what a row shares can be seen."""
    if elements.numel() <= most:
        return elements
    generator = torch.Generator().manual_seed(0)  # the same ones for every upstream gradient
    coordinates = zip(shape, torch.unravel_index(elements, shape), strict=True)
    ranks = [torch.randperm(size, generator=generator)[along] for size, along in coordinates]
    return elements[torch.stack(ranks).amax(0).argsort(stable=True)[:most]]


def _flat(tensor: Tensor) -> Tensor:
    return tensor.cpu().double().reshape(-1)


def _roughness(rows: Tensor) -> float:
    """Return the relative noise in equally spaced values, from differences that a smooth curve has not.

    The third to fifth differences of noise have a known size; those of a smooth curve shrink from order to
    order.
    """
    estimates, size = [], float(rows[0].norm())
    for order in range(1, 6):
        rows = rows.diff(dim=0)
        factor = math.factorial(order) ** 2 / math.factorial(2 * order)
        estimates.append((float(rows.square().sum(1).mean()) * factor) ** 0.5)
    low, high = min(estimates[2:]), max(estimates[2:])
    return low / size if size and high <= 4 * low else 0.0
