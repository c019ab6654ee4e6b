"""Backwards that are wrong as people really get them wrong, each with the kind the checker should name.

Threads that a slip was seen in: pytorch#995 (an upstream gradient not multiplied by, a sign lost with it),
pytorch#4355 (ISRLU without its upstream gradient), libnd4j#440 and zhuozhiyongde's PKU-2024Spring#1
(softmax by its diagonal), Odyssey#2134 (softmax without the dot product), fromscratchtoml#65 (softmax off
by two), cs231n#10 of mantasu (s (s − 1) for s (1 − s)), extension-cpp#10 and pytorch#28583 (bias gradients
of shape (1, O) and ()), pytorch#30454 (``grad_output *= 2``), pytorch-image-comp-rnn#4 (a gradient too
few), pytorch#13886 (a constant of a quotient), stackoverflow 65275522 (the division by the batch),
newbe.dev's softmax (input where the value belongs), pytorch#58509, #76185 and #104040 (saved
intermediates), mlpack#3469 (log-softmax), pytorch#81417 (in-place upstream).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as TF
from torch.autograd import Function

from tests.gradcheck.bank import (
    BCE,
    MSE,
    Entry,
    Exp,
    Linear,
    LogSoftmax,
    MatMul,
    Mul,
    Power,
    ProbsCE,
    ReLU,
    Saving,
    Sigmoid,
    Sin,
    Softmax,
    SoftmaxNLL,
    Tanh,
    affine,
    binary,
    classes,
    distributions,
    labels,
    normal,
    one_hot,
    pair,
    positive,
    regression,
    square,
    square_affine,
    table,
    uniform,
)

BANK: list[Entry] = []


def wrong(
    kind: str,
    base: type[Function],
    inputs: Callable[[], tuple[Any, ...]],
    reference: Callable[..., Any] | None = None,
) -> Callable[[Any], Any]:
    """Enter a backward into the bank, as a subclass of a right forward."""

    def enter(backward: Any) -> Any:
        function = type(
            backward.__name__, (base,), {"backward": staticmethod(backward), "__module__": __name__}
        )
        BANK.append(Entry(backward.__name__, function, inputs, kind, reference))
        return backward

    return enter


# --- sigmoid


@wrong("sign", Sigmoid, table)
def sigmoid_factor_reversed(ctx, g):
    _, y = ctx.saved_tensors
    return g * y * (y - 1)


@wrong("input-for-output", Sigmoid, table)
def sigmoid_of_input_not_output(ctx, g):
    x, _ = ctx.saved_tensors
    return g * x * (1 - x)


@wrong("input-for-output", Sigmoid, table)
def sigmoid_one_factor_from_input(ctx, g):
    x, y = ctx.saved_tensors
    return g * y * (1 - x)


@wrong("input-for-output", Sigmoid, table)
def sigmoid_applied_again(ctx, g):
    _, y = ctx.saved_tensors
    s = torch.sigmoid(y)
    return g * s * (1 - s)


@wrong("ignores-upstream", Sigmoid, table)
def sigmoid_local_derivative_only(ctx, g):
    _, y = ctx.saved_tensors
    return y * (1 - y)


@wrong("ignores-upstream", Sigmoid, table)
def sigmoid_added_upstream(ctx, g):
    _, y = ctx.saved_tensors
    return g + y * (1 - y)


@wrong("mutates", Sigmoid, table)
def sigmoid_upstream_in_place(ctx, g):
    _, y = ctx.saved_tensors
    return g.mul_(y).mul_(1 - y)


@wrong("missing-gradient", Sigmoid, table)
def sigmoid_zeros(ctx, g):
    return torch.zeros_like(g)


@wrong("missing-gradient", Sigmoid, table)
def sigmoid_none(ctx, g):
    return None


@wrong("second-order", Sigmoid, table)
def sigmoid_detached(ctx, g):
    _, y = ctx.saved_tensors
    y = y.detach()
    return g * y * (1 - y)


@wrong("wrong-dtype", Sigmoid, table)
def sigmoid_in_float32(ctx, g):
    _, y = ctx.saved_tensors
    return (g * y * (1 - y)).float()


@wrong("nondeterministic", Sigmoid, table)
def sigmoid_with_noise(ctx, g):
    _, y = ctx.saved_tensors
    return g * y * (1 - y) * (1 + 0.01 * torch.randn_like(g))


@wrong("missing-terms", Sigmoid, table)
def sigmoid_second_factor_forgotten(ctx, g):
    _, y = ctx.saved_tensors
    return g * y


@wrong("raises", Sigmoid, table)
def sigmoid_wrong_unpacking(ctx, g):
    (y,) = ctx.saved_tensors
    return g * y * (1 - y)


class SigmoidOfSaved(Sigmoid):
    """Saves an intermediate, which autograd cannot differentiate again (pytorch#104040)."""

    @staticmethod
    def forward(ctx, input):
        y = torch.sigmoid(input)
        ctx.save_for_backward(y * (1 - y))
        return y


@wrong("second-order", SigmoidOfSaved, table)
def sigmoid_saved_intermediate(ctx, g):
    (slope,) = ctx.saved_tensors
    return g * slope


# --- tanh


@wrong("input-for-output", Tanh, table)
def tanh_of_input(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (1 - x**2)


@wrong("input-for-output", Tanh, lambda: (0.01 * normal(4, 3, seed=1).detach(),))
def tanh_of_small_input(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (1 - x * x)


@wrong("sign", Tanh, table)
def tanh_squared_minus_one(ctx, g):
    _, y = ctx.saved_tensors
    return g * (y**2 - 1)


@wrong("missing-terms", Tanh, table)
def tanh_one_forgotten(ctx, g):
    _, y = ctx.saved_tensors
    return -g * y**2


@wrong("ignores-upstream", Tanh, table)
def tanh_without_upstream(ctx, g):
    _, y = ctx.saved_tensors
    return 1 - y**2


@wrong("missing-terms", Tanh, table)
def tanh_not_squared(ctx, g):
    _, y = ctx.saved_tensors
    return g * (1 - y)


@wrong("layout", Tanh, table)
def tanh_viewed(ctx, g):
    _, y = ctx.saved_tensors
    return (g.view(-1) * (1 - y.view(-1) ** 2)).view(y.shape)


@wrong("scale", Tanh, table)
def tanh_twice(ctx, g):
    _, y = ctx.saved_tensors
    return 2 * g * (1 - y**2)


@wrong("mutates", Tanh, table)
def tanh_saved_in_place(ctx, g):
    _, y = ctx.saved_tensors
    return g * y.pow_(2).neg_().add_(1)


# --- relu


@wrong("wrong-region", ReLU, table)
def relu_passes_everything(ctx, g):
    return g.clone()


@wrong("wrong-region", ReLU, table)
def relu_leaks(ctx, g):
    x, _ = ctx.saved_tensors
    return torch.where(x > 0, g, 0.01 * g)


@wrong("wrong-region", ReLU, table)
def relu_mask_reversed(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x < 0)


@wrong("mutates", ReLU, table)
def relu_masked_in_place(ctx, g):
    x, _ = ctx.saved_tensors
    g[x < 0] = 0
    return g


@wrong("ignores-upstream", ReLU, table)
def relu_mask_only(ctx, g):
    x, _ = ctx.saved_tensors
    return (x > 0).to(g)


@wrong("missing-terms", ReLU, table)
def relu_square_slope(ctx, g):
    _, y = ctx.saved_tensors
    return g * (y > 0) / (1 + y)


@wrong(
    "kink",
    ReLU,
    lambda: (torch.tensor([[-1.0, 0.0, 2.0], [0.5, -0.0, -3.0]], dtype=torch.float64),),
    torch.relu,
)
def relu_greater_or_equal(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x >= 0)


@wrong("kink", ReLU, table, torch.relu)
def relu_greater_or_equal_away_from_zero(ctx, g):
    x, _ = ctx.saved_tensors
    return torch.where(x >= 0, g, torch.zeros_like(g))


@wrong("kink", ReLU, lambda: (torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64),))
def relu_two_at_zero(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x > 0) + 3 * g * (x == 0)


@wrong("wrong-region", ReLU, table)
def relu_mask_of_upstream_too(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x > 0) * (g > 0)


@wrong("wrong-region", ReLU, lambda: (3 * normal(4, 3, seed=1).detach(),))
def relu_mask_at_one(ctx, g):
    x, _ = ctx.saved_tensors
    return g * (x > 1)


# --- exp, sin, power


@wrong("input-for-output", Exp, table)
def exp_times_input(ctx, g):
    x, _ = ctx.saved_tensors
    return g * x


@wrong("missing-terms", Exp, table)
def exp_passes_upstream(ctx, g):
    return g.clone()


@wrong("input-for-output", Exp, table)
def exp_of_output(ctx, g):
    _, y = ctx.saved_tensors
    return g * torch.exp(y)


@wrong("sign", Exp, table)
def exp_of_a_decay(ctx, g):
    _, y = ctx.saved_tensors
    return -g * y


@wrong("ignores-upstream", Exp, table)
def exp_without_upstream(ctx, g):
    _, y = ctx.saved_tensors
    return y.clone()


@wrong("mutates", Exp, table)
def exp_changes_saved_output(ctx, g):
    _, y = ctx.saved_tensors
    y *= g
    return y


@wrong("ignores-upstream", Exp, table)
def exp_upstream_twice(ctx, g):
    _, y = ctx.saved_tensors
    return g * g * y


@wrong("sign", Sin, table)
def sin_minus_cosine(ctx, g):
    x, _ = ctx.saved_tensors
    return -g * torch.cos(x)


@wrong("input-for-output", Sin, table)
def sin_cosine_of_output(ctx, g):
    _, y = ctx.saved_tensors
    return g * torch.cos(y)


@wrong("input-for-output", Sin, table)
def sin_own_derivative(ctx, g):
    x, _ = ctx.saved_tensors
    return g * torch.sin(x)


@wrong("wrong-region", Sin, table)
def sin_from_output(ctx, g):
    _, y = ctx.saved_tensors
    return g * torch.sqrt(1 - y**2)


@wrong("scale", Sin, table)
def sin_in_degrees(ctx, g):
    x, _ = ctx.saved_tensors
    return g * torch.cos(x) * torch.pi / 180


@wrong("second-order", Sin, table)
def sin_through_data(ctx, g):
    x, _ = ctx.saved_tensors
    return g * torch.cos(x.data)


@wrong("scale", Power, positive)
def power_exponent_forgotten(ctx, g):
    x, _ = ctx.saved_tensors
    return g * x ** (ctx.numbers[0] - 1), None


@wrong("missing-terms", Power, positive)
def power_exponent_not_lowered(ctx, g):
    x, _ = ctx.saved_tensors
    return g * ctx.numbers[0] * x ** (ctx.numbers[0] + 1), None


@wrong("missing-terms", Power, positive)
def power_over_lowered(ctx, g):
    x, _ = ctx.saved_tensors
    return g * ctx.numbers[0] * x ** (ctx.numbers[0] - 2), None


@wrong("input-for-output", Power, positive)
def power_of_output(ctx, g):
    _, y = ctx.saved_tensors
    return g * ctx.numbers[0] * y ** (ctx.numbers[0] - 1), None


@wrong("raises", Power, positive)
def power_one_gradient_for_two(ctx, g):
    x, _ = ctx.saved_tensors
    return g * ctx.numbers[0] * x ** (ctx.numbers[0] - 1)


@wrong("non-finite", Power, lambda: (torch.tensor([[0.0, 1.5], [2.0, -0.5]], dtype=torch.float64), 2.0))
def power_divides_by_input(ctx, g):
    x, y = ctx.saved_tensors
    return g * ctx.numbers[0] * y / x, None


@wrong("wrong-region", Power, lambda: (normal(4, 3, seed=1), 3.0))
def power_of_absolute(ctx, g):
    x, y = ctx.saved_tensors
    return g * ctx.numbers[0] * y.abs() / x, None


# --- linear


@wrong("unsummed", Linear, affine)
def linear_bias_not_summed(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g


@wrong("wrong-shape", Linear, affine)
def linear_bias_keepdim(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g.sum(0, keepdim=True)


@wrong("wrong-shape", Linear, lambda: (normal(5, 3, seed=6), normal(1, 3, seed=7), normal(1, seed=8)))
def linear_bias_squeezed(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g.sum(0).squeeze(0)


@wrong("scale", Linear, affine)
def linear_bias_mean(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g.mean(0)


@wrong("transposed", Linear, affine)
def linear_weight_transposed(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, x.t() @ g, g.sum(0)


@wrong("transposed", Linear, square_affine)
def linear_square_weight_transposed(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, x.t() @ g, g.sum(0)


@wrong("transposed", Linear, square_affine)
def linear_square_input_through_transpose(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w.t(), g.t() @ x, g.sum(0)


@wrong("raises", Linear, affine)
def linear_shapes_do_not_meet(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w.t(), g.t() @ x, g.sum(0)


@wrong("swapped-inputs", Linear, affine)
def linear_weight_and_input_exchanged(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g.t() @ x, g @ w, g.sum(0)


@wrong("swapped-inputs", Linear, square_affine)
def linear_square_exchanged(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g.t() @ x, g @ w, g.sum(0)


@wrong("missing-gradient", Linear, affine)
def linear_bias_none(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, None


@wrong("missing-gradient", Linear, affine)
def linear_bias_left_out(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x


@wrong("scale", Linear, affine)
def linear_weight_averaged(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x / len(x), g.sum(0)


@wrong("missing-terms", Linear, affine)
def linear_weight_of_first_example(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, torch.outer(g[0], x[0]), g.sum(0)


@wrong("missing-terms", Linear, affine)
def linear_bias_of_first_example(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, g[0].clone()


@wrong("ignores-upstream", Linear, affine)
def linear_bias_of_ones(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return g @ w, g.t() @ x, torch.full_like(g[0], len(g))


@wrong("ignores-upstream", Linear, affine)
def linear_weight_from_output(ctx, g):
    x, w, _, y = ctx.saved_tensors
    return g @ w, y.t() @ x, g.sum(0)


@wrong("wrong-region", Linear, affine)
def linear_first_row_of_input_lost(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    return torch.cat([torch.zeros_like(x[:1]), (g @ w)[1:]]), g.t() @ x, g.sum(0)


@wrong("layout", Linear, affine)
def linear_reads_strides(ctx, g):
    x, w, _, _ = ctx.saved_tensors
    g = g.as_strided(g.shape, (g.shape[1], 1))
    return g @ w, g.t() @ x, g.sum(0)


# --- products and matrix products


@wrong("swapped-inputs", Mul, pair)
def mul_own_factor(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g * a, g * b


@wrong("unsummed", Mul, lambda: (normal(4, 3, seed=4), normal(3, seed=5)))
def mul_broadcast_not_summed(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g * b, g * a


@wrong("unsummed", Mul, lambda: (normal(4, 3, seed=4), normal(4, 1, seed=5)))
def mul_column_not_summed(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g * b, g * a


@wrong("mutates", Mul, pair)
def mul_reuses_input(ctx, g):
    a, b, _ = ctx.saved_tensors
    left = g * b
    return left, a.mul_(g)


@wrong("missing-gradient", Mul, pair)
def mul_second_is_a_constant(ctx, g):
    _, b, _ = ctx.saved_tensors
    return g * b, torch.zeros_like(b)


@wrong("transposed", MatMul, lambda: (normal(3, 3, seed=4), normal(3, 3, seed=5)))
def matmul_left_not_transposed(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g @ b, a.t() @ g


@wrong("transposed", MatMul, lambda: (normal(4, 3, seed=4), normal(3, 2, seed=5)))
def matmul_right_transposed(ctx, g):
    a, b, _ = ctx.saved_tensors
    return g @ b.t(), g.t() @ a


# --- softmax, log-softmax


@wrong("missing-terms", Softmax, table)
def softmax_diagonal(ctx, g):
    _, y = ctx.saved_tensors
    return g * y * (1 - y)


@wrong("missing-terms", Softmax, table)
def softmax_without_dot_product(ctx, g):
    _, y = ctx.saved_tensors
    return g * y


@wrong("missing-terms", Softmax, table)
def softmax_path_of_the_sum_only(ctx, g):
    _, y = ctx.saved_tensors
    return -y * (g * y).sum(-1, keepdim=True)


@wrong("sign", Softmax, table)
def softmax_subtraction_reversed(ctx, g):
    _, y = ctx.saved_tensors
    return y * ((g * y).sum(-1, keepdim=True) - g)


@wrong("scale", Softmax, table)
def softmax_off_by_two(ctx, g):
    _, y = ctx.saved_tensors
    return 2 * y * (g - (g * y).sum(-1, keepdim=True))


@wrong("missing-terms", Softmax, table)
def softmax_sum_without_output(ctx, g):
    _, y = ctx.saved_tensors
    return y * (g - g.sum(-1, keepdim=True))


@wrong("missing-terms", Softmax, table)
def softmax_sum_over_the_batch(ctx, g):
    _, y = ctx.saved_tensors
    return y * (g - (g * y).sum())


@wrong("missing-terms", LogSoftmax, table)
def log_softmax_upstream_only(ctx, g):
    return g.clone()


@wrong("input-for-output", LogSoftmax, table)
def log_softmax_input_as_probabilities(ctx, g):
    x, _ = ctx.saved_tensors
    return g - x.exp() * g.sum(-1, keepdim=True)


# --- losses


@wrong("scale", SoftmaxNLL, classes)
def nll_not_averaged(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x.softmax(1) - one_hot(t, x)), None


@wrong("scale", SoftmaxNLL, classes)
def nll_divided_by_classes(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x.softmax(1) - one_hot(t, x)) / x.shape[1], None


@wrong("ignores-upstream", SoftmaxNLL, classes)
def nll_without_upstream(ctx, g):
    x, t, _ = ctx.saved_tensors
    return (x.softmax(1) - one_hot(t, x)) / len(x), None


@wrong("wrong-region", SoftmaxNLL, classes)
def nll_target_not_subtracted(ctx, g):
    x, _, _ = ctx.saved_tensors
    return g * x.softmax(1) / len(x), None


@wrong("sign", SoftmaxNLL, classes)
def nll_target_minus_probabilities(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (one_hot(t, x) - x.softmax(1)) / len(x), None


@wrong("missing-terms", SoftmaxNLL, classes)
def nll_target_only(ctx, g):
    x, t, _ = ctx.saved_tensors
    return -g * one_hot(t, x) / len(x), None


@wrong("input-for-output", SoftmaxNLL, classes)
def nll_logits_as_probabilities(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x - one_hot(t, x)) / len(x), None


@wrong("wrong-region", SoftmaxNLL, classes)
def nll_target_scaled_twice(ctx, g):
    x, t, _ = ctx.saved_tensors
    grad = x.softmax(1) / len(x)
    return g * (grad - one_hot(t, x)), None


@wrong(
    "non-finite",
    SoftmaxNLL,
    lambda: (torch.tensor([[1.0, 1000.0], [3.0, -2.0]], dtype=torch.float64), labels(2, 2)),
)
def nll_naive_softmax(ctx, g):
    x, t, _ = ctx.saved_tensors
    probs = x.exp() / x.exp().sum(1, keepdim=True)
    return g * (probs - one_hot(t, x)) / len(x), None


@wrong("non-finite", SoftmaxNLL, classes)
def nll_naive_softmax_at_ordinary_inputs(ctx, g):
    x, t, _ = ctx.saved_tensors
    probs = x.exp() / x.exp().sum(1, keepdim=True)
    return g * (probs - one_hot(t, x)) / len(x), None


@wrong("second-order", SoftmaxNLL, classes)
def nll_index_assigned(ctx, g):
    x, t, _ = ctx.saved_tensors
    with torch.no_grad():
        probs = x.softmax(1)
        probs[torch.arange(len(x)), t] -= 1
    return g * probs / len(x), None


@wrong("wrong-region", SoftmaxNLL, classes)
def nll_class_zero_taken_for_padding(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x.softmax(1) - one_hot(t, x)) / len(x) * (t != 0).unsqueeze(1), None


@wrong("scale", MSE, regression)
def mse_two_forgotten(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x - t) / x.numel(), None


@wrong("scale", MSE, regression)
def mse_divided_by_batch(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * 2 * (x - t) / len(x), None


@wrong("scale", MSE, regression)
def mse_not_averaged(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * 2 * (x - t), None


@wrong("sign", MSE, regression)
def mse_target_minus_input(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * 2 * (t - x) / x.numel(), None


@wrong("missing-terms", MSE, regression)
def mse_target_forgotten(ctx, g):
    x, _, _ = ctx.saved_tensors
    return g * 2 * x / x.numel(), None


@wrong("missing-gradient", MSE, pair)
def mse_target_has_no_gradient(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * 2 * (x - t) / x.numel(), None


@wrong("sign", MSE, pair)
def mse_same_gradient_for_both(ctx, g):
    x, t, _ = ctx.saved_tensors
    grad = g * 2 * (x - t) / x.numel()
    return grad, grad


@wrong("ignores-upstream", MSE, regression)
def mse_without_upstream(ctx, g):
    x, t, _ = ctx.saved_tensors
    return 2 * (x - t) / x.numel(), None


@wrong("wrong-region", MSE, regression)
def mse_absolute_difference(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * 2 * (x - t).abs() / x.numel(), None


@wrong("wrong-shape", MSE, regression)
def mse_summed(ctx, g):
    x, t, _ = ctx.saved_tensors
    return (g * 2 * (x - t) / x.numel()).sum(1), None


@wrong("input-for-output", BCE, binary)
def bce_logits_as_probabilities(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x - t) / x.numel(), None


@wrong("sign", BCE, binary)
def bce_target_minus_probability(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (t - x.sigmoid()) / x.numel(), None


@wrong("scale", BCE, binary)
def bce_divided_by_batch(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * (x.sigmoid() - t) / len(x), None


@wrong("missing-terms", BCE, binary)
def bce_derivative_of_sigmoid_once_more(ctx, g):
    x, t, _ = ctx.saved_tensors
    p = x.sigmoid()
    return g * (p - t) * p * (1 - p) / x.numel(), None


@wrong("wrong-region", BCE, binary)
def bce_positive_examples_only(ctx, g):
    x, t, _ = ctx.saved_tensors
    return g * t * (x.sigmoid() - 1) / x.numel(), None


@wrong("wrong-region", BCE, binary)
def bce_target_forgotten(ctx, g):
    x, _, _ = ctx.saved_tensors
    return g * x.sigmoid() / x.numel(), None


@wrong("sign", ProbsCE, distributions)
def probs_minus_lost(ctx, g):
    p, t, _ = ctx.saved_tensors
    return g * t / p / len(p), None


@wrong("missing-terms", ProbsCE, distributions)
def probs_not_divided(ctx, g):
    p, t, _ = ctx.saved_tensors
    return -g * t / len(p), None


@wrong("unknown", ProbsCE, distributions)
def probs_as_if_logits(ctx, g):
    p, t, _ = ctx.saved_tensors
    return g * (p - t) / len(p), None


@wrong("scale", ProbsCE, distributions)
def probs_not_averaged(ctx, g):
    p, t, _ = ctx.saved_tensors
    return -g * t / p, None


@wrong("swapped-inputs", ProbsCE, lambda: (uniform(5, 3, seed=14), uniform(5, 3, seed=15)))
def probs_gradients_exchanged(ctx, g):
    p, t, _ = ctx.saved_tensors
    return -g * p.log() / len(p), -g * t / p / len(p)


# --- others: several results, state, inputs changed


class SinCos(Saving):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.sin(), input.cos()


@wrong("missing-terms", SinCos, table)
def sincos_second_result_forgotten(ctx, gs, gc):
    (x,) = ctx.saved_tensors
    return gs * x.cos()


@wrong("unknown", SinCos, table)
def sincos_second_sign(ctx, gs, gc):
    (x,) = ctx.saved_tensors
    return gs * x.cos() + gc * x.sin()


class Mean(Saving):
    compute = staticmethod(lambda x: x.mean(0))

    @staticmethod
    def forward(ctx, input):
        return Mean.run(ctx, input)


@wrong("scale", Mean, table)
def mean_not_divided(ctx, g):
    x, _ = ctx.saved_tensors
    return g.expand_as(x)


@wrong("wrong-shape", Mean, table)
def mean_not_expanded(ctx, g):
    x, _ = ctx.saved_tensors
    return g / len(x)


class ISRLU(Function):
    @staticmethod
    def forward(ctx, input, alpha):
        ctx.nisr = torch.rsqrt(1 + alpha * input.clamp(max=0) ** 2)
        return input * ctx.nisr


@wrong("ignores-upstream", ISRLU, lambda: (normal(4, 3, seed=1), 1.0))
def isrlu_from_the_thread(ctx, g):
    return ctx.nisr**3, None


@wrong("second-order", ISRLU, lambda: (normal(4, 3, seed=1), 1.0))
def isrlu_with_upstream(ctx, g):
    return g * ctx.nisr**3, None


class DoubleInPlace(Function):
    @staticmethod
    def forward(ctx, input):
        input *= 2
        return input.clone()


@wrong("mutates", DoubleInPlace, table)
def doubled_in_place(ctx, g):
    return 2 * g


@wrong("mutates", DoubleInPlace, table)
def doubled_in_place_twice(ctx, g):
    g *= 2
    return g


class Counting(Sigmoid):
    calls = 0


@wrong("nondeterministic", Counting, table)
def sigmoid_fades(ctx, g):
    _, y = ctx.saved_tensors
    Counting.calls += 1
    return g * y * (1 - y) / Counting.calls


class Normalised(Saving):
    compute = staticmethod(lambda x: x - x.mean(-1, keepdim=True))

    @staticmethod
    def forward(ctx, input):
        return Normalised.run(ctx, input)


@wrong("missing-terms", Normalised, table)
def centred_mean_is_a_constant(ctx, g):
    return g.clone()


class SiLU(Saving):
    compute = staticmethod(TF.silu)

    @staticmethod
    def forward(ctx, input):
        return SiLU.run(ctx, input)


@wrong("missing-terms", SiLU, table)
def silu_second_path_forgotten(ctx, g):
    x, _ = ctx.saved_tensors
    return g * x.sigmoid()


@wrong("transposed", Softmax, square)
def softmax_over_the_other_dimension(ctx, g):
    _, y = ctx.saved_tensors
    return (y * (g - (g * y).sum(-1, keepdim=True))).t()
