"""The gradient by finite differences, each slope repeated with smaller steps until it is certain.

Few elements are moved one at a time. Of many, a first pass moves whole groups, every element with its own
random weight, and compares the slope along the group with what the claimed gradient predicts: a wrong
element moves its group's slope, and the elements of a group that disagrees are then taken one at a time.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from manualgrad.gradcheck.numeric import Evaluator, Outputs, slopes, step_sizes

MOST_DIRECTIONS = 64  # more elements than this are first moved in groups
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
    """Return the elements whose group contradicts the claimed gradient, and a few that agree."""
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

    A slope that agrees with the expected one is believed once it is precise enough. One that does not has
    to be confirmed by the next smaller step: a step that is too large for a fast oscillation, or that
    reaches over a corner nearby, is contradicted by it. What never settles is not known: NaN.
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
