"""Why a gradient is wrong: each likely mistake is a small test on the subject's own gradient.

A diagnosis is a function from a :class:`Case` to the sentence that a person reads, or None where it does not
fit. It has to fit at several points and for several upstream gradients: what fits by chance at one does not
fit at the next. They are tried in order, simplest first.
"""

from collections.abc import Callable

from manualgrad.gradcheck.diagnoses import plain, regions, replay, terms
from manualgrad.gradcheck.diagnoses.case import Case

Diagnosis = Callable[[Case], str | None]

# What singles out a region by a comparison with zero, an index or a target comes before the diagnoses that
# hold everywhere; a mere threshold comes after them.
DIAGNOSES: list[tuple[str, Diagnosis]] = [
    ("missing-gradient", plain.missing_gradient),
    ("non-finite", plain.non_finite),
    ("unknown", plain.no_dependence),
    ("ignores-upstream", plain.ignores_upstream),
    ("sign", plain.sign),
    ("scale", plain.scale),
    ("sign", plain.conjugated),
    ("swapped-inputs", plain.swapped_inputs),
    ("transposed", plain.transposed),
    ("ignores-upstream", plain.uniform_upstream),
    ("wrong-region", regions.plain_region),
    ("input-for-output", replay.input_for_output),
    ("input-for-output", terms.labels_for_one_hot),
    ("missing-terms", replay.other_dimension),
    ("missing-terms", terms.missing_terms),
    ("input-for-output", terms.value_for_derivative),
    ("wrong-region", regions.threshold_region),
    ("unknown", terms.other_functions_derivative),
]
AMBIGUOUS: dict[str, Diagnosis] = {
    "scale": plain.scale,
    "swapped-inputs": plain.swapped_inputs,
    "transposed": plain.transposed,
}


def diagnose(case: Case) -> tuple[str, str]:
    """Return the kind of the first diagnosis that fits, and its sentence; ``unknown`` where none does."""
    for number, (kind, diagnosis) in enumerate(DIAGNOSES):
        try:
            sentence = diagnosis(case)
        except (RuntimeError, ValueError):  # an operation on unusual numbers: a diagnosis that cannot be made
            continue
        if sentence is None:
            continue
        later = {name for name, _ in DIAGNOSES[number + 1 :]} & AMBIGUOUS.keys() - {kind}
        also = [name for name in AMBIGUOUS if name in later and kind in AMBIGUOUS and AMBIGUOUS[name](case)]
        return kind, sentence + (f" It would also fit: {', '.join(also)}." if also else "")
    return "unknown", f"The gradient of {case.name} matches no known mistake. {case.worst_elements()}."
