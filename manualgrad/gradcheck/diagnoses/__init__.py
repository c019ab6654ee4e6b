"""Why a gradient is wrong: each likely mistake is a small test on what was measured.

A diagnosis is a function from a :class:`Case` to a predicate that completes "The gradient of x ...", or to
None where it does not fit. A case holds the same gradient at several points and for several upstream
gradients, each time yours beside the right one; what fits one of them by chance does not fit the next. The
first that fits is told.
"""

from collections.abc import Callable
from functools import partial

from manualgrad.gradcheck.diagnoses import formulas, paths, plain, regions, replay
from manualgrad.gradcheck.diagnoses.case import Case
from manualgrad.gradcheck.report import Explain

PLAIN: list[tuple[str, Callable[[Case], str | None]]] = [
    ("missing-gradient", plain.missing_gradient),
    ("non-finite", plain.non_finite),
    ("unknown", plain.no_dependence),
    ("ignores-upstream", paths.not_proportional),
    ("sign", plain.sign),
    ("scale", plain.scale),
    ("transposed", plain.rearranged),
    ("missing-terms", paths.diagonal),
]
# What singles out a region by a comparison with zero, an index or a target comes before the diagnoses that
# hold everywhere; a mere threshold comes after them.
OTHERS: list[tuple[str, Callable[[Case], str | None]]] = [
    ("transposed", replay.rearranged_operand),
    ("transposed", paths.jacobian_not_transposed),
    ("ignores-upstream", paths.uniform_upstream),
    ("missing-terms", paths.output_weighted),
    ("missing-terms", paths.part_of_the_result),
    ("missing-terms", paths.overwritten),
    ("wrong-region", regions.condition),
    ("swapped-inputs", plain.swapped_inputs),
    ("wrong-region", regions.mask),
    ("unknown", plain.nearly_right),
    ("input-for-output", replay.input_for_output),
    ("input-for-output", formulas.labels_for_one_hot),
    ("missing-terms", partial(replay.other_dimension, functions=replay.SUMS)),
    ("transposed", partial(replay.other_dimension, functions=replay.REDUCTIONS)),
    ("missing-terms", formulas.factor_or_term),
    ("missing-terms", formulas.sum_over_a_group),
    ("input-for-output", formulas.value_for_derivative),
    ("unknown", formulas.other_functions_derivative),
    ("missing-terms", formulas.factor_and_number),
    ("wrong-region", regions.threshold),
    ("missing-terms", formulas.factor_per_group),
    ("wrong-region", regions.zero_elsewhere),
]
OF_A_BIG_ONE: list[tuple[str, Callable[[Case], str | None]]] = [("wrong-region", regions.condition)]
BIG = 50_000  # elements: its first rows alone were right, and all diagnoses would take a minute


def diagnose(case: Case, whole: Case, explain: Explain | None = None) -> tuple[str, str]:
    """Return the kind of the first diagnosis that fits, and its sentence; ``unknown`` where none does.

    The case may be of the first rows of a big argument, the whole is of all.
    """
    unknown = f"The gradient of {case.name} matches no known mistake. {whole.worst_elements()}."
    return (
        _first(PLAIN, case, whole)
        or (explain(case.name) if explain else None)  # what follows compares with many candidates
        or _first(OTHERS if case.shape.numel() <= BIG else OF_A_BIG_ONE, case, whole)
        or ("unknown", unknown)
    )


def _first(
    diagnoses: list[tuple[str, Callable[[Case], str | None]]], case: Case, whole: Case
) -> tuple[str, str] | None:
    for kind, diagnosis in diagnoses:
        try:
            sentence = diagnosis(case)
            if sentence and whole is not case and kind in ("scale", "wrong-region"):
                sentence = diagnosis(whole)  # the first rows have other sizes, and not all indices
        except Exception:  # an operation on unusual numbers: a diagnosis that cannot be made
            continue
        if sentence is not None:
            return kind, f"The gradient of {case.name} {sentence}."
    return None
