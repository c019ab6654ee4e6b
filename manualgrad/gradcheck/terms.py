"""Gradients that lack a term or a factor: some path from the input to the result was not followed."""

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from manualgrad.gradcheck.case import Case
from manualgrad.gradcheck.judge import Sample

UPSTREAM = "grad_output"


def missing_terms(case: Case) -> str | None:
    """Right for some of the paths only."""
    return _diagonal_only(case) or _part_of_the_result(case) or _lacks_term(case) or _lacks_factor(case)


def _diagonal_only(case: Case) -> str | None:
    """Each element's effect on its own output alone, where it has one on others too."""
    if (
        not any(output.shape == case.shape for output in case.sample.record.outputs)
        or len(case.sample.record.outputs) > 1
    ):
        return None
    if case.sample.yours[case.position].numel() > 256:
        return None

    def diagonal(sample: Sample) -> Tensor:
        # One element's own output: an upstream gradient that is zero elsewhere.
        (u,) = sample.record.upstream
        entries = torch.zeros(u.numel(), dtype=torch.float64)
        for i in range(u.numel()):
            alone = torch.zeros_like(u)
            alone.view(-1)[i] = u.reshape(-1)[i]
            entries[i] = case.right_for(sample, (alone,)).reshape(-1)[i]
        return entries.reshape(case.shape)

    if case.explained_by(diagonal):
        return (
            f"The gradient of {case.name} counts only what an element does to its own output (the "
            f"diagonal of "
            f"the Jacobian). Here each element also changes other outputs."
        )
    return None


def _part_of_the_result(case: Case) -> str | None:
    """Right if only part of the result counted: one output of several, one row of the batch."""
    for name, keep in _parts(case.sample):
        if case.explained_by(lambda sample, keep=keep: case.right_for(sample, keep(sample.record.upstream))):  # type: ignore[misc]
            return (
                f"The gradient of {case.name} counts only {name}: the rest of the upstream "
                "gradient is left out."
            )
    return None


def _parts(sample: Sample) -> Iterator[tuple[str, Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]]]:
    count = len(sample.record.upstream)
    if count > 1:
        for k in range(count):
            yield f"output {k}", lambda us, k=k: tuple(u if i == k else 0 * u for i, u in enumerate(us))  # type: ignore[misc]
        return
    for d, size in enumerate(sample.record.upstream[0].shape):
        for k, which in ((0, "first"), (size - 1, "last")) if size > 1 else ():
            yield (
                f"the {which} index of the result's dimension {d}",
                lambda us, d=d, k=k: (_only(us[0], d, k),),  # type: ignore[misc]
            )


def _only(u: Tensor, d: int, k: int) -> Tensor:
    kept = torch.zeros_like(u)
    kept.select(d, k).copy_(u.select(d, k))
    return kept


def _lacks_term(case: Case) -> str | None:
    """Look for a missing term: a known tensor times a constant, or times one number per row."""
    gaps = [sample.right[case.position] - sample.yours[case.position] for sample in case.samples]
    columns = [_candidates(case, sample) for sample in case.samples]
    for name, per_sample in _products(case, columns):
        if _multiple(case, gaps, per_sample):
            return f"The gradient of {case.name} lacks a term: a constant times {name}."
    for name in columns[0]:
        if all(_row_multiple(case, gap, found[name]) for gap, found in zip(gaps, columns, strict=True)):
            return (
                f"The gradient of {case.name} lacks a term: {name} times one number per row. That "
                f"is the path "
                f"through a sum or mean over the row."
            )
    return None


def _products(case: Case, columns: list[dict[str, Tensor]]) -> Iterator[tuple[str, list[Tensor]]]:
    """Yield each candidate, and each product of two made of different tensors, times the upstream."""
    groups = [list(formulas) for formulas in _formulas(case, case.sample)]
    singles = [["1"], *([name] for group in groups for name in group)]
    pairs = [list(pair) for a, b in itertools.combinations(groups, 2) for pair in itertools.product(a, b)]
    upstream = [UPSTREAM] if UPSTREAM in columns[0] else []
    for factors in singles + pairs:
        factors = [name for name in upstream + factors if name != "1"]
        one = columns[0]["1"]
        yield (
            " × ".join(factors) or "1",
            [math.prod((found[name] for name in factors), start=one) for found in columns],
        )


def _multiple(case: Case, gaps: list[Tensor], columns: list[Tensor]) -> bool:
    """Whether each gap is the same constant times its column, and times the upstream of a scalar result."""
    constants = []
    for sample, gap, column in zip(case.samples, gaps, columns, strict=True):
        if gap.numel() < 3:
            return False
        known = gap.isfinite() & column.isfinite()
        square = float((column[known] ** 2).sum())
        u = sample.record.upstream[0]
        strength = float(u) if u.numel() == 1 else 1.0
        if not square or not bool(gap.any()):
            return False
        constant = float((gap * column)[known].sum()) / square
        if not case.same(constant * column, gap):
            return False
        constants.append(constant / strength)
    return max(constants) - min(constants) <= 1e-3 * abs(constants[0])


def _row_multiple(case: Case, gap: Tensor, column: Tensor) -> bool:
    if gap.dim() < 1 or gap.shape[-1] < 3 or not bool(gap.isfinite().all()):
        return False
    rows, base = gap.reshape(-1, gap.shape[-1]), column.reshape(-1, gap.shape[-1])
    square = (base**2).sum(-1, keepdim=True)
    if not bool((square > 0).all()):
        return False
    return case.same((rows * base).sum(-1, keepdim=True) / square * base, rows)


def _lacks_factor(case: Case) -> str | None:
    """Right once it is multiplied by a known tensor, element by element."""
    for name in _candidates(case, case.sample):

        def multiplied(sample: Sample, name: str = name) -> Tensor | None:
            column = _candidates(case, sample).get(name)
            return None if column is None else column * sample.yours[case.position]

        if (
            name not in ("1", UPSTREAM)
            and case.sample.yours[case.position].numel() > 1
            and case.cured_by(multiplied)
        ):
            return f"The gradient of {case.name} lacks a factor: multiplied by {name} it is right."
    return None


def _candidates(case: Case, sample: Sample) -> dict[str, Tensor]:
    """Tensors of the gradient's shape that a term may consist of, named."""
    found = {"1": torch.ones(case.shape, dtype=torch.float64)}
    if tuple(sample.record.upstream[0].shape) == case.shape:
        found[UPSTREAM] = sample.record.upstream[0].cpu().double()
    for formulas in _formulas(case, sample):
        found |= formulas
    return found


def _formulas(case: Case, sample: Sample) -> Iterator[dict[str, Tensor]]:
    """For each result and argument of the gradient's shape, what is often made of it."""
    for k, output in enumerate(sample.record.outputs):
        if tuple(output.shape) == case.shape:
            name, y = (
                ("the output" if len(sample.record.outputs) == 1 else f"output {k}"),
                output.cpu().double(),
            )
            yield {
                name: y,
                f"({name})²": y**2,
                f"(1 − {name})": 1 - y,
                f"(1 − ({name})²)": 1 - y**2,
                f"exp({name})": y.exp(),
            }
    for i, value in enumerate(sample.values):
        if not isinstance(value, Tensor) or not value.is_floating_point() or not _expands(value, case.shape):
            continue
        name, x = case.subject.name_of(i), value.cpu().double().expand(case.shape)
        formulas = {
            name: x,
            f"({name})²": x**2,
            f"(1 − {name})": 1 - x,
            f"1/{name}": 1 / x,
            f"exp({name})": x.exp(),
            f"sin({name})": x.sin(),
            f"cos({name})": x.cos(),
            f"sigmoid({name})": x.sigmoid(),
            f"(1 − sigmoid({name}))": 1 - x.sigmoid(),
        }
        yield formulas | ({f"softmax({name})": x.softmax(-1)} if x.dim() else {})


def _expands(value: Tensor, shape: tuple[int, ...]) -> bool:
    try:
        return torch.broadcast_shapes(value.shape, shape) == torch.Size(shape)
    except RuntimeError:
        return False
