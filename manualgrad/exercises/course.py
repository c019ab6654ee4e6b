"""The course: which exercises there are, in which order, and in which steps each is judged."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from manualgrad.errors import UserError
from manualgrad.exercises.exercise import FUNCTIONS, LESSONS, WHOLE, Exercise, Step


def _function(page: str, *steps: Step, **fields: Any) -> Exercise:
    """Return the exercise of one of the package's functions."""
    return replace(Exercise(page, FUNCTIONS / f"{page}.py", steps=steps or WHOLE), **fields)


def _lesson(page: str, *steps: Step, **fields: Any) -> Exercise:
    """Return an exercise that has a page of its own."""
    return replace(Exercise(page, LESSONS / f"{page}.py", steps=steps or WHOLE), **fields)


def _prediction(page: str, sample: str, wrong_backward: str, answer: str) -> Exercise:
    """Return an exercise that asks which kind gradcheck will name."""
    return replace(
        Exercise(
            f"predict_{page}", FUNCTIONS / f"{page}.py", "prediction", (Step("the kind", samples=(sample,)),)
        ),
        about=f"What will be said of a wrong {page}?",
        note="One of: sign, scale, ignores-upstream, input-for-output, missing-terms, transposed, unsummed.",
        wrong_backward=wrong_backward,
        answer=answer,
    )


_FUNCTIONS_AND_LOSSES = (
    _function(
        "power",
        Step("the square", samples=("exponent 2",)),
        name="square",
        about="y = x²: power, with the exponent 2",
        note="Here the exponent is always 2.",
    ),
    _function(
        "power",
        Step("exponents 1, 2 and 3", samples=("cube", "exponent 1", "exponent 2")),
        Step("any exponent, 0 and -1 too"),
    ),
    _function("exp"),
    _function("sin"),
    _prediction("exp", "matrix", "return grad_output * torch.exp(output)", "input-for-output"),
    _lesson("chain_of_three"),
    _function("sigmoid"),
    _function("tanh"),
    _prediction("tanh", "matrix", "return 1 - output**2", "ignores-upstream"),
    _function("relu"),
    *map(_function, ("leaky_relu", "silu", "softplus", "gelu", "dropout")),
    _function(
        "mse_loss",
        Step("the mean, the target is data", samples=("data as target",)),
        Step("the mean, both gradients", samples=("mean",)),
        Step("the other reductions"),
        note='``ctx.reduction`` is "mean" in the first two steps; in the third also "sum" and "none".',
        forward="""\
def forward(input, target, reduction):
    return ((input - target) ** 2).mean()  # or .sum(), or neither, as reduction says""",
    ),
    _function(
        "linear",
        Step("the gradient of input", samples=("batch",), arguments=("input",)),
        Step("the gradient of weight", samples=("batch",), arguments=("weight",)),
        Step("the gradient of bias", samples=("batch",), arguments=("bias",)),
        Step("only what is asked for"),
    ),
    _prediction(
        "linear",
        "batch",
        "return grad_output @ weight, grad_output.t() @ input, grad_output",
        "unsummed",
    ),
    _function(
        "softmax",
        Step("one row", samples=("one row without a batch",)),
        Step("many rows, along any dimension"),
    ),
    _function(
        "log_softmax", Step("one row", samples=("one row without a batch",)), Step("along any dimension")
    ),
    _function(
        "nll_loss",
        Step("the mean over labels", samples=("labels", "unbatched")),
        Step(
            "class weights and the other reductions",
            samples=("mean, class weights", "sum, class weights", "none, class weights"),
        ),
        note='In the first step weight is None and reduction "mean"; in the second also "sum" and "none". '
        "No label is to be ignored in either.",
        forward="""\
def forward(input, target, weight, ignore_index, reduction):
    losses = -input.gather(-1, target.unsqueeze(-1))  # (N, 1): -x[t]
    return losses.mean()  # with a weight: (w[t] * losses).sum() / w[t].sum()""",
    ),
    _function(
        "softmax_nll",
        Step("the mean over labels", samples=("labels", "unbatched")),
        note='Here weight is None, no label is to be ignored, reduction is "mean" and label_smoothing is 0.',
        forward="""\
def forward(input, target, weight, ignore_index, reduction, label_smoothing):
    log_probs = torch.log_softmax(input, -1)
    return -log_probs.gather(-1, target.unsqueeze(-1)).mean()""",
    ),
    _function(
        "softmax_cross_entropy",
        Step("the gradient of input", samples=("distribution", "unbatched"), arguments=("input",)),
        Step("the gradient of target", samples=("distribution", "unbatched"), arguments=("target",)),
        note='Here weight is None, reduction is "mean" and label_smoothing is 0.',
        forward="""\
def forward(input, target, weight, reduction, label_smoothing):
    return -(target * torch.log_softmax(input, -1)).sum(-1).mean()""",
    ),
    _function(
        "binary_cross_entropy_with_logits",
        Step("the target is data", samples=("data as target", "one number")),
        note='Here weight and pos_weight are None, reduction is "mean", and target needs no gradient.',
        forward="""\
def forward(input, target, weight, reduction, pos_weight):
    log_sigmoid = -torch.logaddexp(torch.zeros_like(input), -input)
    return ((1 - target) * input - log_sigmoid).mean()""",
    ),
    _function("embedding"),
    _function(
        "avg_pool2d", Step("windows side by side", samples=("windows side by side",)), Step("all others")
    ),
    _function(
        "max_pool2d", Step("windows side by side", samples=("windows side by side",)), Step("all others")
    ),
    _function(
        "conv2d",
        Step("the gradient of bias", samples=("bias, stride and padding",), arguments=("bias",)),
        Step("the gradient of weight", samples=("batch",), arguments=("weight",)),
        Step("the gradient of input", samples=("batch",), arguments=("input",)),
        Step("strides, gaps, groups, and only what is asked for"),
        note="``ctx.windows`` has ``stride``, ``padding``, ``dilation`` and ``kernel``, each two numbers.",
    ),
    _function("rms_norm", Step("a row alone", samples=("rows alone",)), Step("with its scale")),
    _function("layer_norm", Step("a row alone", samples=("rows alone",)), Step("with scale and shift")),
    _function("batch_norm", Step("training", samples=("training without a scale",)), Step("all of it")),
    _function("group_norm", Step("groups alone", samples=("groups alone",)), Step("with scale and shift")),
    _function(
        "scaled_dot_product_attention",
        Step("the gradient of value", samples=("one sequence",), arguments=("value",)),
        Step("the gradients of query and key", samples=("one sequence",)),
        Step("heads, masks and scales"),
        forward="""\
def forward(query, key, value, mask, dropout, scale):
    scores = scale * query @ key.mT  # (..., L, S); with a mask: + mask
    probs = scores.softmax(-1)  # 0 in a row that is hidden as a whole
    return probs @ value, probs  # with dropout: (probs * dropout) @ value""",
    ),
    _function("gru_gates"),
    _function("lstm_gates"),
)

_NETWORK_AND_BUGS = (
    _lesson("network", Step("forward"), Step("backward"), kind="network"),
    _lesson(
        "bias_update",
        kind="script",
        name="bug_bias_update",
        mistakes=(
            ("b2 - learning_rate * grad_b2", "b2 - learning_rate * b2"),
            ("b1 - learning_rate * grad_b1", "b1 - learning_rate * b1"),
        ),
    ),
    _lesson(
        "stale_gradients",
        kind="script",
        name="bug_stale_gradients",
        mistakes=(("                parameter.grad = None\n", ""),),
    ),
    _function(
        "softmax",
        name="bug_diagonal_softmax",
        about="Softmax, in a network that learns, but badly",
        note="A network with this softmax learns, but badly. Its author tested it with p.sum() as the loss.",
        wrong_backward="return grad_output * probs * (1 - probs), None",
    ),
    _function(
        "relu",
        name="bug_in_place_relu",
        about="A ReLU that is right alone and wrong in company",
        note="torch.autograd.gradcheck passes it, but a network with residual connections goes astray.",
        wrong_backward="grad_output[output <= 0] = 0\nreturn grad_output",
    ),
    _function(
        "dropout",
        Step("half of the inputs", samples=("half",)),
        name="bug_new_mask",
        about="Dropout whose gradients do not fit its outputs",
        note="A network with this dropout learns, but no better than with noise in its gradients.",
        wrong_backward="kept = torch.rand_like(mask) < 0.5\nreturn grad_output * kept / 0.5, None",
    ),
    _function(
        "conv2d",
        Step("one kernel, stride 1", samples=("batch",)),
        name="bug_kernel",
        about="A convolution that trains the wrong way round",
        note="With a symmetric kernel, such as a blur, it passes every test. Here the stride is 1, without "
        "padding, and there is no bias.",
        wrong_backward="""\
rows, columns = weight.shape[2] - 1, weight.shape[3] - 1
padded = torch.constant_pad_nd(grad_output, [columns, columns, rows, rows])
grad_input = torch.conv2d(padded, weight.transpose(0, 1))
grad_weight = torch.conv2d(input.transpose(0, 1), grad_output.transpose(0, 1)).transpose(0, 1)
return grad_input, grad_weight, None, None, None""",
    ),
    _function(
        "layer_norm",
        Step("rows alone", samples=("rows alone",)),
        name="bug_constant_mean",
        about="A layer norm that takes its mean for a constant",
        note="Here there is neither weight nor bias. Which of the row's numbers does the mean depend on?",
        wrong_backward="""\
mean = input.mean(ctx.dims, keepdim=True)
rstd = (input.var(ctx.dims, correction=0, keepdim=True) + ctx.eps).rsqrt()
normalized = (input - mean) * rstd
shared = (grad_output * normalized).mean(ctx.dims, keepdim=True)
return rstd * (grad_output - normalized * shared), None, None, None, None""",
    ),
)


def course() -> list[Exercise]:
    """Return every exercise, in the order in which they teach.

    A function of the package that no line above names comes after those that are named.

    Returns
    -------
    list of Exercise
        Their names differ.
    """
    named = {exercise.page for exercise in _FUNCTIONS_AND_LOSSES}
    pages = sorted(page for page in FUNCTIONS.glob("[!_]*.py") if page not in named)
    return [*_FUNCTIONS_AND_LOSSES, *(_function(page.stem) for page in pages), *_NETWORK_AND_BUGS]


def find(name: str) -> Exercise:
    """Return the exercise of that name.

    Parameters
    ----------
    name : str
        As listed; hyphens serve for underscores, and ``.py`` may follow.

    Returns
    -------
    Exercise
        The one with this name.

    Raises
    ------
    UserError
        If there is none, with the closest names there are.
    """
    exercises = {exercise.name: exercise for exercise in course()}
    plain = name.removesuffix(".py").replace("-", "_").lower()
    if plain in exercises:
        return exercises[plain]
    raise UserError(f"no exercise is called {name!r}{_closest(plain, exercises)}")


def _closest(name: str, names: Iterable[str]) -> str:
    import difflib  # only a wrong name needs it

    similar = difflib.get_close_matches(name, names, n=3)
    return f": did you mean {' or '.join(similar)}?" if similar else ": `list` shows them all"
