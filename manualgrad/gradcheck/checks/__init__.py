"""What is looked at, in order: cheap and decisive first. A check is a function of the session."""

from collections.abc import Callable

from manualgrad.gradcheck.checks import conduct, precision, probes, returned, second_order, use, values
from manualgrad.gradcheck.session import Session

Check = Callable[[Session], None]

# What is found early explains what would be found late.
ALWAYS: list[Check] = [
    conduct.first_run,
    values.at_the_inputs,
    conduct.repeats,
    values.forward_agrees,
    returned.shapes_and_dtypes,
    values.values_are_right,
]
# Only while nothing is wrong: each of these would find the same mistake again.
WHILE_RIGHT: list[Check] = [
    use.proportional,
    precision.own_dtype,
    use.each_input_alone,
    use.each_result_alone,
    conduct.works_twice,
    use.layouts,
]
MAGNITUDES: list[Check] = [probes.other_inputs]
SECOND_ORDER: list[Check] = [second_order.second_order]
