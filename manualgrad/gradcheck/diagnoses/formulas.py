"""Mistakes in the formula: a factor or term that is missing or too many, a value where another belongs.

Each function returns what the gradient does if its mistake fits, else None. The candidates for a factor are
what formulas are made of: the upstream gradient, the results, the arguments, what forward saved, and simple
functions of them; of two factors all pairs are tried.
"""
# ruff: noqa: B023  every lambda is called in the round of the loop that makes it

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case, Measurement
from manualgrad.gradcheck.subject import real
from manualgrad.gradcheck.tolerance import same

UPSTREAM = "grad_output"
MOST_CANDIDATES = 60  # of which pairs are tried

OF_A_RESULT: dict[str, Callable[[Tensor], Tensor]] = {
    "{}": lambda y: y,
    "({})²": torch.square,
    "(1 − {})": lambda y: 1 - y,
    "(1 + {})": lambda y: 1 + y,
    "(1 − ({})²)": lambda y: 1 - y**2,
    "exp({})": torch.exp,
}
OF_AN_INPUT: dict[str, Callable[[Tensor], Tensor]] = {
    "{}": lambda x: x,
    "({})²": torch.square,
    "(1 − {})": lambda x: 1 - x,
    "1/{}": torch.reciprocal,
    "exp({})": torch.exp,
    "sin({})": torch.sin,
    "cos({})": torch.cos,
    "sigmoid({})": torch.sigmoid,
    "(1 − sigmoid({}))": lambda x: torch.sigmoid(-x),
    "softmax({})": lambda x: x.softmax(-1) if x.dim() else x,
}
OF_WHAT_WAS_SAVED: dict[str, Callable[[Tensor], Tensor]] = {"{}": lambda s: s, "1/{}": torch.reciprocal}

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


def lacks_factor(case: Case) -> str | None:
    """The gradient is right once it is multiplied by a known tensor or two, element by element."""
    name = _fitting_product(case, lambda m, product: (m.yours * product, m.right))
    return f"lacks a factor: multiplied by {name} it is right" if name else None


def factor_too_many(case: Case) -> str | None:
    """The gradient is the right one times a known tensor or two, element by element."""
    name = _fitting_product(case, lambda m, product: (m.right * product, m.yours))
    return f"has a factor too many: divided by {name} it is right" if name else None


def lacks_term(case: Case) -> str | None:
    """The gradient lacks a known tensor times a constant, or times one number per row, column or channel."""
    errors = [m.right - m.yours for m in case.measured]
    columns = [_candidates(case, m) for m in case.measured]
    upstream = (UPSTREAM,) if UPSTREAM in columns[0] else ()
    for names in [(), *_names(columns[0])]:
        factors = [*upstream, *(name for name in names if name not in upstream)]
        products = [math.prod((found[name] for name in factors), start=found["1"]) for found in columns]
        constant = _common_multiple(case, errors, products)
        if constant is not None:
            number = (
                "" if abs(constant - 1) < 1e-3 else "−" if abs(constant + 1) < 1e-3 else f"{constant:.4g} × "
            )
            return f"lacks the term {number}{' × '.join(factors) or 1}"
    for group, dims in _groups(case.shape):
        for name in columns[0]:
            if all(_is_combination(e, [f[name]], dims) for e, f in zip(errors, columns, strict=True)):
                what = "one number" if name == "1" else f"{name} times one number"
                return f"lacks a term: {what} {group}. That is the path through a sum or mean over it"
        if case.name in columns[0] and all(
            _is_combination(e, [f["1"], f[case.name]], dims) for e, f in zip(errors, columns, strict=True)
        ):
            return (
                f"lacks two terms: one number {group}, and {case.name} times another. The mean and the "
                "variance depend on the input, too: they are no constants"
            )
    return None


def factor_per_group(case: Case) -> str | None:
    """The gradient is the right one times a number that differs from row to row, or channel to channel."""
    for group, dims in _groups(case.shape):
        if all(_is_combination(m.yours, [m.right], dims) for m in case.measured):
            return (
                f"is the right one times one number {group}: a factor that differs between them (a weight, "
                "1/σ, a count) is missing or wrong"
            )
    return None


def labels_for_one_hot(case: Case) -> str | None:
    """The label's number is subtracted where its one-hot vector belongs."""
    shape = case.shape
    for name, value in case.first.inputs.items():
        if value.is_floating_point() or len(shape) < 2 or value.shape != (shape[0], *shape[2:]):
            continue
        number = value.double().unsqueeze(1).expand(shape)
        classes = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        column = number - (number == classes).double()
        errors = [m.right - m.yours for m in case.measured]
        if _common_multiple(case, errors, [column] * len(errors)) is not None:
            return f"uses {name}'s number where its one-hot vector belongs"
    return None


def value_for_derivative(case: Case) -> str | None:
    """The upstream gradient is multiplied by the function's value."""
    for k, name in enumerate(case.first.outputs):
        if case.explained_by(lambda m: m.upstream[k] * m.outputs[name]):
            return f"is grad_output × {name}: the value stands where the derivative belongs"
    return None


def other_functions_derivative(case: Case) -> str | None:
    """The gradient is another function's derivative."""
    for name, derivative in DERIVATIVES.items() if case.shape.numel() > 2 and case.shape else ():
        if case.name in case.first.inputs and case.explained_by(
            lambda m: m.upstream[0] * derivative(m.inputs[case.name])
        ):
            return f"is the derivative of {name}, which this function is not"
    return None


def _fitting_product(case: Case, sides: Callable[[Measurement, Tensor], tuple[Tensor, Tensor]]) -> str | None:
    """Return the name of the first product of candidates with which both sides are the same everywhere."""
    columns = [_candidates(case, m) for m in case.measured]
    for names in _names(columns[0]) if case.shape.numel() > 1 else ():
        if names != (UPSTREAM,) and all(
            same(*sides(m, math.prod((found[name] for name in names), start=found["1"])))
            for m, found in zip(case.measured, columns, strict=True)
        ):
            return " × ".join(names)
    return None


def _names(candidates: dict[str, Tensor]) -> Iterator[tuple[str, ...]]:
    names = [name for name in candidates if name != "1"]
    yield from ((name,) for name in names)
    yield from itertools.combinations(names[:MOST_CANDIDATES], 2)


def _candidates(case: Case, m: Measurement) -> dict[str, Tensor]:
    """Return tensors of the gradient's shape that a formula may consist of, named."""
    found = {"1": torch.ones(case.shape, dtype=torch.float64)}
    if m.upstream[0].shape == case.shape and not m.upstream[0].is_complex():
        found[UPSTREAM] = m.upstream[0]
    saved = {
        f"the saved tensor of shape {tuple(t.shape)}": t.cpu().double()
        for t in m.point.run.saved
        if t.is_floating_point()
    }
    for tensors, formulas in ((m.outputs, OF_A_RESULT), (m.inputs, OF_AN_INPUT), (saved, OF_WHAT_WAS_SAVED)):
        for name, tensor in tensors.items():
            fitting = _expanded(tensor, case.shape) if tensor.is_floating_point() else None
            # What was saved is often an argument or a result, which has a better name.
            if fitting is not None and not any(torch.equal(fitting, known) for known in found.values()):
                found |= {text.format(name): formula(fitting) for text, formula in formulas.items()}
    return found


def _expanded(tensor: Tensor, shape: torch.Size) -> Tensor | None:
    """Return a tensor in the gradient's shape, if it broadcasts to that or has a number per channel."""
    if tensor.dim() == 1 and len(shape) > 2 and len(tensor) == shape[1]:
        tensor = tensor.reshape(-1, *[1] * (len(shape) - 2))
    try:
        return tensor.expand(shape)
    except RuntimeError:
        return None


def _groups(shape: torch.Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield sets of elements that a mean may go over: how they are called, and the dimensions they span."""
    if len(shape) == 2:
        yield from (("per row", (1,)), ("per column", (0,)))
    elif len(shape) > 2:
        dims = range(len(shape))
        spans = [(len(shape) - 1,), *(tuple(d for d in dims if d != kept) for kept in dims), tuple(dims[2:])]
        for span in dict.fromkeys(spans):
            kept = [str(d) for d in dims if d not in span]
            yield f"per index of dimension{'s' * (len(kept) > 1)} {' and '.join(kept)}", span
    if shape:
        yield "for all elements", tuple(range(len(shape)))


def _common_multiple(case: Case, errors: list[Tensor], columns: list[Tensor]) -> float | None:
    """Return the constant with which each error is its column, and a scalar's upstream, times that."""
    constants = []
    for m, error, column in zip(case.measured, errors, columns, strict=True):
        known = error.isfinite() & column.isfinite()
        square = float((column[known] ** 2).sum())
        if error.numel() < 3 or not square or not bool(error.any()):
            return None
        constant = float((error * column)[known].sum()) / square
        if not same(constant * column, error):
            return None
        u = real(m.upstream[0])
        constants.append(constant / (float(u) if u.numel() == 1 else 1.0))
    return constants[0] if max(constants) - min(constants) <= 1e-3 * abs(constants[0]) else None


def _is_combination(error: Tensor, columns: list[Tensor], dims: tuple[int, ...]) -> bool:
    """Return whether in each group the error is a combination of columns: least squares leave nothing."""
    kept = [d for d in range(error.dim()) if d not in dims]
    size = math.prod(error.shape[d] for d in dims)
    rows = [t.permute(*kept, *dims).reshape(-1, size, 1) for t in (error, *columns)]
    if size < len(columns) + 2 or not all(bool(row.isfinite().all()) for row in rows):
        return False
    basis = torch.cat(rows[1:], -1)
    return same(basis @ torch.linalg.lstsq(basis, rows[0]).solution, rows[0])
