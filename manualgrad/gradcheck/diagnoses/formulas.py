"""Mistakes in the formula: a factor or term that is missing or too many, a value where another belongs.

Each function returns what completes "The gradient of x ..." if its mistake fits, else None. The candidates
for a factor are what formulas are made of: the upstream gradient, the results, the arguments, what forward
saved, and simple functions of them; of two factors all pairs are tried.
"""
# ruff: noqa: B023  every lambda is called in the round of the loop that makes it

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.run import Measurement
from manualgrad.gradcheck.tolerance import close, same

UPSTREAM = "grad_output"
MOST_CANDIDATES, MOST_AT_ONCE = 60, 10**6

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
    "exp({})": torch.exp,
    "sin({})": torch.sin,
    "cos({})": torch.cos,
    "sigmoid({})": torch.sigmoid,
    "(1 − sigmoid({}))": lambda x: torch.sigmoid(-x),
    "exp(−({})²/2)": lambda x: torch.exp(-(x**2) / 2),
    "softmax({})": lambda x: x.softmax(-1) if x.dim() else x,
}

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


def factor_or_term(case: Case) -> str | None:
    """Find a known tensor, or the product of two, that is missing or too many: as a factor or a term."""
    yours, right = [m.yours for m in case.measured], [m.right for m in case.measured]
    errors = [r - y for r, y in zip(right, yours, strict=True)]
    columns = [_candidates(case, m) for m in case.measured]
    scales = [m.upstream[0].reshape(-1)[0] for m in case.measured]  # of a scalar it is all of the upstream
    upstream = [f.get(UPSTREAM, f["1"] * scale) for f, scale in zip(columns, scales, strict=True)]
    for count in (1, 2):
        sentence = _factor(columns, count, yours, right, any_number=False)
        if sentence:
            return sentence
        found = _product(columns, count - 1, upstream, errors) or _product(columns, count, upstream, errors)
        if found:
            constant, names = found
            term = _times(constant, [UPSTREAM] * (UPSTREAM in columns[0]) + names)
            if abs(abs(constant) - 1) < 1e-3:
                return f"lacks the term {term}"
            return f"is off by the term {term}: it is missing, or its sign or its number is another"
    return None


def factor_and_number(case: Case) -> str | None:
    """Find a known tensor that is missing as a factor, or too many, and a number with it."""
    columns = [_candidates(case, m) for m in case.measured]
    yours, right = [m.yours for m in case.measured], [m.right for m in case.measured]
    return _factor(columns, 1, yours, right, any_number=True)


def _factor(
    columns: list[dict[str, Tensor]], count: int, yours: list[Tensor], right: list[Tensor], any_number: bool
) -> str | None:
    missing, extra = _product(columns, count, yours, right), _product(columns, count, right, yours)
    if missing and (any_number or abs(missing[0] - 1) < 1e-3):
        return f"lacks a factor: multiplied by {_times(*missing)} it is right"
    if extra and (any_number or abs(extra[0] - 1) < 1e-3):
        return f"has a factor too many, or is to be divided: divided by {_times(*extra)} it is right"
    return None


def _product(
    columns: list[dict[str, Tensor]], count: int, given: list[Tensor], wanted: list[Tensor]
) -> tuple[float, list[str]] | None:
    """Return the candidates, so many, whose product and a constant turn what is given into what is wanted."""
    names = [name for name in columns[0] if name != "1"][:MOST_CANDIDATES]
    choices = torch.tensor([*itertools.combinations(range(len(names)), count)], dtype=torch.long)
    first = torch.stack([columns[0][name].reshape(-1) for name in names or ["1"]])
    target = wanted[0].reshape(-1)
    for some in choices.split(max(1, MOST_AT_ONCE // target.numel())):
        fits = _constants(given[0].reshape(-1) * first[some].prod(1), target).isfinite()  # all at once
        for choice in some[fits].tolist():
            factors, constants = [names[k] for k in choice], []
            for start, goal, found in zip(given, wanted, columns, strict=True):
                product = math.prod((found[name] for name in factors), start=start)
                constants.append(float(_constants(product.reshape(1, -1), goal.reshape(-1))))
            if factors != [UPSTREAM] and max(constants) - min(constants) <= 1e-3 * abs(constants[0]):
                return constants[0], factors
    return None


def _constants(products: Tensor, target: Tensor) -> Tensor:
    """Return per row the constant that it is the target divided by; NaN where it is none."""
    products, target = products[:, target.isfinite()], target[target.isfinite()]
    constants = (products * target).sum(1) / (products**2).sum(1)
    fits = close(constants[:, None] * products, target.expand_as(products)).all(1)
    return constants.where(fits & (constants != 0) & (target.numel() > 2), math.nan)


def _times(constant: float, factors: list[str]) -> str:
    number = {1.0: "", -1.0: "−"}.get(round(constant, 3), f"{constant:.4g} × ".replace("-", "−"))
    return number + (" × ".join(factors) or "1")


def sum_over_a_group(case: Case) -> str | None:
    """Find a known tensor that, times one number per row or column, is all that is missing."""
    errors = [m.right - m.yours for m in case.measured]
    columns = [_candidates(case, m) for m in case.measured]
    for group, dims in _groups(case.shape):
        for name in columns[0]:
            if all(_is_combination(e, [f[name]], dims) for e, f in zip(errors, columns, strict=True)):
                what = "one number" if name == "1" else f"{name} times one number"
                return (
                    f"differs from the right one by {what} {group}: the path through a sum or mean over it "
                    "is missing, or that is another sum"
                )
        if case.name in columns[0] and all(
            _is_combination(e, [f["1"], f[case.name]], dims) for e, f in zip(errors, columns, strict=True)
        ):
            return (
                f"differs from the right one by one number {group} and {case.name} times another: the paths "
                "through mean and variance are missing, or are too many (in evaluation both are "
                "constants), or these are other means"
            )
    return None


def factor_per_group(case: Case) -> str | None:
    """Recognise the right gradient times a number that differs from row to row, or channel to channel."""
    for group, dims in _groups(case.shape):
        if all(_is_combination(m.yours, [m.right], dims) for m in case.measured):
            return (
                f"is the right one times one number {group}: a factor that differs between them (a weight, "
                "1/σ, a count) is missing or wrong"
            )
    return None


def labels_for_one_hot(case: Case) -> str | None:
    """Recognise a label's number that is subtracted where its one-hot vector belongs."""
    shape = case.shape
    for name, value in case.first.inputs.items():
        if value.is_floating_point() or len(shape) < 2 or value.shape != (shape[0], *shape[2:]):
            continue
        number = value.double().unsqueeze(1).expand(shape)
        classes = torch.arange(shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        column = number - (number == classes).double()
        ones = [{"1": torch.ones(shape, dtype=torch.float64)}] * len(case.measured)
        per_upstream = [m.upstream[0].reshape(-1)[0] * column for m in case.measured]
        if _product(ones, 0, per_upstream, [m.right - m.yours for m in case.measured]):
            return f"uses {name}'s number where its one-hot vector belongs"
    return None


def value_for_derivative(case: Case) -> str | None:
    """Recognise the function's value where its derivative belongs: upstream × value."""
    for k, name in enumerate(case.first.outputs):
        if case.explained_by(lambda m: m.upstream[k] * m.outputs[name]):
            return f"is grad_output × {name}: the value stands where the derivative belongs"
    return None


def other_functions_derivative(case: Case) -> str | None:
    """Recognise another function's derivative."""
    for name, derivative in DERIVATIVES.items() if case.shape.numel() > 2 and case.shape else ():
        if case.name in case.first.inputs and case.explained_by(
            lambda m: m.upstream[0] * derivative(m.inputs[case.name])
        ):
            return f"is that of {name} itself, without any option or factor of this function"
    return None


def _candidates(case: Case, m: Measurement) -> dict[str, Tensor]:
    """Return tensors of the gradient's shape that a formula may consist of, named."""
    found = {"1": torch.ones(case.shape, dtype=torch.float64)}
    if m.upstream[0].shape == case.shape:
        found[UPSTREAM] = m.upstream[0]
    saved = {
        f"the saved tensor of shape {tuple(t.shape)}": t.cpu().double()
        for t in m.run.saved
        if t.is_floating_point()
    }
    floats = [(name, x) for name, x in m.inputs.items() if x.is_floating_point()]
    differences = {
        f"({a} − {b})": x - y for (a, x), (b, y) in itertools.combinations(floats, 2) if x.shape == y.shape
    }
    outputs = {name: y for name, y in m.outputs.items() if y.numel() > 1}  # a loss is no factor
    as_it_is = {"{}": torch.clone}
    for tensors, formulas in (
        (outputs, OF_A_RESULT),
        (m.inputs, OF_AN_INPUT),
        (differences | saved, as_it_is),
    ):
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


def _is_combination(error: Tensor, columns: list[Tensor], dims: tuple[int, ...]) -> bool:
    """Return whether in each group the error is a combination of columns: least squares leave nothing."""
    kept = [d for d in range(error.dim()) if d not in dims]
    size = math.prod(error.shape[d] for d in dims)
    rows = torch.stack([t.permute(*kept, *dims).reshape(-1, size) for t in (error, *columns)], -1)
    known = rows.isfinite().all(-1, keepdim=True)
    enough = known.sum((1, 2)) >= len(columns) + 2  # of a big tensor a sample is known
    if not bool(enough.any()):
        return False
    rows, known = rows[enough], known[enough]
    wanted, basis = rows.where(known, 0.0).split([1, len(columns)], -1)
    return same(basis @ torch.linalg.lstsq(basis, wanted).solution, wanted)
