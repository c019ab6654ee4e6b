"""Few evaluations, honest bookkeeping: finite differences of ``<u, f(x)>`` along any direction.

For a function ``f`` and an upstream gradient ``u`` the numbers wanted are the slopes of ``<u, f(x)>``:
exactly what a backward computes, one per element of ``x``. Each comes from central differences with two
steps, extrapolated to step zero (Richardson), with an estimate of its own error. The one-sided slopes are
kept, because at a corner of ``f`` they are all that can be said.
"""

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Outputs = tuple[Tensor, ...]

CHUNK_ELEMENTS = 2**17  # of input, in one batched call: 1 MB of float64, which stays in the cache


class Evaluator:
    """Evaluates a function at many points: in batched calls where it allows that, else one by one."""

    def __init__(self, function: Callable[[Tensor], Outputs], at: Tensor, *, batched: bool = True) -> None:
        self.function = function
        self.at = at
        self.base = function(at)
        self.batched = batched and self._batching_agrees()
        self.precision = self._precision()

    def many(self, points: Tensor) -> Outputs:
        """Map ``(k, *shape)`` points to outputs ``(k, *output shape)``; NaN where the function raises."""
        if self.batched:
            return self._vmap(points)
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
        if any(now.shape != was.shape for now, was in zip(outputs, self.base, strict=True)):
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

    def _precision(self) -> torch.dtype:
        """Return the dtype that the function really computes in: a cast inside it shows in a staircase.

        A move of 1e-10 changes every result that is computed in float64, and next to none in float32.
        """
        if self.at.dtype != torch.float64 or not self.at.numel():
            return self.at.dtype
        direction = torch.linspace(0.5, 1.5, self.at.numel(), dtype=torch.float64).reshape(self.at.shape)
        for dtype, small in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            points = torch.stack([self.at, self.at + small * direction, self.at + 1e-2 * direction])
            moving = unchanged = 0
            for here, near, far in self.many(points):
                moves = (far - here).abs() > 1e-6 * here.abs()
                moving += int(moves.sum())
                unchanged += int((moves & (near == here)).sum())
            if 2 * unchanged <= moving:
                return dtype
        return torch.bfloat16


def step_sizes(dtype: torch.dtype) -> list[float]:
    """Return the steps to try in a dtype, largest first: eps^(1/5) balances truncation and rounding."""
    first = torch.finfo(dtype).eps ** 0.2
    # Not a whole ratio: of an oscillation, two steps with a common multiple could give the same wrong slope.
    return [first / math.exp(2.0) ** k for k in range(6 if dtype == torch.float64 else 2)]


def slopes(evaluator: Evaluator, directions: Tensor, upstream: Outputs, step: float) -> dict[str, Tensor]:
    """Return the slopes of ``<u, f>`` along ``(k, n)`` directions, and what is known about them."""
    parts = []
    rows = max(1, CHUNK_ELEMENTS // (4 * directions.shape[1]))
    for chunk in directions.split(rows):
        offsets = torch.stack([step * chunk, -step * chunk, step / 2 * chunk, -step / 2 * chunk])
        points = evaluator.at + offsets.reshape(-1, *evaluator.at.shape).to(evaluator.at.device)
        parts.append(_contract(evaluator, points, upstream).reshape(4, -1))
    up, down, half_up, half_down = torch.cat(parts, dim=1)

    coarse = (up - down) / (2 * step)
    fine = (half_up - half_down) / step
    left, right = -half_down / (step / 2), half_up / (step / 2)
    # For a smooth function the gap between the one-sided slopes is proportional to the step: extrapolated
    # to step zero it vanishes. At a corner it stays.
    jump = 2 * (right - left) - (up + down) / step
    eps = torch.finfo(evaluator.precision).eps
    scale = sum(float((u * f).norm()) for u, f in zip(upstream, evaluator.base, strict=True))
    largest = max(1.0, float(evaluator.at.abs().max()))
    # Rounding of the results, of what they were made from (their argument at least), and of the step itself.
    scale += 0.01 * largest * max(float(u.abs().max()) for u in upstream if u.numel())
    noise = 8 * eps * scale / step + 2 * eps / step * fine.abs() * largest
    error = (fine - coarse).abs() / 3 + noise
    value = fine + (fine - coarse) / 3
    return {"value": value, "error": error, "left": left, "right": right, "jump": jump, "noise": noise}


def central_differences(evaluator: Evaluator, upstream: Outputs, step: float = 1e-5) -> Tensor:
    """Return the slope of ``<u, f>`` along each element by plain central differences of one step size."""
    x = evaluator.at
    scales = x.abs().clamp(min=1).reshape(-1)
    offsets = step * torch.diag(scales)
    points = (x + torch.cat([offsets, -offsets]).reshape(-1, *x.shape)).to(x.dtype)
    up, down = _contract(evaluator, points, upstream).reshape(2, -1)
    return ((up - down) / (2 * step * scales.cpu().double())).reshape(x.shape)


def _contract(evaluator: Evaluator, points: Tensor, upstream: Outputs) -> Tensor:
    """Return ``<u, f(point) - f(x)>`` for each point; f(x) is in the same call, so that it rounds alike."""
    outputs = evaluator.many(torch.cat([evaluator.at[None], points]))
    total = torch.zeros(len(points), dtype=torch.float64)
    for values, u in zip(outputs, upstream, strict=True):
        difference = (values[1:] - values[:1]).cpu().double().reshape(len(points), -1)
        total += difference @ u.cpu().double().reshape(-1)
    return total
