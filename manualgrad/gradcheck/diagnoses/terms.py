"""Gradients that lack a term or a factor: some path from the input to the result was not followed."""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case, output_name
from manualgrad.gradcheck.judge import Point
from manualgrad.gradcheck.subject import real
from manualgrad.gradcheck.tolerance import same

UPSTREAM = "grad_output"
MOST_ELEMENTS = 256  # of a result whose Jacobian's diagonal is taken element by element
Columns = dict[str, Tensor]


def missing_terms(case: Case) -> str | None:
    """Be right for some of the paths only, or but for a factor."""
    columns = [_candidates(case, point) for point in case.points]
    return (
        _diagonal_only(case)
        or _part_of_the_result(case)
        or _lacks_factor(case, columns)
        or _lacks_term(case, columns)
        or _has_factor_too_many(case, columns)
    )


def _diagonal_only(case: Case) -> str | None:
    """Count each element's effect on its own output alone, where it has one on others too."""
    outputs = case.point.run.outputs
    if len(outputs) != 1 or outputs[0].shape != case.shape or outputs[0].numel() > MOST_ELEMENTS:
        return None

    def diagonal(point: Point) -> Tensor:
        # One element's own output: an upstream gradient that is zero elsewhere.
        (u,) = point.run.upstream
        entries = torch.zeros(u.numel(), dtype=torch.float64)
        for i in range(u.numel()):
            alone = torch.zeros_like(u)
            alone.view(-1)[i] = u.reshape(-1)[i]
            entries[i] = case.right_for(point, (alone,)).reshape(-1)[i]
        return entries.reshape(case.shape)

    if not case.explained_by(diagonal):
        return None
    return (
        f"The gradient of {case.name} keeps only the diagonal of the Jacobian: what an element does to its "
        f"own output. Here each element also changes other outputs."
    )


def _part_of_the_result(case: Case) -> str | None:
    """Count only part of the result: one output of several, one row of the batch."""
    for name, keep in _parts(case.point):
        if case.explained_by(lambda point, keep=keep: case.right_for(point, keep(point.run.upstream))):  # type: ignore[misc]
            return (
                f"The gradient of {case.name} counts only {name}: the rest of the upstream "
                "gradient is left out."
            )
    return None


def _parts(point: Point) -> Iterator[tuple[str, Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]]]:
    count = len(point.run.upstream)
    if count > 1:
        for k in range(count):
            yield f"output {k}", lambda us, k=k: tuple(u if i == k else 0 * u for i, u in enumerate(us))  # type: ignore[misc]
        return
    for d, size in enumerate(point.run.upstream[0].shape):
        for k, which in ((0, "first"), (size - 1, "last")) if size > 1 else ():
            yield f"the {which} index of the result's dimension {d}", partial(_only, d=d, k=k)


def _only(upstream: tuple[Tensor, ...], d: int, k: int) -> tuple[Tensor, ...]:
    kept = torch.zeros_like(upstream[0])
    kept.select(d, k).copy_(upstream[0].select(d, k))
    return (kept,)


def _lacks_term(case: Case, columns: list[Columns]) -> str | None:
    """Lack a known tensor times a constant, or times one number per row."""
    errors = [case.right(point) - case.yours(point) for point in case.points]
    for name, per_point in _products(case, columns):
        if _multiple(case, errors, per_point):
            return f"The gradient of {case.name} lacks a term: a constant times {name}."
    for name in columns[0]:
        if all(_row_multiple(error, found.get(name)) for error, found in zip(errors, columns, strict=True)):
            return (
                f"The gradient of {case.name} lacks a term: {name} times one number per row. That "
                f"is the path through a sum or mean over the row."
            )
    return None


def _products(case: Case, columns: list[Columns]) -> Iterator[tuple[str, list[Tensor]]]:
    """Yield each candidate, and each product of two made of different tensors, times the upstream."""
    groups = [list(formulas) for formulas in _formulas(case, case.point)]
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


def _multiple(case: Case, errors: list[Tensor], columns: list[Tensor]) -> bool:
    """Return whether each error is the same constant times its column, and times a scalar's upstream."""
    constants = []
    for point, error, column in zip(case.points, errors, columns, strict=True):
        if error.numel() < 3:
            return False
        known = error.isfinite() & column.isfinite()
        square = float((column[known] ** 2).sum())
        u = real(point.run.upstream[0])
        strength = float(u) if u.numel() == 1 else 1.0
        if not square or not bool(error.any()):
            return False
        constant = float((error * column)[known].sum()) / square
        if not same(constant * column, error):
            return False
        constants.append(constant / strength)
    return max(constants) - min(constants) <= 1e-3 * abs(constants[0])


def _row_multiple(error: Tensor, column: Tensor | None) -> bool:
    if column is None or error.dim() < 1 or error.shape[-1] < 3 or not bool(error.isfinite().all()):
        return False
    rows, base = error.reshape(-1, error.shape[-1]), column.reshape(-1, error.shape[-1])
    square = (base**2).sum(-1, keepdim=True)
    if not bool((square > 0).all()):
        return False
    return same((rows * base).sum(-1, keepdim=True) / square * base, rows)


def _lacks_factor(case: Case, columns: list[Columns]) -> str | None:
    """Be right once it is multiplied by a known tensor, element by element."""
    name = _factor(case, columns, torch.mul)
    return name and f"The gradient of {case.name} lacks a factor: multiplied by {name} it is right."


def _has_factor_too_many(case: Case, columns: list[Columns]) -> str | None:
    """Be right once it is divided by a known tensor, or two, element by element."""
    name = _factor(case, columns, torch.div)
    return name and f"The gradient of {case.name} has a factor too many: divided by {name} it is right."


def _factor(case: Case, columns: list[Columns], operation: Callable[[Tensor, Tensor], Tensor]) -> str | None:
    if case.yours(case.point).numel() < 2:
        return None
    names = [name for name in columns[0] if name != "1"]
    for chosen in [*((name,) for name in names), *itertools.combinations(names, 2)]:
        if chosen == (UPSTREAM,) or not all(name in found for name in chosen for found in columns):
            continue
        if all(
            same(operation(case.yours(p), math.prod(found[name] for name in chosen)), case.right(p))  # type: ignore[arg-type]
            for p, found in zip(case.points, columns, strict=True)
        ):
            return " × ".join(chosen)
    return None


def labels_for_one_hot(case: Case) -> str | None:
    """Subtract the label's number where its one-hot vector belongs."""
    shape = case.shape
    for i, value in enumerate(case.point.values):
        if not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex() or len(shape) < 2:
            continue
        if tuple(value.shape) != (shape[0], *shape[2:]):
            continue
        number = value.cpu().double().unsqueeze(1).expand(shape)
        classes = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        column = number - (number == classes).double()
        errors = [case.right(point) - case.yours(point) for point in case.points]
        if _multiple(case, errors, [column] * len(errors)):
            name = case.names[i]
            return f"The gradient of {case.name} uses {name}'s number where its one-hot vector belongs."
    return None


def value_for_derivative(case: Case) -> str | None:
    """Multiply the upstream gradient by the function's value."""
    for k in range(len(case.point.run.outputs)):
        if tuple(case.point.run.outputs[k].shape) == case.shape and case.explained_by(partial(_value, k=k)):
            return (
                f"The gradient of {case.name} is grad_output × {output_name(case.point, k)}: the value "
                f"stands where the derivative belongs."
            )
    return None


def _value(point: Point, k: int) -> Tensor:
    return (point.run.upstream[k] * point.run.outputs[k]).cpu().double()


# Derivatives by name, for a formula that was taken from another function's page.
DERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: x.sigmoid() * (1 - x.sigmoid()),
    "tanh": lambda x: 1 - x.tanh() ** 2,
    "relu": lambda x: (x > 0).double(),
    "exp": torch.exp,
    "log": torch.reciprocal,
    "sin": torch.cos,
    "cos": lambda x: -x.sin(),
    "softplus": torch.sigmoid,
    "silu": lambda x: x.sigmoid() * (1 + x * (1 - x.sigmoid())),
    "a square": lambda x: 2 * x,
    "a cube": lambda x: 3 * x**2,
    "1/x": lambda x: -1 / x**2,
    "a square root": lambda x: 0.5 / x.sqrt(),
    "the absolute value": torch.sign,
}


def other_functions_derivative(case: Case) -> str | None:
    """Be another function's derivative."""
    for name, derivative in DERIVATIVES.items():

        def formula(point: Point, derivative: Callable[[Tensor], Tensor] = derivative) -> Tensor | None:
            x, u = point.values[case.position], point.run.upstream[0]
            return (u * derivative(x)).cpu().double() if u.shape == x.shape and not x.is_complex() else None

        if len(case.shape) and case.yours(case.point).numel() > 2 and case.explained_by(formula):
            return f"The gradient of {case.name} is the derivative of {name}, which this function is not."
    return None


def _candidates(case: Case, point: Point) -> Columns:
    """Return tensors of the gradient's shape that a term may consist of, named."""
    found = {"1": torch.ones(case.shape, dtype=torch.float64)}
    upstream = point.run.upstream[0]
    if tuple(upstream.shape) == case.shape and not upstream.is_complex():
        found[UPSTREAM] = upstream.cpu().double()
    for formulas in _formulas(case, point):
        found |= formulas
    return found


def _formulas(case: Case, point: Point) -> Iterator[Columns]:
    """Yield, for each result and argument of the gradient's shape, what is often made of it."""
    for k, output in enumerate(point.run.outputs):
        if tuple(output.shape) == case.shape and not output.is_complex():
            name, y = output_name(point, k), output.cpu().double()
            yield {
                name: y,
                f"({name})²": y**2,
                f"(1 − {name})": 1 - y,
                f"(1 + {name})": 1 + y,
                f"(1 − ({name})²)": 1 - y**2,
                f"exp({name})": y.exp(),
            }
    for i, value in enumerate(point.values):
        if not isinstance(value, Tensor) or not value.is_floating_point() or not _expands(value, case.shape):
            continue
        name, x = case.names[i], value.cpu().double().expand(case.shape)
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
