"""Why a gradient is wrong: each likely mistake is a small test on the student's own gradient.

An explanation is a function from a :class:`Case` to the sentence a student reads, or None where it does not
fit. It has to fit at several points and for several upstream gradients: what fits by chance at one does not
fit at the next. They are tried in order, simplest first.
"""

import itertools
from collections.abc import Callable, Sequence

import torch

from manualgrad.gradcheck import regions, replay, terms
from manualgrad.gradcheck.case import Case
from manualgrad.gradcheck.constants import name_factor

Explanation = Callable[[Case], str | None]


def missing_gradient(case: Case) -> str | None:
    """All zeros, or None, where the result does depend on the argument."""
    if any(bool(sample.yours[case.position].any()) for sample in case.samples):
        return None
    if all(sample.record.gradients[case.position] is None for sample in case.samples):
        return f"There is no gradient for {case.name} (None), but the result depends on it."
    return f"The gradient of {case.name} is zero everywhere, but the result depends on it."


def non_finite(case: Case) -> str | None:
    """NaN or infinite somewhere."""
    for sample in case.samples:
        yours, right = sample.yours[case.position], sample.right[case.position]
        if bool((~yours.isfinite() & right.isfinite()).any()):
            return f"The gradient of {case.name} is NaN or infinite where the true one is finite."
    return None


def ignores_upstream(case: Case) -> str | None:
    """Not proportional to the upstream gradient."""
    sample = case.samples[0]
    yours = sample.yours[case.position]
    zero = case.rerun(sample, lambda outputs: [torch.zeros_like(u) for u in sample.record.upstream])
    double = case.rerun(sample, lambda outputs: [2 * u for u in sample.record.upstream])
    if zero is None or double is None:
        return None
    if case.same(zero, yours) and case.same(double, yours):
        return (
            f"The gradient of {case.name} does not change with the upstream gradient "
            "(grad_output): multiply by it."
        )
    if not case.same(double, 2 * yours):
        return (
            f"The gradient of {case.name} is not proportional to the upstream gradient "
            f"(grad_output): doubling that does not double yours."
        )
    return None


def sign(case: Case) -> str | None:
    """Minus the right one."""
    if case.explained_by(lambda sample: -sample.right[case.position]):
        return f"The gradient of {case.name} is right but for its sign."
    return None


def scale(case: Case) -> str | None:
    """One constant times the right one, the same at every point."""
    factors = [case.factor(sample) for sample in case.samples]
    factor = factors[0]
    if factor is None or any(f is None or abs(f - factor) > 1e-3 * abs(factor) for f in factors):
        return None
    if not case.explained_by(lambda sample: factor * sample.right[case.position]):
        return None
    name = name_factor(factor, case)
    return f"The gradient of {case.name} is {name} × the right one, everywhere."


def transposed(case: Case) -> str | None:
    """Find the right numbers with two dimensions exchanged."""
    shape = case.shape
    for order in itertools.permutations(range(len(shape))):
        if order == tuple(range(len(shape))):
            continue
        if case.explained_by(
            lambda sample, order=order: _laid_out(sample.right[case.position], order, shape)  # type: ignore[misc]
        ):
            return f"The gradient of {case.name} is the transpose of the right one."
    name = replay.transposed_operand(case)
    if name is not None:
        return f"The gradient of {case.name} is right if {name} is transposed where backward uses it."
    return None


def _laid_out(right: torch.Tensor, order: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    return right.permute(*order).reshape(tuple(shape))


def swapped_inputs(case: Case) -> str | None:
    """Find the right gradient of another argument."""
    for other in case.sample.right:
        if (
            other == case.position
            or case.sample.right[other].numel() != case.sample.right[case.position].numel()
        ):
            continue
        if case.explained_by(lambda sample, other=other: sample.right[other].reshape(case.shape)):  # type: ignore[misc]
            return (
                f"The gradient returned for {case.name} is the right one for {case.subject.name_of(other)}."
            )
    return None


# The order in which they are tried: simplest first. What singles out a region by a comparison with zero, an
# index or a target comes before the explanations that hold everywhere; a mere threshold comes after them.
EXPLANATIONS: list[tuple[str, Explanation]] = [
    ("missing-gradient", missing_gradient),
    ("non-finite", non_finite),
    ("ignores-upstream", ignores_upstream),
    ("sign", sign),
    ("scale", scale),
    ("swapped-inputs", swapped_inputs),
    ("transposed", transposed),
    ("wrong-region", regions.plain_region),
    ("input-for-output", replay.input_for_output),
    ("missing-terms", terms.missing_terms),
    ("wrong-region", regions.threshold_region),
]


def explain(case: Case) -> tuple[str, str]:
    """Return the kind of the first explanation that fits, and its sentence; ``unknown`` where none does."""
    for number, (kind, explanation) in enumerate(EXPLANATIONS):
        sentence = explanation(case)
        if sentence is None:
            continue
        also = _also(case, kind, number) if kind in ("scale", "swapped-inputs", "transposed") else []
        return kind, sentence + (f" It would also fit: {', '.join(also)}." if also else "")
    return (
        "unknown",
        f"The gradient of {case.name} is wrong in none of the usual ways. {case.worst_elements()}",
    )


def _also(case: Case, kind: str, number: int) -> list[str]:
    others = [("scale", scale), ("swapped-inputs", swapped_inputs), ("transposed", transposed)]
    later = [name for name, _ in EXPLANATIONS[number + 1 :]]
    return [name for name, test in others if name != kind and name in later and test(case) is not None]
