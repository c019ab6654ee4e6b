"""The course: which exercises there are, in which order, and in which steps each is judged."""

import difflib
from typing import Any

from manualgrad.errors import UserError
from manualgrad.exercises.exercise import FUNCTIONS, LESSONS, Exercise, Step


def _exercise(page: str, *steps: Step, name: str = "", **fields: Any) -> Exercise:
    """Return the exercise of a page; without steps, every sample of it is one."""
    folder = FUNCTIONS if (FUNCTIONS / f"{page}.py").exists() else LESSONS
    return Exercise(name or page, folder / f"{page}.py", steps or (Step("every sample"),), **fields)


def _gradient(argument: str, *samples: str) -> Step:
    """Return the step that is about one argument, in some samples."""
    return Step(f"the gradient of {argument}", samples, (argument,))


def _prediction(page: str, sample: str, wrong_backward: str, answer: str) -> Exercise:
    """Return an exercise that asks which kind gradcheck will name."""
    about = f"Predict the verdict on a wrong {page}"
    fields: dict[str, Any] = {"kind": "prediction", "wrong_backward": wrong_backward, "answer": answer}
    return _exercise(page, Step("the kind", (sample,)), name=f"predict_{page}", about=about, **fields)


CHAPTERS = {
    "One number at a time": [
        _exercise(
            "power",
            Step("the square", ("exponent 2",)),
            name="square",
            about="y = x²: power, with the exponent 2",
            note="Here the exponent is always 2.",
        ),
        _exercise(
            "power",
            Step("exponents 1, 2 and 3", ("cube", "exponent 1", "exponent 2")),
            Step("any exponent, 0 and -1 too"),
        ),
        _exercise("exp"),
        _exercise("sin"),
        _prediction("exp", "matrix", "return grad_output * torch.exp(output)", "input-for-output"),
        _exercise("chain_of_three"),
    ],
    "Activations": [
        _exercise("sigmoid"),
        _exercise("tanh"),
        _prediction("tanh", "matrix", "return 1 - output**2", "ignores-upstream"),
        *map(_exercise, ("relu", "leaky_relu", "silu", "softplus", "gelu", "dropout")),
    ],
    "A layer, and losses": [
        _exercise(
            "mse_loss",
            Step("the mean, the target is data", ("data as target",)),
            Step("the mean, both gradients", ("mean",)),
            Step("the other reductions"),
            note='``ctx.reduction`` is "mean" in the first two steps; in the third also "sum" and "none".',
            forward="""\
def forward(input, target, reduction):
    return ((input - target) ** 2).mean()  # or .sum(), or neither, as reduction says""",
        ),
        _exercise(
            "linear",
            _gradient("input", "batch"),
            _gradient("weight", "batch"),
            _gradient("bias", "batch"),
            Step("only what is asked for"),
            note="The function ``linear`` makes rows of an input of any shape before it calls this class: "
            "here input is always (N, I), and weight (O, I).",
        ),
        _prediction(
            "linear", "batch", "return grad_output @ weight, grad_output.t() @ input, grad_output", "unsummed"
        ),
        _exercise(
            "softmax", Step("one row", ("one row without a batch",)), Step("many rows, along any dimension")
        ),
        _exercise("log_softmax", Step("one row", ("one row without a batch",)), Step("along any dimension")),
        _exercise(
            "nll_loss",
            Step("the mean over labels", ("labels", "unbatched")),
            Step(
                "class weights and the other reductions",
                ("mean, class weights", "sum, class weights", "none, class weights"),
            ),
            note='In the first step weight is None, reduction "mean"; in the second also "sum" and "none". '
            "No label is ignored. The function makes rows of what it gets: ``ctx.shape`` is (N, C).",
            forward="""\
def forward(input, target, weight, ignore_index, reduction):
    losses = -input.gather(-1, target.unsqueeze(-1))  # (N, 1): -x[t]
    return losses.mean()  # with a weight: (w[t] * losses).sum() / w[t].sum()""",
        ),
        _exercise(
            "softmax_nll",
            Step("the mean over labels", ("labels", "unbatched")),
            note='Here weight is None, no label is to be ignored, reduction is "mean", label_smoothing '
            "0; input is always (N, C), for the function makes rows of its arguments first.",
            forward="""\
def forward(input, target, weight, ignore_index, reduction, label_smoothing):
    log_probs = torch.log_softmax(input, -1)
    return -log_probs.gather(-1, target.unsqueeze(-1)).mean()""",
        ),
        _exercise(
            "softmax_cross_entropy",
            _gradient("input", "distribution", "unbatched"),
            _gradient("target", "distribution", "unbatched"),
            note='Here weight is None, reduction is "mean", label_smoothing 0; input and target are always '
            "(N, C), for the function makes rows of them first.",
            forward="""\
def forward(input, target, weight, reduction, label_smoothing):
    return -(target * torch.log_softmax(input, -1)).sum(-1).mean()""",
        ),
        _exercise(
            "binary_cross_entropy_with_logits",
            Step("the target is data", ("data as target", "one number")),
            note='Here weight and pos_weight are None, reduction is "mean", and target needs no gradient.',
            forward="""\
def forward(input, target, weight, reduction, pos_weight):
    log_sigmoid = -torch.logaddexp(torch.zeros_like(input), -input)
    return ((1 - target) * input - log_sigmoid).mean()""",
        ),
    ],
    "Words and images": [
        _exercise("embedding"),
        _exercise("avg_pool2d", Step("windows side by side", ("windows side by side",)), Step("all others")),
        _exercise("max_pool2d", Step("windows side by side", ("windows side by side",)), Step("all others")),
        _exercise(
            "conv2d",
            _gradient("bias", "bias, stride and padding"),
            _gradient("weight", "batch"),
            _gradient("input", "batch"),
            Step("strides, gaps, groups, and only what is asked for"),
            note="``ctx.windows`` has ``stride``, ``padding``, ``dilation``, ``kernel``: two numbers each.",
        ),
    ],
    "Normalization": [
        _exercise("rms_norm", Step("a row alone", ("rows alone",)), Step("with its scale")),
        _exercise("layer_norm", Step("a row alone", ("rows alone",)), Step("with scale and shift")),
        _exercise("batch_norm", Step("training", ("training without a scale",)), Step("all of it")),
        _exercise("group_norm", Step("groups alone", ("groups alone",)), Step("with scale and shift")),
    ],
    "Attention and recurrence": [
        _exercise(
            "scaled_dot_product_attention",
            _gradient("value", "one sequence"),
            Step("the gradients of query and key", ("one sequence",)),
            Step("heads, masks and scales"),
            forward="""\
def forward(query, key, value, mask, dropout, scale):
    scores = scale * query @ key.mT  # (..., L, S); with a mask: + mask
    probs = scores.softmax(-1)  # 0 in a row that is hidden as a whole
    return probs @ value, probs  # with dropout: (probs * dropout) @ value""",
        ),
        _exercise("gru_gates"),
        _exercise("lstm_gates"),
    ],
    "A network, and mistakes to find": [
        _exercise("network", Step("forward"), Step("backward"), kind="network"),
        _exercise(
            "bias_update",
            kind="script",
            name="bug_bias_update",
            mistakes=(
                ("learning_rate * grad_b2", "learning_rate * b2"),
                ("learning_rate * grad_b1", "learning_rate * b1"),
            ),
        ),
        _exercise(
            "stale_gradients",
            kind="script",
            name="bug_stale_gradients",
            mistakes=(("                parameter.grad = None\n", ""),),
        ),
        _exercise(
            "softmax",
            name="bug_diagonal_softmax",
            about="Softmax, in a network that learns, but badly",
            note="A network with it learns, but badly. Its author tested it with p.sum() as the loss.",
            wrong_backward="return grad_output * probs * (1 - probs), None",
        ),
        _exercise(
            "relu",
            name="bug_in_place_relu",
            about="A ReLU that is right alone and wrong in company",
            note="torch.autograd.gradcheck passes it, but a network with residual connections goes astray.",
            wrong_backward="grad_output[output <= 0] = 0\nreturn grad_output",
        ),
        _exercise(
            "dropout",
            Step("half of the inputs", ("half",)),
            name="bug_new_mask",
            about="Dropout whose gradients do not fit its outputs",
            note="A network with this dropout learns, but no better than with noise in its gradients.",
            wrong_backward="kept = torch.rand_like(mask) < 0.5\nreturn grad_output * kept / 0.5, None",
        ),
        _exercise(
            "conv2d",
            Step("one kernel, stride 1", ("batch",)),
            name="bug_kernel",
            about="A convolution that trains the wrong way round",
            note="With a symmetric kernel, such as a blur, it passes every test. Here the stride is 1, and "
            "there is neither padding nor bias.",
            wrong_backward="""\
grad_input = grad_weight = None
if input_needs_grad:
    rows, columns = weight.shape[2] - 1, weight.shape[3] - 1
    padding = [columns, columns, rows, rows]
    padded = torch.constant_pad_nd(grad_output, padding)
    grad_input = torch.conv2d(padded, weight.transpose(0, 1))
if weight_needs_grad:
    kernel = grad_output.transpose(0, 1)
    grad_weight = torch.conv2d(input.transpose(0, 1), kernel)
    grad_weight = grad_weight.transpose(0, 1)
return grad_input, grad_weight, None, None, None""",
        ),
        _exercise(
            "layer_norm",
            Step("rows alone", ("rows alone",)),
            name="bug_constant_mean",
            about="A layer norm that takes its mean for a constant",
            note="Here there is neither weight nor bias. Which of the row's numbers does the mean depend on?",
            wrong_backward="""\
mean = input.mean(ctx.dims, keepdim=True)
variance = input.var(ctx.dims, correction=0, keepdim=True)
rstd = (variance + ctx.eps).rsqrt()
normalized = (input - mean) * rstd
shared = (grad_output * normalized).mean(ctx.dims, keepdim=True)
grad_input = rstd * (grad_output - normalized * shared)
return grad_input, None, None, None, None""",
        ),
    ],
}
# A function that no line above names is an exercise, too.
NAMED = {exercise.page for exercises in CHAPTERS.values() for exercise in exercises}
if OTHERS := sorted(set(FUNCTIONS.glob("[!_]*.py")) - NAMED):
    CHAPTERS["More functions"] = [_exercise(page.stem) for page in OTHERS]
COURSE = [exercise for exercises in CHAPTERS.values() for exercise in exercises]


def find(name: str) -> Exercise:
    """Return the exercise of a name; hyphens serve for underscores, and ``.py`` may follow."""
    exercises = {exercise.name: exercise for exercise in COURSE}
    plain = name.removesuffix(".py").replace("-", "_").lower()
    if plain in exercises:
        return exercises[plain]
    similar = difflib.get_close_matches(plain, exercises, n=3)
    hint = f"did you mean {' or '.join(similar)}?" if similar else "`list --all` shows them all"
    raise UserError(f"no exercise is called {name!r}: {hint}")
