"""A function at many points: in batched calls where it allows that, and with its noise measured."""

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Outputs = tuple[Tensor, ...]

CHUNK_ELEMENTS = 2**17  # of input, in one batched call: 1 MB of float64, which stays in the cache
STAIRCASE = 1e-2  # the noise that is assumed where a small move changes nothing at all
MOVES = (1e-10, 1e-5, 1e-2)
GRIDS = (1e-6, 1e-4)  # spacings of equally spaced points, whose differences show noise


class Evaluator:
    """Evaluates a function at many points near one.

    Parameters
    ----------
    function
        Maps a tensor to outputs; all are real.
    at
        The point.
    batched
        Whether to use ``vmap``; tried if None.
    noise
        What the function's results are off by, relative to their size; measured if None.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Outputs],
        at: Tensor,
        *,
        batched: bool | None = None,
        noise: float | None = None,
    ) -> None:
        self.function = function
        self.at = at
        self.base = function(at)
        self.batched = self._batching_agrees() if batched is None else batched
        self.noise = self._measure_noise() if noise is None else noise

    def many(self, points: Tensor) -> Outputs:
        """Map ``(k, *shape)`` points to outputs ``(k, *output shape)``; NaN where the function raises."""
        if self.batched:
            try:
                return self._vmap(points)
            except Exception:  # it allowed that elsewhere
                self.batched = False
        rows = [self._one(point) for point in points]
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))

    def _vmap(self, points: Tensor) -> Outputs:
        # A batching rule that PyTorch lacks is announced by a warning, and no faster than a loop.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return torch.func.vmap(self.function)(points)

    def _one(self, point: Tensor) -> Outputs:
        try:
            outputs = self.function(point)
        except Exception:  # outside the function's domain
            return tuple(torch.full_like(output, math.nan) for output in self.base)
        shapes = [output.shape for output in outputs]
        if shapes != [output.shape for output in self.base]:
            return tuple(torch.full_like(output, math.nan) for output in self.base)
        return outputs

    def _batching_agrees(self) -> bool:
        points = torch.stack([self.at, self.at * 1.0009765625])
        try:
            batched = self._vmap(points)
            single = [torch.stack(column) for column in zip(*map(self.function, points), strict=True)]
        except Exception:
            return False
        return all(
            a.shape == b.shape and torch.allclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)
            for a, b in zip(batched, single, strict=True)
        )

    def _measure_noise(self) -> float:
        """Return the relative error of a result: what its dtype rounds, a cast inside, an iteration's end."""
        eps = torch.finfo(self.at.dtype).eps
        if self.at.dtype != torch.float64 or not self.at.numel():
            return eps
        direction = torch.linspace(0.5, 1.5, self.at.numel(), dtype=torch.float64).reshape(self.at.shape)
        direction = (direction * self.at.abs().cpu().clamp(min=1)).to(self.at.device)
        is_big = self.at.numel() > CHUNK_ELEMENTS  # of which so many copies take too much memory
        grids = [[step * k for k in range(1, 8)] for step in ([] if is_big else GRIDS)]
        steps = [0.0, *MOVES, *(step for grid in grids for step in grid)]
        points = torch.stack([self.at + step * direction for step in steps])
        outputs = [output.cpu().double().reshape(len(points), -1) for output in self.many(points)]
        # A move of 1e-10 changes every result that is computed in float64, and next to none in float32.
        for near, noise in ((1, eps), (2, torch.finfo(torch.float32).eps)):
            moving = unchanged = 0
            for here, there, far in ((o[0], o[near], o[3]) for o in outputs):
                moves = (far - here).abs() > 1e-6 * here.abs()
                moving += int(moves.sum())
                unchanged += int((moves & (there == here)).sum())
            if 2 * unchanged <= moving:
                if is_big:
                    return noise
                # Noise is there on both grids; on one alone it is the function's own curvature.
                rough = [
                    min(_roughness(o[[0, *range(4, 11)]]), _roughness(o[[0, *range(11, 18)]]))
                    for o in outputs
                ]
                return max(noise, min(max(rough, default=0.0), STAIRCASE / 2))
        return STAIRCASE


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
