"""Numeric derivatives, with an honest estimate of their own error.

For a function ``f`` and an upstream gradient ``u`` the numbers wanted are the slopes of ``<u, f(x)>``: exactly
what a backward computes, one per element of ``x``. Each comes from central differences with two steps,
extrapolated to step zero (Richardson), and is repeated with smaller steps until it settles. The one-sided
slopes are kept, because at a corner of ``f`` they are all that can be said.

Few elements are moved one at a time. Of many, a first pass moves whole groups, every element with its own
random weight, and compares the slope along the group with what the claimed gradient predicts: a wrong element
moves its group's slope, and the elements of a group that disagrees are then taken one at a time.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Outputs = tuple[Tensor, ...]

CHUNK_ELEMENTS = 2**17  # of input, in one batched call: 1 MB of float64, which stays in the cache
MOST_DIRECTIONS = 128  # more elements than this are first moved in groups
MOST_ELEMENTS = 1024  # of one argument taken one at a time, when its groups disagree


@dataclass
class Estimate:
    """The slopes of ``<u, f(x)>`` along each element of x.

    Attributes
    ----------
    value, error, left, right : Tensor
        In the shape of x: the slope, how far off it may be, and the one-sided slopes. NaN where unknown.
    kink : Tensor
        Where left and right slopes stay apart however small the step, bool.
    """

    value: Tensor
    error: Tensor
    left: Tensor
    right: Tensor
    kink: Tensor


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
            return torch.func.vmap(self.function)(points)  # type: ignore[no-any-return]

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
    """Return the steps to try, for a function computed in ``dtype``: eps^(1/5) balances truncation and rounding."""
    first = torch.finfo(dtype).eps ** 0.2
    # Not a whole ratio: of an oscillation, two steps with a common multiple could give the same wrong slope.
    return [first / math.exp(2.0) ** k for k in range(6 if dtype == torch.float64 else 2)]


def slopes(evaluator: Evaluator, directions: Tensor, upstream: Outputs, step: float) -> dict[str, Tensor]:
    """Return the slopes of ``<u, f>`` along ``(k, n)`` directions at one step: value, error, left, right, jump."""
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
    """Return ``<u, f(point) - f(x)>`` for each point; f(x) is computed in the same call, so that it rounds alike."""
    outputs = evaluator.many(torch.cat([evaluator.at[None], points]))
    total = torch.zeros(len(points), dtype=torch.float64)
    for values, u in zip(outputs, upstream, strict=True):
        difference = (values[1:] - values[:1]).cpu().double().reshape(len(points), -1)
        total += difference @ u.cpu().double().reshape(-1)
    return total


def derivative(
    evaluator: Evaluator,
    upstream: Outputs,
    claimed: Tensor,
    rtol: float,
    atol: float,
    most_directions: int = MOST_DIRECTIONS,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Estimate the slope along every element of x, spending least where the claimed gradient holds.

    Parameters
    ----------
    evaluator
        The function, as one of the tensor that is differentiated.
    upstream
        One tensor per output.
    claimed
        The gradient to be judged, in the shape of x.
    rtol, atol
        What counts as agreement.
    most_directions
        More elements than this are first taken in groups. The slope of an element whose group agrees
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
    columns = {
        key: torch.full((n,), math.nan, dtype=torch.float64) for key in ("value", "error", "left", "right")
    }
    kink = torch.zeros(n, dtype=torch.bool)
    elements = torch.arange(n)

    if n > most_directions:
        columns["value"], columns["error"] = expected.clone(), torch.zeros(n, dtype=torch.float64)
        columns["left"], columns["right"] = expected.clone(), expected.clone()
        elements = _in_disagreement(
            evaluator, upstream, expected, scales, rtol, atol, most_directions, generator
        )
        if len(elements) > MOST_ELEMENTS:
            chosen = torch.randperm(len(elements), generator=generator)[:MOST_ELEMENTS].sort().values
            for column in columns.values():
                column[elements] = math.nan
            elements = elements[chosen]

    for part in elements.split(MOST_DIRECTIONS):
        rows = torch.zeros(len(part), n, dtype=x.dtype)
        rows[torch.arange(len(part)), part] = scales[part].to(x.dtype)
        found = _settle(evaluator, rows, upstream, expected[part] * scales[part], rtol, atol)
        for key, column in columns.items():
            column[part] = found[key] / scales[part]
        kink[part] = found["kink"]
    shaped = {key: column.reshape(x.shape) for key, column in columns.items()}
    return Estimate(**shaped, kink=kink.reshape(x.shape))


def _in_disagreement(
    evaluator: Evaluator,
    upstream: Outputs,
    expected: Tensor,
    scales: Tensor,
    rtol: float,
    atol: float,
    count: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Return the elements whose group's slope is not what the claimed gradient predicts, and some that agree."""
    n = len(expected)
    weights = (
        torch.rand(n, generator=generator, dtype=torch.float64) + 0.5
    )  # never near 0: each element counts
    weights *= torch.randint(0, 2, (n,), generator=generator) * 2 - 1
    # Groups of like size: a small gradient is not drowned by a large neighbour.
    order = (expected.abs() / scales).nan_to_num(math.inf).argsort()
    group = torch.empty(n, dtype=torch.long)
    group[order] = torch.arange(n) * count // n
    rows = torch.zeros(count, n, dtype=evaluator.at.dtype)
    rows[group, torch.arange(n)] = (weights * scales).to(rows.dtype)
    predicted = torch.zeros(count, dtype=torch.float64).scatter_add(0, group, expected * weights * scales)
    found = _settle(evaluator, rows, upstream, predicted, rtol, atol)
    agrees = (found["value"] - predicted).abs() <= rtol * predicted.abs() + atol + 5 * found["error"]
    doubtful = ~(agrees & found["certain"].bool())[group]
    # The largest are also measured by themselves: the report shows one.
    doubtful[order[-4:]] = True
    return doubtful.nonzero().reshape(-1)


def _settle(
    evaluator: Evaluator, rows: Tensor, upstream: Outputs, expected: Tensor, rtol: float, atol: float
) -> dict[str, Tensor]:
    """Take smaller and smaller steps along each direction until its slope is certain.

    A slope that agrees with the expected one is believed once it is precise enough. One that does not has to be
    confirmed by the next smaller step: a step that is too large for a fast oscillation, or that reaches over a
    corner nearby, is contradicted by it. What never settles is not known: NaN.
    """
    k = len(rows)
    best = {
        key: torch.full((k,), math.nan, dtype=torch.float64) for key in ("value", "error", "left", "right")
    }
    best["error"].fill_(math.inf)
    last_jump, last_value = (torch.full((k,), math.inf, dtype=torch.float64) for _ in range(2))
    settled, kink = torch.zeros(k, dtype=torch.bool), torch.zeros(k, dtype=torch.bool)
    active = torch.arange(k)
    for step in step_sizes(evaluator.precision):
        found = slopes(evaluator, rows[active], upstream, step)
        jump, noise = found.pop("jump").abs(), found.pop("noise")
        found["error"] = found["error"] + jump
        value, error, wanted = found["value"], found["error"], expected[active]
        tolerance = rtol * wanted.abs() + atol
        difference = (value - wanted).abs()
        # Where nothing is expected (NaN), a slope is confirmed if it is known to a percent.
        difference = torch.where(wanted.isfinite(), difference, 0.01 * value.abs() + 100 * noise)
        precise = error <= torch.maximum(0.2 * tolerance, 8 * noise)
        agrees = precise & (difference <= tolerance + 5 * error)
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
    plausible = (best["value"] - expected).abs() <= rtol * expected.abs() + atol + 5 * best["error"]
    best["value"][~(settled | plausible)] = math.nan
    return best | {"kink": kink, "certain": settled}
