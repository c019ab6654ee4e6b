"""A function of one tensor near a point: its slopes along directions, and the noise in its values."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

STAIRCASE = 1e-2  # the noise that is assumed where a small move changes nothing at all
MOVES = (1e-10, 1e-5, 1e-2)
GRIDS = (1e-6, 1e-4)  # spacings of equally spaced points, whose differences show noise
MOST_ENTRIES, MOST_COLUMNS = 2**18, 256  # of a Jacobian that is measured
BIG = 2**17  # elements of which the grids' points are not tried

Direction = tuple[Tensor, Tensor]  # the elements that move, and how far each does for a step of 1


class Slope(NamedTuple):
    """A derivative along a direction, how far off it may be, and the one-sided ones; NaN where unknown."""

    value: float
    error: float
    left: float
    right: float


class Evaluator:
    """Evaluates ``<u, f(x)>`` near a point; f maps a tensor to outputs, and all are real.

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
        self._largest = max(1.0, float(at.abs().max())) if at.numel() else 1.0
        # What rounding acts on: the results, and what they were made from, their argument at least.
        strengths = (float(u.abs().max()) for u in self.upstream if u.numel())
        self._size = 0.01 * self._largest * max(strengths, default=0.0)
        self._size += sum(float((u * _flat(f)).norm()) for u, f in zip(self.upstream, self.base, strict=True))

    def quick_slope(self, direction: Direction) -> Slope:
        """Return the derivative along a direction from one small step either way."""
        step = self.noise ** (1 / 3)  # balances truncation and rounding
        up, down = (self._change(*direction, k * step) for k in (1, -1))
        value = (up - down) / (2 * step)
        return Slope(value, self._rounding(value, step), -down / step, up / step)

    def slope(self, direction: Direction, step: float) -> tuple[Slope, float, float]:
        """Return the derivative along a direction by central differences, its jump and its noise.

        Two steps are extrapolated to step zero (Richardson). The one-sided derivatives are kept, because at
        a kink they are all that can be said. Of a smooth function they differ in proportion to the step:
        extrapolated to step zero the jump between them vanishes, at a kink it stays.
        """
        up, down, half_up, half_down = (self._change(*direction, k * step) for k in (1, -1, 0.5, -0.5))
        coarse, fine = (up - down) / (2 * step), (half_up - half_down) / step
        left, right = -half_down / (step / 2), half_up / (step / 2)
        jump = abs(2 * (right - left) - (up + down) / step)
        noise = self._rounding(fine, step)
        error = abs(fine - coarse) / 3 + noise + jump
        return Slope(fine + (fine - coarse) / 3, error, left, right), jump, noise

    def _rounding(self, slope: float, step: float) -> float:
        """Return how far off rounding puts a slope; the step itself is rounded, too."""
        return self.noise / step * (8 * self._size + 2 * abs(slope) * self._largest)

    def _change(self, elements: Tensor, moves: Tensor, step: float) -> float:
        """Return ``<u, f(moved x) - f(x)>``; NaN outside the function's domain."""
        point = self.at.clone(memory_format=torch.contiguous_format)
        point.view(-1)[elements] += (step * moves).to(point)
        outputs = self._values(point)
        if outputs is None:
            return math.nan
        return sum(
            float(_flat(now - was) @ u) for now, was, u in zip(outputs, self.base, self.upstream, strict=True)
        )

    def _values(self, point: Tensor) -> Sequence[Tensor] | None:
        try:
            outputs = self.function(point)
        except Exception:
            return None
        return outputs if [o.shape for o in outputs] == [o.shape for o in self.base] else None

    def jacobian(self) -> Tensor | None:
        """Return the derivative of each result by each element, (results, elements); None if too large."""
        x, n = self.at, self.at.numel()
        results = sum(output.numel() for output in self.base)
        if x.dtype != torch.float64 or not 0 < n * results <= MOST_ENTRIES or n > MOST_COLUMNS:
            return None
        steps = max(1e-5, self.noise ** (1 / 3)) * x.abs().clamp(min=1).reshape(-1)
        columns = []
        for move in torch.diag(steps).reshape(-1, *x.shape):
            up, down = self.function(x + move), self.function(x - move)
            columns.append(torch.cat([_flat(a - b) for a, b in zip(up, down, strict=True)]))
        return torch.stack(columns, 1) / (2 * steps.cpu())

    def measure_noise(self) -> None:
        """Measure the relative error of a result: what a dtype rounds, an iteration's end."""
        if self.at.dtype != torch.float64 or not self.at.numel():
            return
        direction = torch.linspace(0.5, 1.5, self.at.numel(), dtype=torch.float64).reshape(self.at.shape)
        direction = (direction * self.at.abs().cpu().clamp(min=1)).to(self.at.device)
        is_big = self.at.numel() > BIG
        steps = [0.0, *MOVES, *(step * k for step in ([] if is_big else GRIDS) for k in range(1, 8))]
        columns = [[torch.full_like(o, math.nan) for o in self.base] for _ in steps]
        for column, step in zip(columns, steps, strict=True):
            column[:] = self._values(self.at + step * direction) or column
        outputs = [
            torch.stack(rows).cpu().double().reshape(len(steps), -1) for rows in zip(*columns, strict=True)
        ]
        # A move of 1e-10 changes every result that is computed in float64, and next to none in float32.
        for near, noise in ((1, self.noise), (2, torch.finfo(torch.float32).eps)):
            moving = unchanged = 0
            for here, there, far in ((o[0], o[near], o[3]) for o in outputs):
                moves = (far - here).abs() > 1e-6 * here.abs()
                moving += int(moves.sum())
                unchanged += int((moves & (there == here)).sum())
            if 2 * unchanged <= moving:
                # Noise is there on both grids; on one alone it is the function's own curvature.
                rough = [
                    min(_roughness(o[[0, *range(4, 11)]]), _roughness(o[[0, *range(11, 18)]]))
                    for o in ([] if is_big else outputs)
                ]
                self.noise = max(noise, min(max(rough, default=0.0), STAIRCASE / 2))
                return
        self.noise = STAIRCASE


def _flat(tensor: Tensor) -> Tensor:
    return tensor.cpu().double().reshape(-1)


def _roughness(rows: Tensor) -> float:
    """Return the relative noise in equally spaced values, from differences that a smooth curve has not.

    The third to fifth differences of noise have a known size; those of a smooth curve shrink from order to
    order.
    """
    size = float(rows[0].norm())
    if not size or not bool(rows.isfinite().all()):
        return 0.0
    estimates, table = [], rows
    for order in range(1, 6):
        table = table.diff(dim=0)
        if order >= 3:
            factor = math.factorial(order) ** 2 / math.factorial(2 * order)
            estimates.append((float(table.square().sum(1).mean()) * factor) ** 0.5)
    if max(estimates) > 4 * min(estimates):
        return 0.0
    return min(estimates) / size
