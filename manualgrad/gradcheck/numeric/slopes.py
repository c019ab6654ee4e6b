"""Central differences of ``<u, f(x)>`` along any direction, with an honest estimate of their error.

Two steps are extrapolated to step zero (Richardson). The one-sided derivatives are kept, because at a kink
of ``f`` they are all that can be said.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from manualgrad.gradcheck.numeric.evaluator import CHUNK_ELEMENTS, Evaluator, Outputs

Directions = Callable[[Tensor], Tensor]  # the rows with these numbers, (k, n)


def step_sizes(noise: float) -> list[float]:
    """Return the steps to try, largest first: noise^(1/5) balances truncation and rounding."""
    first = min(noise**0.2, 0.4)
    # Not a whole ratio: of an oscillation, two steps with a common multiple could give the same wrong slope.
    return [first / math.exp(2.0) ** k for k in range(6 if noise < 1e-12 else 2)]


def slopes(
    evaluator: Evaluator, numbers: Tensor, directions: Directions, upstream: Outputs, step: float
) -> dict[str, Tensor]:
    """Return the derivatives of ``<u, f>`` along the numbered directions, and what is known about them."""
    parts = []
    rows = max(1, CHUNK_ELEMENTS // (4 * evaluator.at.numel()))
    for chunk in numbers.split(rows):
        moves = directions(chunk)
        offsets = torch.stack([step * moves, -step * moves, step / 2 * moves, -step / 2 * moves])
        points = evaluator.at + offsets.reshape(-1, *evaluator.at.shape).to(evaluator.at.device)
        parts.append(_contract(evaluator, points, upstream).reshape(4, -1))
    up, down, half_up, half_down = torch.cat(parts, dim=1)

    coarse = (up - down) / (2 * step)
    fine = (half_up - half_down) / step
    left, right = -half_down / (step / 2), half_up / (step / 2)
    # For a smooth function the one-sided slopes differ in proportion to the step: extrapolated to step
    # zero the jump vanishes. At a kink it stays.
    jump = 2 * (right - left) - (up + down) / step
    scale = sum(float((u * f).norm()) for u, f in zip(upstream, evaluator.base, strict=True))
    largest = max(1.0, float(evaluator.at.abs().max()))
    # Rounding of the results, of what they were made from (their argument at least), and of the step itself.
    scale += 0.01 * largest * max(float(u.abs().max()) for u in upstream if u.numel())
    noise = 8 * evaluator.noise * scale / step + 2 * evaluator.noise / step * fine.abs() * largest
    error = (fine - coarse).abs() / 3 + noise
    value = fine + (fine - coarse) / 3
    return {"value": value, "error": error, "left": left, "right": right, "jump": jump, "noise": noise}


def central_differences(evaluator: Evaluator, upstream: Outputs, step: float = 1e-5) -> Tensor:
    """Return the derivative of ``<u, f>`` by each element, by plain central differences of one step size."""
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
