"""A condition that tells the wrong elements from the right, if a gradient is wrong only somewhere."""

from collections.abc import Iterator

import torch
from torch import Tensor

from manualgrad.gradcheck.case import Case
from manualgrad.gradcheck.judge import Sample

Condition = tuple[str, Tensor]


def plain_region(case: Case) -> str | None:
    """Wrong exactly where an argument or output compares with 0 or 1, at an index, or at the target."""
    return _sentence(case, _plain_conditions)


def threshold_region(case: Case) -> str | None:
    """Wrong exactly beyond some threshold of the input."""
    return _threshold(case)


def _sentence(case: Case, conditions: object) -> str | None:
    wrong = [_wrong(case, sample) for sample in case.samples]
    if not all(_mixed(mask, sample, case) for mask, sample in zip(wrong, case.samples, strict=True)):
        return _inverted(case)
    held = [dict(_plain_conditions(case, sample)) for sample in case.samples]
    for name in held[0]:
        if all(
            name in h and _matches(case, s, h[name], w)
            for h, s, w in zip(held, case.samples, wrong, strict=True)
        ):
            return f"The gradient of {case.name} is wrong only {name}."
    return None


def _wrong(case: Case, sample: Sample) -> Tensor:
    yours, right = sample.yours[case.position], sample.right[case.position]
    known = right.isfinite()
    size = right[known].abs().max() if bool(known.any()) else torch.tensor(0.0)
    return (
        ~((yours - right).abs() <= 1e-4 * right.abs() + 1e-6 * size + 5 * sample.numeric[case.position].error)
    ) & known


def _mixed(wrong: Tensor, sample: Sample, case: Case) -> bool:
    return bool(wrong.any()) and not bool(wrong.all())


def _matches(case: Case, sample: Sample, condition: Tensor, wrong: Tensor) -> bool:
    """Whether the condition holds exactly where yours is wrong; zeros that agree tell nothing."""
    idle = (sample.yours[case.position] == 0) & (sample.right[case.position].abs() <= 1e-12)
    idle |= ~sample.right[case.position].isfinite()
    return bool(((condition == wrong) | idle).all()) and bool((condition & wrong).any())


def _inverted(case: Case) -> str | None:
    """Zero exactly where the right one is not, and the reverse: the mask is the wrong way round."""
    for sample in case.samples:
        yours, right = sample.yours[case.position] != 0, sample.right[case.position].abs() > 1e-9
        if not bool((yours == ~right).all()) or not bool(yours.any()) or not bool(right.any()):
            return None
    return (
        f"The gradient of {case.name} is zero where it should not be, and not zero where it should "
        f"be: the mask is "
        f"the wrong way round."
    )


def _plain_conditions(case: Case, sample: Sample) -> Iterator[Condition]:
    shape = case.shape
    for name, x in _tensors(case, sample):
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
    tensors = list(_tensors(case, sample))
    for (a, x), (b, y) in ((p, q) for p in tensors for q in tensors if p[0] < q[0]):
        yield f"where {a} < {b}", x < y
        yield f"where {a} > {b}", x > y
    if sample.record.upstream and sample.record.upstream[0].shape == shape:
        u = sample.record.upstream[0].cpu()
        yield "where the upstream gradient is negative", u < 0
        yield "where the upstream gradient is positive", u > 0
    yield from _target_conditions(case, sample)
    yield from _index_conditions(shape)


def _tensors(case: Case, sample: Sample) -> Iterator[tuple[str, Tensor]]:
    """Yield the argument itself, then others of its shape, then results of its shape."""
    floats = [i for i, v in enumerate(sample.values) if isinstance(v, Tensor) and not v.is_complex()]
    for i in sorted(floats, key=lambda i: i != case.position):
        value = sample.values[i].cpu()
        if tuple(value.shape) == case.shape:
            yield case.subject.name_of(i), value
    for output in sample.record.outputs:
        if tuple(output.shape) == case.shape:
            yield "the output", output.cpu()


def _target_conditions(case: Case, sample: Sample) -> Iterator[Condition]:
    """Class indices beside a table of scores pick a column in each row."""
    shape = case.shape
    for i, value in enumerate(sample.values):
        if not isinstance(value, Tensor) or value.is_floating_point() or len(shape) < 2:
            continue
        name, target = case.subject.name_of(i), value.cpu().long()
        if tuple(target.shape) != (shape[0], *shape[2:]):
            continue
        classes = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        column = (classes == target.unsqueeze(1)).expand(shape)
        yield f"in the target's column (class {name})", column
        yield f"outside the target's column (class {name})", ~column
        for label in target.unique().tolist():
            rows = (target == label).unsqueeze(1).expand(shape)
            yield f"in the rows whose {name} is {label}", rows
            yield f"in the rows whose {name} is not {label}", ~rows


def _index_conditions(shape: tuple[int, ...]) -> Iterator[Condition]:
    for d, size in enumerate(shape):
        what = (
            "element"
            if len(shape) == 1
            else ("row", "column")[d]
            if len(shape) == 2
            else f"index of dimension {d}:"
        )
        index = torch.arange(size).reshape([-1 if k == d else 1 for k in range(len(shape))]).expand(shape)
        for k in range(size) if size > 1 else ():
            yield f"in {what} {k}", index == k
        for k in range(size) if size > 1 else ():
            yield f"outside {what} {k}", index != k
        for k in range(2, size - 1):
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


def _threshold(case: Case) -> str | None:
    """Look for one threshold, on the argument or its size, that separates wrong from right at every point."""
    values = [sample.values[case.position].cpu().double().reshape(-1) for sample in case.samples]
    if any(
        len(v) != sample.yours[case.position].numel() for v, sample in zip(values, case.samples, strict=True)
    ):
        return None
    x = torch.cat(values)
    wrong = torch.cat([_wrong(case, sample).reshape(-1) for sample in case.samples])
    if int(wrong.sum()) < 3 or int((~wrong).sum()) < 3:
        return None
    for name, y in ((case.name, x), (f"|{case.name}|", x.abs())):
        if float(y[wrong].min()) > float(y[~wrong].max()):
            return _beyond(case, name, ">", float(y[~wrong].max()), float(y[wrong].min()))
        if float(y[wrong].max()) < float(y[~wrong].min()):
            return _beyond(case, name, "<", float(y[wrong].max()), float(y[~wrong].min()))
    return None


def _beyond(case: Case, name: str, relation: str, low: float, high: float) -> str:
    return (
        f"The gradient of {case.name} is wrong only where {name} {relation} a threshold between "
        f"{low:.3g} and {high:.3g}."
    )
