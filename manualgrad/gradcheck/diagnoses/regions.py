"""A gradient that is wrong only somewhere: find the condition that tells the wrong elements from the right.

Each function returns what completes "The gradient of x ..." if such a condition holds, else None. A
condition is a mask with its words, made from the signs and sizes of the arguments and results, from indices,
or from class labels. It fits if it holds exactly where yours is wrong, at every point.
"""

import itertools
import math
import operator
from collections.abc import Iterator

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.diagnoses.factors import name_factor
from manualgrad.gradcheck.run import Measurement
from manualgrad.gradcheck.tolerance import Tolerance, close, largest

REGION = Tolerance(1e-4, 1e-6)
COMPARISONS = {
    "<": operator.lt, "≤": operator.le, ">": operator.gt, "≥": operator.ge, "=": operator.eq,
    "≠": operator.ne,
}  # fmt: skip


def condition(case: Case) -> str | None:
    """Find a condition that holds exactly where yours is wrong, or has another factor than elsewhere."""
    wrong = [_wrong(case, m) for m in case.measured]
    everywhere = all(bool(w.all()) for w in wrong)
    if everywhere:
        wrong = [_has_another_factor(m) for m in case.measured]
    if not all(bool(w.any()) and not bool(w.all()) for w in wrong):
        return None
    # One condition at a time: of a big tensor all of them would not fit into memory.
    for held in zip(*(_conditions(case, m, wrong[0]) for m in case.measured), strict=False):
        masks = [holds for _, holds in held]
        if all(_matches(m, holds, w) for m, holds, w in zip(case.measured, masks, wrong, strict=True)):
            there, elsewhere = _factor(case, masks), _factor(case, [~holds for holds in masks])
            if everywhere and (there is None or elsewhere is None):
                continue
            size = f", {name_factor(there, case)} × the right one there" if there else ""
            size += f" and {name_factor(elsewhere, case)} × elsewhere" if everywhere and elsewhere else ""
            return f"is wrong {'' if everywhere else 'only '}{held[0][0]}{size}"
    return None


def zero_elsewhere(case: Case) -> str | None:
    """Find where alone yours is not zero: at some indices of a dimension, on a diagonal."""
    conditions = (_index_conditions(m.yours != 0) for m in case.measured)
    for held in zip(*conditions, strict=False):
        rest = [(m.yours[~here], m.right[~here]) for m, (_, here) in zip(case.measured, held, strict=True)]
        if all(not bool(yours.any()) and bool(right.any()) for yours, right in rest):
            return f"is zero everywhere but {held[0][0]}"
    return None


def _wrong(case: Case, m: Measurement) -> Tensor:
    return ~close(m.yours, m.right, REGION, m.numeric.error.nan_to_num(0.0))


def _has_another_factor(m: Measurement) -> Tensor:
    """Return where yours is another multiple of the right one than in the first element."""
    ratio = (m.yours / m.right).nan_to_num(0.0)
    return ~close(ratio, ratio.reshape(-1)[0].expand_as(ratio), REGION)


def _factor(case: Case, masks: list[Tensor]) -> float | None:
    """Return the constant that yours is the right one times, where the masks hold; None if there is none."""
    yours, right = (
        torch.cat([t[holds] for t, holds in zip(column, masks, strict=True)])
        for column in ([m.yours for m in case.measured], [m.right for m in case.measured])
    )
    factor = float((yours * right).sum()) / max(float((right**2).sum()), 1e-300)
    return factor if factor and bool(close(yours, factor * right, REGION).all()) else None


def mask(case: Case) -> str | None:
    """Recognise zeros at the wrong places: a mask that is reversed, taken from elsewhere or drawn anew."""
    if all(_is_inverted(m) for m in case.measured):
        return "is zero where it should not be, and not where it should: the mask is the wrong way round"
    if all(_is_masked_by_upstream(m) for m in case.measured):
        return "is zero where grad_output is negative: the mask is taken from it, and belongs to the input"
    if all(_has_other_zeros(m) for m in case.measured):
        return (
            "is right but for a mask: it is zero at other elements than it should be. Use the very mask that "
            "forward used, and draw no new one"
        )
    return None


def _is_inverted(m: Measurement) -> bool:
    yours, right = m.yours != 0, m.right.abs() > 1e-9
    return bool((yours == ~right).all()) and bool(yours.any()) and bool(right.any())


def _is_masked_by_upstream(m: Measurement) -> bool:
    u = m.upstream[0]
    if len(m.upstream) != 1 or u.shape != m.yours.shape:
        return False
    return bool(((m.yours == 0) == (u < 0)).all()) and not bool((m.right == 0)[u < 0].all())


def _has_other_zeros(m: Measurement) -> bool:
    yours, right = m.yours != 0, m.right.abs() > 1e-9
    both = yours & right
    return bool(both.any()) and bool(close(m.yours[both], m.right[both], REGION).all())


def _matches(m: Measurement, condition: Tensor, wrong: Tensor) -> bool:
    """Return whether the condition holds exactly where yours is wrong; zeros that agree tell nothing."""
    idle = ((m.yours == 0) & (m.right.abs() <= 1e-12 * largest(m.right))) | ~m.right.isfinite()
    fits = bool(((condition == wrong) | idle).all()) and bool((condition & wrong).any())
    return fits and bool((~condition & ~idle).any())


def _conditions(case: Case, m: Measurement, wrong: Tensor) -> Iterator[tuple[str, Tensor]]:
    tensors = _of_this_shape(case, m)
    for (name, x), bound in itertools.product(tensors.items(), (0, 1)):
        for symbol, compare in COMPARISONS.items():
            yield f"where {name} {symbol} {bound}", compare(x, bound)
    for name, x in tensors.items():
        yield f"where |{name}| > 1", x.abs() > 1
        yield f"where |{name}| < 1", x.abs() < 1
    for (a, x), (b, y) in itertools.combinations(tensors.items(), 2):
        for symbol in ("<", ">", "="):
            yield f"where {a} {symbol} {b}", COMPARISONS[symbol](x, y)
    u = m.upstream[0]
    if len(m.upstream) == 1 and u.shape == case.shape:
        yield "where the upstream gradient is negative", u < 0
        yield "where the upstream gradient is positive", u > 0
    yield from _target_conditions(case, m)
    yield from _index_conditions(wrong)


def _of_this_shape(case: Case, m: Measurement) -> dict[str, Tensor]:
    """Return the argument itself, then others of its shape, then results of its shape."""
    named = {case.name: m.inputs.get(case.name), **m.inputs, **m.outputs}
    fitting = {name: x for name, x in named.items() if x is not None and x.shape == case.shape}
    return {name: x.byte() if x.dtype == torch.bool else x for name, x in fitting.items()}


def _target_conditions(case: Case, m: Measurement) -> Iterator[tuple[str, Tensor]]:
    """Yield what class indices beside a table of scores pick: a column in each row, or rows."""
    shape = case.shape
    for name, target in m.inputs.items():
        if target.is_floating_point() or len(shape) < 2 or target.shape != (shape[0], *shape[2:]):
            continue
        classes = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        column = (classes == target.unsqueeze(1)).expand(shape)
        yield f"in the target's column (class {name})", column
        yield f"outside the target's column (class {name})", ~column
        for label in target.unique().tolist()[:16]:
            rows = (target == label).unsqueeze(1).expand(shape)
            yield f"in the rows whose {name} is {label}", rows
            yield f"in the rows whose {name} is not {label}", ~rows


def _index_conditions(wrong: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the indices of each dimension at which anything is wrong, and the diagonals of a matrix."""
    shape = wrong.shape
    names = {1: ("element",), 2: ("row", "column")}.get(len(shape))
    for d, size in enumerate(shape):
        others = [k for k in range(len(shape)) if k != d]
        here = wrong.any(others[0] if len(others) == 1 else tuple(others)) if others else wrong
        if size > 1 and not bool(here.all()):
            what = names[d] if names else f"dimension {d} at index"
            indices = here.nonzero().reshape(-1).tolist()
            along = here.reshape([-1 if k == d else 1 for k in range(len(shape))]).expand(shape)
            yield f"in {what}{'s' * (len(indices) > 1 and bool(names))} {_ranges(indices)}", along
    if len(shape) == 2:
        row, column = torch.arange(shape[0])[:, None], torch.arange(shape[1])
        for where, compare in (("on", "="), ("off", "≠"), ("below", ">"), ("above", "<")):
            yield f"{where} the diagonal", COMPARISONS[compare](row, column)
    if len(shape) > 1:
        flat = torch.arange(math.prod(shape)).reshape(shape)
        yield "in the first element", flat == 0
        yield "in the last element", flat == flat.max()


def _ranges(indices: list[int]) -> str:
    """Write indices as a person would: ``0, 2, 4 to 7``."""
    starts = [i for i in indices if i - 1 not in indices]
    ends = [i for i in indices if i + 1 not in indices]
    parts = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    return ", ".join(parts[:8]) + ", …" * (len(parts) > 8)


def threshold(case: Case) -> str | None:
    """Find a threshold of a tensor, its size or a difference, beyond which alone yours is wrong."""
    right, yours, wrong = (
        torch.cat([t.reshape(-1) for t in column])
        for column in zip(*((m.right, m.yours, _wrong(case, m)) for m in case.measured), strict=True)
    )
    known = right.isfinite()
    right, yours, wrong = right[known], yours[known], wrong[known]
    if int(wrong.sum()) < 3 or int((~wrong).sum()) < 3 or not bool(right[~wrong].any()):
        return None
    # What grows from nothing on is no region: its end is where the tolerance lies.
    error = ((yours - right).abs() / (right.abs() + yours.abs())).nan_to_num(0.0)
    if float(error[~wrong].max()) > 1e-5:
        return None
    columns = [_sizes(case, m) for m in case.measured]
    for name in columns[0]:
        x = torch.cat([column[name].double().reshape(-1) for column in columns])[known]
        for relation, low, high in (
            (">", float(x[~wrong].max()), float(x[wrong].min())),
            ("<", float(x[wrong].max()), float(x[~wrong].min())),
        ):
            if low < high:
                there = _factor(case, [_wrong(case, m) for m in case.measured])
                size = f", {name_factor(there, case)} × the right one there" if there else ""
                between = f"a threshold between {low:.3g} and {high:.3g}"
                return f"is wrong only where {name} {relation} {between}{size}"
    return None


def _sizes(case: Case, m: Measurement) -> dict[str, Tensor]:
    tensors = _of_this_shape(case, m)
    pairs = itertools.combinations(tensors.items(), 2)
    return (
        tensors
        | {f"|{name}|": x.abs() for name, x in tensors.items()}
        | {f"|{a} − {b}|": (x - y).abs() for (a, x), (b, y) in pairs}
    )
