"""Mistakes in how the upstream gradient reaches the argument: not at all, along some of the paths, backwards.

Right is Jᵀ · upstream: every element collects, over all results that depend on it, upstream × derivative.
Each function returns what completes "The gradient of x ..." if its mistake fits, else None.
``case.right_with`` is the right gradient for another upstream; ``m.jacobian`` is J with a row per result,
None where that is too much.
"""
# ruff: noqa: B023  every lambda is called in the round of the loop that makes it

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case, as_vector
from manualgrad.gradcheck.run import Measurement
from manualgrad.gradcheck.tolerance import close, same

NO_PATH = 1e-7  # a derivative that is smaller than this share of the largest counts as 0


def not_proportional(case: Case) -> str | None:
    """Tell whether the gradient is proportional to the upstream gradient."""
    m = case.first
    zero, double = case.yours_for(m, torch.zeros_like), case.yours_for(m, lambda u: 2 * u)
    if zero is None or double is None or same(double, 2 * m.yours):
        return None
    if same(zero, m.yours) and same(double, m.yours):
        return "does not change with the upstream gradient (grad_output): multiply by it"
    return (
        "is not proportional to the upstream gradient (grad_output): twice the upstream gradient does not "
        "give twice yours"
    )


def uniform_upstream(case: Case) -> str | None:
    """Recognise one number for the whole upstream gradient: its first element, mean or sum, or 1."""
    if len(case.first.upstream) != 1 or case.first.upstream[0].numel() < 2:
        return None
    ways: dict[str, Callable[..., Tensor]] = {
        "the first element of the upstream gradient for every element": lambda u: u.reshape(-1)[0],
        "the upstream gradient's mean for every element": torch.mean,
        "the upstream gradient's sum for every element": torch.sum,
        "ones for the upstream gradient": lambda u: torch.ones((), dtype=u.dtype),
    }
    for d, size in enumerate(case.first.upstream[0].shape):
        if size > 1 and case.first.upstream[0].dim() > 1:
            first = f"the upstream gradient of the first index of dimension {d} for all of them"
            ways[first] = partial(torch.narrow, dim=d, start=0, length=1)
    for what, way in ways.items():
        if case.explained_by(lambda m: case.right_with(m, [way(u).expand_as(u) for u in m.upstream])):
            return f"takes {what}"
    return None


def jacobian_not_transposed(case: Case) -> str | None:
    """Recognise the Jacobian where its transpose belongs: a kernel that is not flipped, a running sum."""
    if _explained(case, lambda jacobian, u: jacobian @ u):
        return (
            "is J · upstream, and Jᵀ · upstream is due: the upstream goes through forward's steps in their "
            "order, and belongs through the last one first, through each transposed"
        )
    return None


def diagonal(case: Case) -> str | None:
    """Recognise the Jacobian's diagonal alone: what an element does to other outputs is left out."""
    if _explained(case, lambda jacobian, u: jacobian.diagonal() * u):
        return (
            "keeps only the diagonal of the Jacobian: what an element does to its own output. Here each "
            "element also changes other outputs"
        )
    return None


def part_of_the_result(case: Case) -> str | None:
    """Find a dimension of the result of which only the first or the last index is counted."""
    u, *others = case.first.upstream
    for d, k in itertools.product(range(u.dim()) if not others else (), (0, -1)):

        def only(u: Tensor) -> Tensor:
            index = torch.tensor([k % u.shape[d]])
            return torch.zeros_like(u).index_add(d, index, u.index_select(d, index))

        if u.shape[d] > 1 and case.explained_by(lambda m: case.right_with(m, [only(m.upstream[0])])):
            which = "last" if k else "first"
            return (
                f"counts only the {which} index of the result's dimension {d}: the rest of the upstream "
                "gradient is left out"
            )
    return None


def output_weighted(case: Case) -> str | None:
    """Find the one of several results whose path is left out, or counts with another sign or a factor."""
    count = len(case.first.upstream)
    if count < 2 or case.shape.numel() <= count:
        return None
    m = case.first
    alone = [case.right_with(m, [u * (i == k) for i, u in enumerate(m.upstream)]) for k in range(count)]
    basis = torch.stack([right.reshape(-1) for right in alone], 1)
    weights = torch.linalg.lstsq(basis, m.yours.reshape(-1, 1)).solution.reshape(-1).tolist()
    weights = [round(weight, 4) + 0.0 for weight in weights]  # no minus zero

    def weighted(m: Measurement) -> Tensor:
        return case.right_with(m, [w * u for w, u in zip(weights, m.upstream, strict=True)])

    if not case.explained_by(weighted):
        return None
    off = [f"output {k} {weight:g} times" for k, weight in enumerate(weights) if weight != 1]
    return f"counts the upstream gradient of {' and of '.join(off)}: each belongs once"


def _explained(case: Case, formula: Callable[[Tensor, Tensor], Tensor]) -> bool:
    """Return whether a formula of the square Jacobian and the upstream, as a vector, gives yours everywhere.

    The results that do not depend on the argument are left out.
    """

    def value(m: Measurement) -> Tensor | None:
        if m.jacobian is None:
            return None
        rows = m.jacobian.any(1)
        jacobian, u = m.jacobian[rows], as_vector(m.upstream)[rows]
        return formula(jacobian, u).reshape(case.shape) if len(u) == case.shape.numel() else None

    return case.explained_by(value)


def overwritten(case: Case) -> str | None:
    """Recognise one contribution, or the mean, where several results depend on an element."""
    if all(m.jacobian is not None for m in case.measured) and case.explained_by(_mean):
        return "is the mean over the results that depend on an element, and their sum is due"
    if not all(_keeps_one_path(m) for m in case.measured):
        return None
    if len(case.first.upstream) > 1:
        return "keeps one path where several lead to the results, and their sum is due"
    return (
        "keeps one path where several lead to an element, and their sum is due (written to one place by "
        "x[index] = … or scatter, the last one stays; index_add and scatter_add add them)"
    )


def _mean(m: Measurement) -> Tensor:
    assert m.jacobian is not None
    count = (m.jacobian != 0).sum(0).clamp(min=1)
    return (as_vector(m.upstream) @ m.jacobian / count).reshape(m.yours.shape)


def _keeps_one_path(m: Measurement) -> bool:
    if m.jacobian is None:
        return False
    parts, yours = as_vector(m.upstream)[:, None] * m.jacobian, m.yours.reshape(-1)
    largest = parts.abs().max()
    leads_here = parts.abs() > NO_PATH * largest
    several = leads_here.sum(0) > 1
    is_one = (leads_here & ((parts - yours).abs() <= 1e-4 * largest)).any(0)
    fits = torch.where(several, is_one, close(yours, m.right.reshape(-1)))
    return bool(several.any()) and bool(fits.all())
