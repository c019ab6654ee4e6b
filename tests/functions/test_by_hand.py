"""Values and gradients that a person worked out, at kinks and at extremes, too."""

import math
from functools import partial

import pytest
import torch

import manualgrad.functions as F

INF, NAN, LOG3 = math.inf, math.nan, math.log(3)
PROBABILITY, DENSITY = 0.8413447460685429, 0.24197072451914337  # of the normal distribution, at 1


def call(function, *constants, **options):
    """Leave the first argument open; lists are tensors."""
    constants = [torch.tensor(each).double() if isinstance(each, list) else each for each in constants]
    options = {k: torch.tensor(v).double() if isinstance(v, list) else v for k, v in options.items()}
    return lambda x: function(x, *constants, **options)


def labels(*numbers):
    return torch.tensor(numbers, dtype=torch.int64)


ELEMENTWISE = [  # a function, its input, its output, the upstream gradient, the input's
    (F.exp, [0.0, LOG3], [1.0, 3.0], [2.0, 5.0], [2.0, 15.0]),
    (F.exp, [710.0, -1000.0], [INF, 0.0], [1.0, 1.0], [INF, 0.0]),
    (F.sin, [0.0, math.pi / 6, math.pi], [0.0, 0.5, 0.0], [2.0, 1.0, 1.0], [2.0, math.sqrt(3) / 2, -1.0]),
    (F.sigmoid, [0.0, LOG3, -LOG3], [0.5, 0.75, 0.25], [4.0, 16.0, 16.0], [1.0, 3.0, 3.0]),
    (F.sigmoid, [1000.0, -1000.0, 1e4], [1.0, 0.0, 1.0], [1.0] * 3, [0.0] * 3),
    (F.tanh, [0.0, math.log(2)], [0.0, 0.6], [1.0, 1.0], [1.0, 0.64]),
    (F.tanh, [0.01], [math.tanh(0.01)], [1.0], [1 / math.cosh(0.01) ** 2]),  # 1 - x² differs by 1e-8
    (F.tanh, [1000.0, -1000.0], [1.0, -1.0], [1.0, 1.0], [0.0, 0.0]),
    (F.relu, [-2.0, 3.0, 0.0, -0.0], [0.0, 3.0, 0.0, 0.0], [5.0] * 4, [0.0, 5.0, 0.0, 0.0]),
    (F.relu, [5e-324, -5e-324, INF, -INF], [5e-324, 0.0, INF, 0.0], [1.0] * 4, [1.0, 0.0, 1.0, 0.0]),
    (F.relu, [-1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [INF, INF, NAN], [0.0, INF, 0.0]),
    (F.relu, [NAN], [NAN], [1.0], [1.0]),
    (call(F.leaky_relu, 0.5), [-2.0, 3.0, 0.0], [-1.0, 3.0, 0.0], [5.0, 7.0, 4.0], [2.5, 7.0, 2.0]),
    (call(F.leaky_relu, -1.0), [-2.0, 2.0], [2.0, 2.0], [1.0, 1.0], [-1.0, 1.0]),
    (call(F.leaky_relu, 0.0), [-1.0, 2.0], [0.0, 2.0], [4.0, INF], [0.0, INF]),
    (F.silu, [0.0, LOG3], [0.0, 0.75 * LOG3], [4.0, 16.0], [2.0, 12 * (1 + LOG3 / 4)]),
    (F.silu, [-1.278464542761074], [-0.278464542761074], [1.0], [0.0]),  # the minimum
    (F.silu, [1000.0, -1000.0], [1000.0, 0.0], [1.0, 1.0], [1.0, 0.0]),
    *(
        (call(F.softplus, b), [0.0, LOG3 / b], [math.log(2) / b, math.log(4) / b], [2.0, 4.0], [1.0, 3.0])
        for b in (1.0, 2.0)
    ),
    (
        F.softplus,
        [1000.0, -1000.0, -40.0],
        [1000.0, 0.0, math.exp(-40)],
        [1.0] * 3,
        [1.0, 0.0, math.exp(-40)],
    ),
    (call(F.softplus, threshold=1.0), [1.1], [1.1], [1.0], [1.0]),
    (F.gelu, [0.0, 1.0], [0.0, PROBABILITY], [2.0, 3.0], [1.0, 3 * (PROBABILITY + DENSITY)]),
    *((call(F.gelu, form), [40.0, -40.0], [40.0, 0.0], [1.0, 1.0], [1.0, 0.0]) for form in ("none", "tanh")),
    *(
        (call(F.power, exponent), numbers, values, [1.0] * len(numbers), derivatives)
        for exponent, numbers, values, derivatives in (
            (3, [2.0, -2.0], [8.0, -8.0], [12.0, 12.0]),
            (3.0, [2.0, -2.0], [8.0, -8.0], [12.0, 12.0]),
            (2, [-2.0, 0.0], [4.0, 0.0], [-4.0, 0.0]),
            (1, [5.0, 0.0], [5.0, 0.0], [1.0, 1.0]),
            (True, [5.0], [5.0], [1.0]),
            (0, [5.0, 0.0], [1.0, 1.0], [0.0, 0.0]),
            (0.0, [5.0, 0.0], [1.0, 1.0], [0.0, 0.0]),
            (0.5, [4.0, 0.0, -1.0], [2.0, 0.0, NAN], [0.25, INF, NAN]),
            (-1, [2.0, 0.0], [0.5, INF], [-0.25, -INF]),
        )
    ),
    (call(F.power, 0), [0.0, 2.0], [1.0, 1.0], [INF, NAN], [0.0, 0.0]),  # a constant
]
ROWS = [
    (F.softmax, [0.0, LOG3], [0.25, 0.75], [1.0, 0.0], [3 / 16, -3 / 16]),  # p (1 - p), beside it -p q
    *((F.softmax, [s, 0.0, s, -s], [0.5, 0.0, 0.5, 0.0], [1.0] * 4, [0.0] * 4) for s in (1e3, 1e4, 1e308)),
    (F.softmax, [0.0, -INF, 0.0], [0.5, 0.0, 0.5], [1.0] * 3, [0.0] * 3),
    (call(F.softmax, 0), 3.0, 1.0, 1.0, 0.0),  # a single number is a row of one
    (F.log_softmax, [0.0, LOG3], [-math.log(4), LOG3 - math.log(4)], [8.0, 4.0], [5.0, -5.0]),
    (F.log_softmax, [0.0, -1000.0], [0.0, -1000.0], [0.0, 1.0], [-1.0, 1.0]),
    # Mean 2, variance 1, so x̂ = ∓½ where ε = 3; g = [2, 10] and ½ (g - 6 - x̂ · 2).
    (call(F.layer_norm, (2,), [2.0, 5.0], [9.0, 7.0], 3.0), [1.0, 3.0], [8.0, 9.5], [1.0, 2.0], [-1.5, 1.5]),
    (
        call(F.group_norm, 2, [2.0, 10.0, 1.0, 1.0], eps=3.0),
        *([[1.0, 3.0, 5.0, 5.0]], [[-1.0, 5.0, 0.0, 0.0]]),
        *([[1.0, 1.0, 0.0, 0.0]], [[-1.5, 1.5, 0.0, 0.0]]),
    ),
    # The mean square is 25: r = 0.1, g = [2, 10], mean(g x̂) = 3.6.
    (call(F.rms_norm, (2,), [2.0, 5.0], 75.0), [1.0, 7.0], [0.2, 3.5], [1.0, 2.0], [0.164, 0.748]),
]
NLL, BCE = F.softmax_nll, F.binary_cross_entropy_with_logits
LOSSES = [
    (call(F.mse_loss, [1.0, 2.0]), [0.0, 5.0], 5.0, 1.0, [-1.0, 3.0]),
    (call(F.mse_loss, [1.0, 2.0], "sum"), [0.0, 5.0], 10.0, 1.0, [-2.0, 6.0]),
    (call(F.mse_loss, [3.0, 1.0], "none"), [1.0, 4.0], [4.0, 9.0], [1.0, 10.0], [-4.0, 60.0]),
    (call(F.mse_loss, []), [], NAN, 1.0, []),
    (
        call(F.nll_loss, labels(2, 0), [1.0, 9.0, 3.0]),
        *([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]], (3 * 3 + 1 * 4) / 4),
        *(1.0, [[0.0, 0.0, -0.75], [-0.25, 0.0, 0.0]]),
    ),
    (call(F.nll_loss, labels(0, -100)), [[-1.0, -2.0], [-INF, NAN]], 1.0, 1.0, [[-1.0, 0.0], [0.0, 0.0]]),
    (
        call(NLL, labels(0, 1)),
        *([[0.0, LOG3], [0.0, 0.0]], (math.log(4) + math.log(2)) / 2),  # p = 1/4, 3/4; 1/2, 1/2
        *(1.0, [[-0.375, 0.375], [0.25, -0.25]]),
    ),
    (
        call(NLL, labels(0, 1), [1.0, 3.0]),  # class weights divide the mean
        *([[0.0, 0.0], [0.0, 0.0]], math.log(2), 8.0, [[-1.0, 1.0], [3.0, -3.0]]),
    ),
    (
        call(NLL, labels(1), label_smoothing=0.4),  # q = 0.2, 0.8
        *([[0.0, LOG3]], 0.2 * math.log(4) + 0.8 * math.log(4 / 3), 1.0, [[0.05, -0.05]]),
    ),
    (
        call(NLL, labels(0, 0), reduction="none"),
        *([[1e4, 0.0], [-1e4, 0.0]], [0.0, 1e4], [1.0, 1.0], [[0.0, 0.0], [-1.0, 1.0]]),
    ),
    *(
        case
        for smoothing in (0.0, 0.1)
        for case in (
            (
                call(NLL, labels(1, -100), label_smoothing=smoothing),  # an ignored row counts for nothing
                *([[0.0, 0.0], [-INF, 3.0]], math.log(2)),
                *(1.0, [[0.5 - smoothing / 2, -0.5 + smoothing / 2], [0.0, 0.0]]),
            ),
            (call(NLL, labels(-100), label_smoothing=smoothing), [[1.0, 2.0]], NAN, 1.0, [[0.0, 0.0]]),
        )
    ),
    (
        call(F.softmax_cross_entropy, [[0.5, 0.5]]),
        *([[0.0, LOG3]], (math.log(4) + math.log(4 / 3)) / 2, 1.0, [[-0.25, 0.25]]),
    ),
    # A target that does not sum to 1: the gradient's first term is p times its sum.
    (call(F.softmax_cross_entropy, [[2.0, 4.0]]), [[0.0, 0.0]], 6 * math.log(2), 1.0, [[1.0, -1.0]]),
    (  # the mean divides by rows, whatever the weights
        call(F.softmax_cross_entropy, [[1.0, 0.0], [0.0, 1.0]], [1.0, 3.0]),
        *([[0.0, 0.0], [0.0, 0.0]], 2 * math.log(2), 4.0, [[-1.0, 1.0], [3.0, -3.0]]),
    ),
    (
        call(BCE, [1.0, 0.0], reduction="none"),  # p = 1/2, 3/4
        *([0.0, LOG3], [math.log(2), math.log(4)], [1.0, 1.0], [-0.5, 0.75]),
    ),
    (
        call(BCE, [1.0, 0.0], [10.0, 1.0], "sum", [3.0, 5.0]),
        *([0.0, 0.0], 31 * math.log(2), 1.0, [-15.0, 0.5]),
    ),
    (  # sure and right, sure and wrong
        call(BCE, [1.0, 0.0, 0.0, 1.0, 0.5], reduction="none"),
        *([1000.0, 1000.0, -1000.0, -1000.0, 1e4], [0.0, 1000.0, 0.0, 1000.0, 5000.0]),
        *([1.0] * 5, [0.0, 1.0, 0.0, -1.0, 0.5]),
    ),
    (call(BCE, [0.0]), [-40.0], math.exp(-40), 1.0, [math.exp(-40)]),  # 1 - (1 - σ) would be 0
]


@pytest.mark.parametrize("table", [ELEMENTWISE, ROWS, LOSSES], ids=["elementwise", "rows", "losses"])
def test_values_and_gradients(table):
    assert_close = partial(torch.testing.assert_close, rtol=1e-12, atol=2e-16, equal_nan=True)
    for number, (function, input, output, upstream, gradient) in enumerate(table):
        x = torch.tensor(input, dtype=torch.float64, requires_grad=True)
        y = function(x)
        y.backward(torch.tensor(upstream, dtype=torch.float64))
        for got, wanted in ((y.detach(), output), (x.grad, gradient)):
            expected = torch.tensor(wanted, dtype=torch.float64)
            assert_close(got, expected, msg=lambda why: f"row {number}, {table[number]}\n{why}")  # noqa: B023
