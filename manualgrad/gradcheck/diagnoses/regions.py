"""A gradient that is wrong only somewhere: find the condition that tells the wrong elements from the right.

Each function returns what the gradient does if such a condition holds, else None. A condition is a mask with
its words, made from the signs and sizes of the arguments and results, from indices, or from class labels.
It fits if it holds exactly where yours is wrong, at every point.
"""

import itertools
import math
import operator
from collections.abc import Iterator

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case, Measurement
from manualgrad.gradcheck.tolerance import Tolerance, close, largest

BIG = 100_000  # elements for which only few indices are tried
REGION = Tolerance(1e-4, 1e-6)
COMPARISONS = {
    "<": operator.lt, "≤": operator.le, ">": operator.gt, "≥": operator.ge, "=": operator.eq,
    "≠": operator.ne,
}  # fmt: skip


def mask(case: Case) -> str | None:
    """The gradient is zero at the wrong places: its mask is reversed, taken from elsewhere or drawn anew."""
    if any(bool((m.yours != 0).all()) for m in case.measured):
        return None
    if all(_is_inverted(m) for m in case.measured):
        return (
            "is zero where it should not be, and not zero where it should be: the mask is the wrong way round"
        )
    if all(_is_masked_by_upstream(m) for m in case.measured):
        return "is zero where grad_output is negative: the mask is taken from it, and belongs to the input"
    if all(_has_other_zeros(m) for m in case.measured):
        return (
            "has its zeros at other elements than the right one, and is right elsewhere: use the mask that "
            "forward used, and draw or make no new one"
        )
    return None


def _is_inverted(m: Measurement) -> bool:
    yours, right = m.yours != 0, m.right.abs() > 1e-9
    return bool((yours == ~right).all()) and bool(yours.any()) and bool(right.any())


def _is_masked_by_upstream(m: Measurement) -> bool:
    u = m.upstream[0]
    if len(m.upstream) != 1 or u.shape != m.yours.shape or u.is_complex():
        return False
    return bool(((m.yours == 0) == (u < 0)).all()) and not bool((m.right == 0)[u < 0].all())


def _has_other_zeros(m: Measurement) -> bool:
    yours, right = m.yours != 0, m.right.abs() > 1e-9
    both = yours & right
    agree = bool(close(m.yours[both], m.right[both], REGION).all())
    return agree and all(bool(some.any()) for some in (both, yours & ~right, right & ~yours))


def condition(case: Case) -> str | None:
    """The gradient is wrong exactly where a condition holds."""
    wrong = [_wrong(case, m) for m in case.measured]
    if not all(bool(w.any()) and not bool(w.all()) for w in wrong):
        return None
    # One condition at a time: of a big tensor all of them would not fit into memory.
    for held in zip(*(_conditions(case, m) for m in case.measured), strict=False):
        if all(_matches(m, holds, w) for m, (_, holds), w in zip(case.measured, held, wrong, strict=True)):
            return f"is wrong only {held[0][0]}"
    return None


def _wrong(case: Case, m: Measurement) -> Tensor:
    return ~close(m.yours, m.right, REGION, m.point.numeric[case.position].error.nan_to_num(0.0))


def _matches(m: Measurement, condition: Tensor, wrong: Tensor) -> bool:
    """Return whether the condition holds exactly where yours is wrong; zeros that agree tell nothing."""
    idle = ((m.yours == 0) & (m.right.abs() <= 1e-12 * largest(m.right))) | ~m.right.isfinite()
    fits = bool(((condition == wrong) | idle).all()) and bool((condition & wrong).any())
    return fits and bool((~condition & ~idle).any())


def _conditions(case: Case, m: Measurement) -> Iterator[tuple[str, Tensor]]:
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
    if len(m.upstream) == 1 and u.shape == case.shape and not u.is_complex():
        yield "where the upstream gradient is negative", u < 0
        yield "where the upstream gradient is positive", u > 0
    yield from _target_conditions(case, m)
    yield from _index_conditions(case.shape)


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


def _index_conditions(shape: torch.Size) -> Iterator[tuple[str, Tensor]]:
    few = 32 if math.prod(shape) <= BIG else 8
    names = {1: ("element",), 2: ("row", "column")}.get(len(shape))
    for d, size in enumerate(shape):
        what = names[d] if names else f"index of dimension {d}:"
        index = torch.arange(size).reshape([-1 if k == d else 1 for k in range(len(shape))]).expand(shape)
        for k in [*range(min(size, few)), size - 1] if size > 1 else ():
            yield f"in {what} {k}", index == k
            yield f"outside {what} {k}", index != k
            yield f"from {what} {k} on", index >= k
            yield f"before {what} {k}", index < k
    if len(shape) == 2:
        row, column = torch.arange(shape[0])[:, None], torch.arange(shape[1])
        for where, compare in (("on", "="), ("off", "≠"), ("below", ">"), ("above", "<")):
            yield f"{where} the diagonal", COMPARISONS[compare](row, column)
    if len(shape) > 1:
        flat = torch.arange(math.prod(shape)).reshape(shape)
        yield "in the first element", flat == 0
        yield "in the last element", flat == flat.max()


def threshold(case: Case) -> str | None:
    """The gradient is wrong exactly beyond one threshold of a tensor, of its size or of a difference."""
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
                return f"is wrong only where {name} {relation} a threshold between {low:.3g} and {high:.3g}"
    return None


def _sizes(case: Case, m: Measurement) -> dict[str, Tensor]:
    tensors = _of_this_shape(case, m)
    pairs = itertools.combinations(tensors.items(), 2)
    return (
        tensors
        | {f"|{name}|": x.abs() for name, x in tensors.items()}
        | {f"|{a} − {b}|": (x - y).abs() for (a, x), (b, y) in pairs}
    )
