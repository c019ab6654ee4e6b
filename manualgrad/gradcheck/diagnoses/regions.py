"""Find a condition that tells the wrong elements from the right, if a gradient is wrong only somewhere."""

import itertools
import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.tolerance import Tolerance, close, largest

Condition = tuple[str, Tensor]
BIG = 100_000  # elements for which only few indices are tried
REGION = Tolerance(1e-4, 1e-6)


def plain_region(case: Case) -> str | None:
    """Be wrong exactly where an argument or output compares with 0 or 1, at an index, or at the target."""
    wrong = [_wrong(case, point) for point in case.points]
    if not all(bool(mask.any()) and not bool(mask.all()) for mask in wrong):
        return _inverted(case) or _masked_by_upstream(case)
    # One condition at a time: of a big tensor all of them would not fit into memory.
    for held in zip(*(_conditions(case, point) for point in case.points), strict=False):
        masks = [mask for _, mask in held]
        if all(itertools.starmap(partial(_matches, case), zip(case.points, masks, wrong, strict=True))):
            return f"The gradient of {case.name} is wrong only {held[0][0]}."
    return _masked_by_upstream(case)


def _wrong(case: Case, point: Point) -> Tensor:
    return ~close(
        case.yours(point), case.right(point), REGION, point.numeric[case.position].error.nan_to_num(0.0)
    )


def _matches(case: Case, point: Point, condition: Tensor, wrong: Tensor) -> bool:
    """Return whether the condition holds exactly where yours is wrong; zeros that agree tell nothing."""
    yours, right = case.yours(point), case.right(point)
    idle = ((yours == 0) & (right.abs() <= 1e-12 * largest(right))) | ~right.isfinite()
    fits = bool(((condition == wrong) | idle).all()) and bool((condition & wrong).any())
    return fits and bool((~condition & ~idle).any())


def _inverted(case: Case) -> str | None:
    """Be zero exactly where the right one is not, and the reverse: the mask is the wrong way round."""
    for point in case.points:
        yours, right = case.yours(point) != 0, case.right(point).abs() > 1e-9
        if not bool((yours == ~right).all()) or not bool(yours.any()) or not bool(right.any()):
            return None
    return (
        f"The gradient of {case.name} is zero where it should not be, and not zero where it should "
        f"be: the mask is the wrong way round."
    )


def _masked_by_upstream(case: Case) -> str | None:
    """Be zero exactly where the upstream gradient is negative: the mask was taken from it."""
    for point in case.points:
        upstream = point.run.upstream
        if len(upstream) != 1 or tuple(upstream[0].shape) != case.shape or upstream[0].is_complex():
            return None
        zero, negative = case.yours(point) == 0, upstream[0].cpu() < 0
        if not bool((zero == negative).all()) or bool((case.right(point) == 0)[negative].all()):
            return None
    return (
        f"The gradient of {case.name} is zero where the upstream gradient is negative: the mask is taken "
        f"from grad_output, and belongs to the input."
    )


def _conditions(case: Case, point: Point) -> Iterator[Condition]:
    shape = case.shape
    tensors = list(_tensors(case, point))
    for name, x in tensors:
        yield f"where {name} < 0", x < 0
        yield f"where {name} ≤ 0", x <= 0
        yield f"where {name} > 0", x > 0
        yield f"where {name} ≥ 0", x >= 0
        yield f"where {name} = 0", x == 0
        yield f"where {name} ≠ 0", x != 0
        yield f"where |{name}| > 1", x.abs() > 1
        yield f"where |{name}| < 1", x.abs() < 1
        yield f"where {name} > 1", x > 1
        yield f"where {name} < 1", x < 1
        yield f"where {name} = 1", x == 1
    for (a, x), (b, y) in ((p, q) for p in tensors for q in tensors if p[0] < q[0]):
        yield f"where {a} < {b}", x < y
        yield f"where {a} > {b}", x > y
        yield f"where {a} = {b}", x == y
    if len(point.run.upstream) == 1 and tuple(point.run.upstream[0].shape) == shape:
        u = point.run.upstream[0].cpu()
        if not u.is_complex():
            yield "where the upstream gradient is negative", u < 0
            yield "where the upstream gradient is positive", u > 0
    yield from _target_conditions(case, point)
    yield from _index_conditions(shape)


def _tensors(case: Case, point: Point) -> Iterator[tuple[str, Tensor]]:
    """Yield the argument itself, then others of its shape, then results of its shape."""
    values = point.values
    real = [i for i, v in enumerate(values) if isinstance(v, Tensor) and not v.is_complex()]
    for i in sorted(real, key=lambda i: i != case.position):
        if tuple(values[i].shape) == case.shape:
            yield case.names[i], values[i].cpu()
    for output in point.run.outputs:
        if tuple(output.shape) == case.shape and not output.is_complex():
            yield "the output", output.cpu()


def _target_conditions(case: Case, point: Point) -> Iterator[Condition]:
    """Yield what class indices beside a table of scores pick: a column in each row, or rows."""
    shape = case.shape
    for i, value in enumerate(point.values):
        if not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex() or len(shape) < 2:
            continue
        name, target = case.names[i], value.cpu().long()
        if tuple(target.shape) != (shape[0], *shape[2:]):
            continue
        classes = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        column = (classes == target.unsqueeze(1)).expand(shape)
        yield f"in the target's column (class {name})", column
        yield f"outside the target's column (class {name})", ~column
        for label in target.unique().tolist()[:16]:
            rows = (target == label).unsqueeze(1).expand(shape)
            yield f"in the rows whose {name} is {label}", rows
            yield f"in the rows whose {name} is not {label}", ~rows


def _index_conditions(shape: tuple[int, ...]) -> Iterator[Condition]:
    most = 256 if math.prod(shape) <= BIG else 8
    for d, size in enumerate(shape):
        matrix = len(shape) == 2
        what = (
            "element" if len(shape) == 1 else ("row", "column")[d] if matrix else f"index of dimension {d}:"
        )
        index = torch.arange(size).reshape([-1 if k == d else 1 for k in range(len(shape))]).expand(shape)
        few = [*range(min(size, 32, most)), size - 1] if size > 1 else []
        for k in few:
            yield f"in {what} {k}", index == k
        for k in few:
            yield f"outside {what} {k}", index != k
        for k in range(2, min(size - 1, most)):
            yield f"from {what} {k} on", index >= k
            yield f"before {what} {k}", index < k
    if len(shape) == 2 and min(shape) > 1:
        row, column = torch.arange(shape[0])[:, None], torch.arange(shape[1])
        yield "on the diagonal", row == column
        yield "off the diagonal", row != column
        yield "below the diagonal", row > column
        yield "above the diagonal", row < column
    if len(shape) == 2:
        flat = torch.arange(shape[0] * shape[1]).reshape(shape)
        yield "in the first element", flat == 0
        yield "in the last element", flat == flat.max()


def threshold_region(case: Case) -> str | None:
    """Be wrong exactly beyond one threshold of a tensor, of its size or of a difference, at every point."""
    right = torch.cat([case.right(point).reshape(-1) for point in case.points])
    yours = torch.cat([case.yours(point).reshape(-1) for point in case.points])
    wrong = torch.cat([_wrong(case, point).reshape(-1) for point in case.points])
    known = right.isfinite()
    right, yours, wrong = right[known], yours[known], wrong[known]
    if int(wrong.sum()) < 3 or int((~wrong).sum()) < 3 or not bool(right[~wrong].any()):
        return None
    # What grows from nothing on is no region: its end is where the tolerance lies.
    error = ((yours - right).abs() / (right.abs() + yours.abs())).nan_to_num(0.0)
    if float(error[~wrong].max()) > 1e-5:
        return None
    columns = [dict(_measures(case, point)) for point in case.points]
    for name in columns[0]:
        y = torch.cat([column[name].double().reshape(-1) for column in columns])[known]
        for relation, low, high in (
            (">", float(y[~wrong].max()), float(y[wrong].min())),
            ("<", float(y[wrong].max()), float(y[~wrong].min())),
        ):
            if low < high:
                return (
                    f"The gradient of {case.name} is wrong only where {name} {relation} a threshold between "
                    f"{low:.3g} and {high:.3g}."
                )
    return None


def _measures(case: Case, point: Point) -> Iterator[Condition]:
    tensors = list(_tensors(case, point))
    for name, x in tensors:
        yield name, x
        yield f"|{name}|", x.abs()
    for (a, x), (b, y) in ((p, q) for p in tensors for q in tensors if p[0] < q[0]):
        if x.dtype != torch.bool and y.dtype != torch.bool:
            yield f"|{a} − {b}|", (x - y).abs()
