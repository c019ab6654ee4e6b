"""Mistakes that show in the returned gradient itself: nothing of it, its sign, its size, its order.

Each function returns the sentence if its mistake fits, else None; its docstring describes the mistake.
"""

import itertools
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.diagnoses.factors import name_factor
from manualgrad.gradcheck.diagnoses.replay import transposed_operand
from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.tolerance import largest, same

NEGLIGIBLE = 1e-9  # a derivative that is smaller than this share of yours counts as 0
SAME_FACTOR = 1e-3  # how far factors at several points may differ, relative to the first
NEARLY_ONE = (
    0.02  # a factor that is closer to 1 is told as an error, and not named: no size or exponent is meant
)
MOST_SLICES = 64  # of a dimension whose order is looked at


def missing_gradient(case: Case) -> str | None:
    """The gradient is None or zero everywhere, but the result depends on the argument."""
    if any(bool(case.yours(point).any()) for point in case.points):
        return None
    if all(point.run.gradients[case.position] is None for point in case.points):
        return f"There is no gradient for {case.name} (None), but the result depends on it."
    return f"The gradient of {case.name} is zero everywhere, but the result depends on it."


def non_finite(case: Case) -> str | None:
    """The gradient is NaN or infinite where the right one is finite."""
    for point in case.points:
        if bool((~case.yours(point).isfinite() & case.right(point).isfinite()).any()):
            return f"The gradient of {case.name} is NaN or infinite where the true one is finite."
    return None


def no_dependence(case: Case) -> str | None:
    """The gradient is not zero, but the result does not depend on the argument: a step function, say."""
    for point in case.points:
        yours, right = case.yours(point), case.right(point)
        if not bool(right.isfinite().all()) or largest(right) > NEGLIGIBLE * largest(yours):
            return None
    return (
        f"The result does not depend on {case.name}: the derivative is 0 here, and this gradient is not. If "
        "it is meant to be another function's (straight-through), pass that as surrogate."
    )


def ignores_upstream(case: Case) -> str | None:
    """The gradient is not proportional to the upstream gradient."""
    point = case.point
    yours = case.yours(point)
    zero = case.with_upstream(point, torch.zeros_like)
    double = case.with_upstream(point, lambda u: 2 * u)
    if zero is None or double is None:
        return None
    if same(zero, yours) and same(double, yours):
        return (
            f"The gradient of {case.name} does not change with the upstream gradient "
            "(grad_output): multiply by it."
        )
    if not same(double, 2 * yours):
        return (
            f"The gradient of {case.name} is not proportional to the upstream gradient "
            "(grad_output): twice the upstream gradient does not give twice yours."
        )
    return None


def uniform_upstream(case: Case) -> str | None:
    """The gradient takes one element, the mean or the sum of the upstream gradient for all of it."""
    upstream = case.point.run.upstream
    if len(upstream) != 1 or upstream[0].numel() < 2:
        return None
    ways = {
        "the first element of the upstream gradient for every element": lambda u: u.reshape(-1)[0],
        "the upstream gradient's mean for every element": torch.mean,
        "the upstream gradient's sum for every element": torch.sum,
        "ones for the upstream gradient": lambda u: torch.ones((), dtype=u.dtype, device=u.device),
    }
    for d, size in enumerate(upstream[0].shape):
        if size > 1 and upstream[0].dim() > 1:
            ways[f"the upstream gradient of the first index of dimension {d} for all of them"] = (
                lambda u, d=d: u.narrow(d, 0, 1)
            )
    for what, way in ways.items():

        def uniform(point: Point, way: object = way) -> Tensor:
            (u,) = point.run.upstream
            return case.right_for(point, (way(u).expand_as(u).clone(),))  # type: ignore[operator]

        if case.explained_by(uniform):
            return f"The gradient of {case.name} takes {what}."
    return None


def sign(case: Case) -> str | None:
    """The gradient is minus the right one."""
    if case.explained_by(lambda point: -case.right(point)):
        return f"The gradient of {case.name} has the wrong sign."
    return None


def scale(case: Case) -> str | None:
    """The gradient is the right one times a constant, the same at every point."""
    factors = [case.factor(point) for point in case.points]
    factor = factors[0]
    if factor is None or any(f is None or abs(f - factor) > SAME_FACTOR * abs(factor) for f in factors):
        return None
    if not case.explained_by(lambda point: factor * case.right(point)):
        return None
    if abs(factor - 1) < NEARLY_ONE:
        return f"The gradient of {case.name} is off by {abs(factor - 1):.1g} of its size, everywhere."
    return f"The gradient of {case.name} is {name_factor(factor, case)} × the right one, everywhere."


def conjugated(case: Case) -> str | None:
    """The gradient of a complex argument is the conjugate of the right one."""
    if not case.point.values[case.position].is_complex():
        return None
    turned = torch.tensor([1.0, -1.0], dtype=torch.float64)
    if case.explained_by(lambda point: case.right(point) * turned):
        return (
            f"The gradient of {case.name} is the conjugate of the right one: PyTorch's is upstream × "
            "conj(∂y/∂x) for a holomorphic function."
        )
    return None


def swapped_inputs(case: Case) -> str | None:
    """The gradient is the right one of another argument."""
    for other, right in case.point.right.items():
        if other == case.position or right.numel() != case.right(case.point).numel():
            continue
        if case.explained_by(lambda point, other=other: point.right[other].reshape(case.shape)):  # type: ignore[misc]
            return f"The gradient returned for {case.name} is the right one for {case.names[other]}."
    return None


def transposed(case: Case) -> str | None:
    """The gradient has the right numbers with two dimensions exchanged, or in another order."""
    shape = case.shape
    orders = itertools.permutations(range(len(shape))) if 2 <= len(shape) <= 4 else ()
    for order in itertools.islice(orders, 1, None):
        if case.explained_by(partial(_laid_out, case=case, order=order)):
            how = "the transpose of" if len(shape) == 2 else f"permuted by {order} from"
            return f"The gradient of {case.name} is {how} the right one."
    name = transposed_operand(case)
    if name is not None:
        return f"The gradient of {case.name} is right if {name} is transposed where backward uses it."
    return _reordered(case)


def _laid_out(point: Point, case: Case, order: Sequence[int]) -> Tensor:
    return case.right(point).permute(*order).reshape(case.shape)


def _reordered(case: Case) -> str | None:
    """The right slices of one dimension come in another order: a permutation was not inverted."""
    for d, size in enumerate(case.shape):
        if not 2 <= size <= MOST_SLICES:
            continue
        yours, right = (
            t.movedim(d, 0).reshape(size, -1) for t in (case.yours(case.point), case.right(case.point))
        )
        if not bool((yours.isfinite() & right.isfinite()).all()):
            continue
        order = (yours[:, None] - right[None]).abs().sum(-1).argmin(1)
        if len(order.unique()) < size or not bool((order != torch.arange(size)).any()):
            continue
        if case.explained_by(lambda point, d=d, order=order: case.right(point).index_select(d, order)):  # type: ignore[misc]
            return (
                f"The gradient of {case.name} has the right values in another order along dimension {d}: "
                f"{order.tolist()[:8]}. A permutation is undone by its inverse."
            )
    return None
