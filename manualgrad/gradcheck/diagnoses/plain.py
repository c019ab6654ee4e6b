"""Mistakes that show in the returned gradient itself: nothing of it, its sign, its size, its order.

Each function returns what completes "The gradient of x ..." if its mistake fits, else None. ``m.yours`` is
the gradient as it was returned at one point and ``m.right`` the right one, which is NaN where it is not
known.
"""
# ruff: noqa: B023  every lambda is called in the round of the loop that makes it

import itertools

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.diagnoses.factors import name_factor
from manualgrad.gradcheck.run import Measurement
from manualgrad.gradcheck.tolerance import largest, same

NEGLIGIBLE = 1e-9  # a derivative that is smaller than this share of yours counts as 0
SAME_FACTOR = 1e-3  # how far factors at several points may differ, relative to the first
NEARLY_ONE = 0.02  # a factor that is closer to 1 stands for no size or exponent
MOST_SLICES = 64  # of a dimension whose order is looked at


def missing_gradient(case: Case) -> str | None:
    """Recognise None, or zeros everywhere, where the result depends on the argument."""
    if any(bool(m.yours.any()) for m in case.measured):
        return None
    nothing = all(m.run.gradients[case.position] is None for m in case.measured)
    return f"is {'None' if nothing else 'zero everywhere'}, but the result depends on it"


def non_finite(case: Case) -> str | None:
    """Find NaN and infinity where the right gradient is finite."""
    if any(bool((~m.yours.isfinite() & m.right.isfinite()).any()) for m in case.measured):
        return "is NaN or infinite where the true one is finite"
    return None


def no_dependence(case: Case) -> str | None:
    """Recognise a gradient of what the result does not depend on: of a step function, say."""
    for m in case.measured:
        if not bool(m.right.isfinite().all()) or largest(m.right) > NEGLIGIBLE * largest(m.yours):
            return None
    return (
        f"should be 0: the result does not depend on {case.name} here. If it is meant to be another "
        "function's gradient (straight-through), pass that as surrogate"
    )


def sign(case: Case) -> str | None:
    """Recognise minus the right gradient."""
    return "has the wrong sign" if case.explained_by(lambda m: -m.right) else None


def scale(case: Case) -> str | None:
    """Recognise the right gradient times a constant, the same at every point."""
    factors = [_best_factor(m) for m in case.measured]
    factor = factors[0]
    if not factor or any(abs(f - factor) > SAME_FACTOR * abs(factor) for f in factors):
        return None
    if not case.explained_by(lambda m: factor * m.right):
        return None
    if abs(factor - 1) < NEARLY_ONE:
        return f"is off by {abs(factor - 1):.1g} of its size, everywhere"
    return f"is {name_factor(factor, case)} × the right one, everywhere"


def nearly_right(case: Case) -> str | None:
    """Recognise a gradient that is a little off, and nowhere exactly right."""
    off = max(float(((m.yours - m.right) / m.right).abs().nan_to_num(0.0).max()) for m in case.measured)
    if off < NEARLY_ONE:
        return (
            f"is nearly right: off by up to {off:.1g} of an element. An ε, a rounded number or an option "
            "that backward does not read differs"
        )
    return None


def _best_factor(m: Measurement) -> float:
    """Return the constant that best turns the right gradient into yours, whether or not it fits well."""
    known = m.yours.isfinite() & m.right.isfinite()
    yours, right = m.yours[known], m.right[known]
    return float((yours * right).sum()) / max(float((right**2).sum()), 1e-300)


def swapped_inputs(case: Case) -> str | None:
    """Recognise the right gradient of another argument."""
    for other, gradient in case.first.run.measured.items():
        if other == case.position or gradient.right.numel() != case.shape.numel():
            continue
        if case.explained_by(lambda m: m.run.measured[other].right.reshape(case.shape)):
            return f"is the right one for {case.names[other]}"
    return None


def rearranged(case: Case) -> str | None:
    """Recognise the right numbers in another order: transposed, flipped, a permutation not undone."""
    shape, dims = case.shape, range(len(case.shape))
    orders = itertools.permutations(dims) if 2 <= len(shape) <= 4 else ()
    for order in itertools.islice(orders, 1, None):
        if case.explained_by(lambda m: m.right.permute(order).reshape(shape)):
            how = "the transpose of" if len(shape) == 2 else f"permuted by {order} from"
            return f"is {how} the right one"
    for flipped in [(d,) for d in dims] + list(itertools.combinations(dims, 2)):
        if case.explained_by(lambda m: m.right.flip(flipped)):
            return f"is the right one flipped along {' and '.join(f'dimension {d}' for d in flipped)}"
    for d, n in itertools.product(dims, (1, 2, 3, -1, -2, -3)):
        keep = shape[d] - abs(n)
        if keep >= 2 and all(_is_shifted(m, d, n, keep) for m in case.measured):
            return f"is the right one shifted by {n} along dimension {d}"
    for d in dims:
        found = _order_along(d, case.first)
        if found is not None and case.explained_by(lambda m: m.right.index_select(d, found)):
            return (
                f"has the right values in another order along dimension {d}: {found.tolist()[:8]}. A "
                "permutation is undone by its inverse"
            )
    return None


def _is_shifted(m: Measurement, d: int, n: int, keep: int) -> bool:
    yours, right = m.yours.narrow(d, max(n, 0), keep), m.right.narrow(d, max(-n, 0), keep)
    return bool(right.any()) and bool((right != right.flatten()[0]).any()) and same(yours, right)


def _order_along(d: int, m: Measurement) -> Tensor | None:
    """Return which slice of the right gradient is most like each of yours, if that is a new order."""
    size = m.yours.shape[d]
    yours, right = (t.movedim(d, 0).reshape(size, -1).nan_to_num() for t in (m.yours, m.right))
    if not 2 <= size <= MOST_SLICES:
        return None
    order = (yours[:, None] - right[None]).abs().sum(-1).argmin(1)
    is_new = len(order.unique()) == size and bool((order != torch.arange(size)).any())
    return order if is_new else None
