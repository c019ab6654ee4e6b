"""What a run's own figures say to the five questions of its charts."""

from collections.abc import Callable, Sequence
from statistics import median

from manualgrad.training.charts import ARRIVES, CHECK, GRADIENT, LEARNS, RIGHT, SIZED, STUCK, UNSTUCK, UPDATE

Records = Sequence[dict[str, float]]  # by "tag" or "tag/layer 1", oldest first

FAINT = 1e-3  # of the largest layer's gradient: a smaller one has vanished
MOSTLY = 0.5  # of a layer's units: if more are stuck, it hardly learns
GONE = 1e-6  # of the gradient at the first step: while nothing is learnt, it should not fall so far
BOLD, TIMID = 0.1, 1e-5  # update to weight, as a rule; in a single step a layer may double
RISEN = 1.1  # times the least validation loss: it rises
EXACT = 1e-3  # relative error of a right gradient, with room for float32


def answer(records: Records, epochs: Records, accuracy: float, guessing: float) -> dict[str, str]:
    """Answer each question that a monitor's records can answer: yes, no, a little, or not asked, and why."""
    learnt = accuracy > (1 + guessing) / 2
    answers = {}
    late = records[len(records) // 2 :]
    if gradients := _by_layer(late, GRADIENT):
        answers[ARRIVES] = _arrives(gradients, _by_layer(records[:1], GRADIENT), learnt)
        answers[UNSTUCK] = _unstuck(_by_layer(records[-3:], STUCK), learnt)
    if updates := _by_layer(records, UPDATE):
        answers[SIZED] = _sized(updates, _by_layer(records, UPDATE, max), learnt)
    if errors := [record[CHECK] for record in records if CHECK in record]:
        answers[RIGHT] = _right(max(errors))
    fine = len(records) > 2 and not any(text.startswith("no:") for text in answers.values())
    return {LEARNS: _learns(epochs, accuracy, guessing, fine)} | answers


def _learns(epochs: Records, accuracy: float, guessing: float, fine: bool) -> str:
    if accuracy > guessing + 0.05:
        much = "yes" if accuracy > (1 + guessing) / 2 else "a little"
        correct = f"{accuracy:.4f} of the answers are correct; guessing gets {guessing:.4f}"
        return f"{much}: {correct}{_overfits(epochs)}"
    guess = f"no: {accuracy:.4f} is guessing ({guessing:.4f})"
    if epochs and (training := epochs[-1]["training_accuracy"]) > guessing + 0.05:
        return f"{guess}; of the training examples it knows {training:.4f} by heart: are the labels right?"
    advice = "; gradients and steps are fine: try more units, more epochs, or another rate"
    return guess + advice if fine else guess


def _overfits(epochs: Records) -> str:
    """Say since when the validation loss rises while the training loss falls, if it does."""
    losses = [epoch["validation_loss"] for epoch in epochs]
    if not losses or losses[-1] < RISEN * min(losses):
        return ""
    best = losses.index(min(losses))
    if epochs[-1]["training_loss"] >= epochs[best]["training_loss"]:
        return ""
    rise = f"from {losses[best]:.3g} to {losses[-1]:.3g}"
    return f"; it overfits after epoch {best + 1}: the validation loss rises {rise}, the training loss falls"


def _arrives(norms: dict[str, float], first: dict[str, float], learnt: bool) -> str:
    small, large = min(norms, key=norms.__getitem__), max(norms, key=norms.__getitem__)
    if norms[large] == 0:
        return "no: every gradient is 0"
    at_first = max(first.values())
    if norms[large] < GONE * at_first and not learnt:
        fall = norms[large] / at_first
        return f"no: they are gone: {large} gets {fall:.0e} of the largest at step 1; see questions 3 and 4"
    ratio = norms[small] / norms[large]
    if ratio >= FAINT:
        return f"yes: {small} gets {ratio:.2g} of {large}'s" if small != large else "yes: there is one layer"
    if ratio == 0:
        return f"no: {small}'s gradient is 0: zero weights or dead ReLUs lie between it and the loss"
    if list(norms).index(small) < list(norms).index(large):
        return f"no: {small} gets {ratio:.0e} of {large}'s: it vanishes; try ReLU or fewer layers"
    return f"no: {large} gets {1 / ratio:.0e} times {small}'s: it explodes; try smaller initial weights"


def _unstuck(parts: dict[str, float], learnt: bool) -> str:
    if not parts:
        return "not asked: no layer ends in ReLU, sigmoid or tanh, which could get stuck"
    worst = max(parts, key=parts.__getitem__)
    if parts[worst] <= MOSTLY:
        return f"yes: at most {parts[worst]:.2f} of a layer's units are stuck ({worst})"
    stuck = f"{parts[worst]:.2f} of {worst}'s units are stuck"
    if learnt:  # an output that is right is at the flat end of its activation
        return f"yes: {stuck}, as is normal once answers are right: saturated near 0 and 1"
    return f"no: {stuck}; try a smaller learning rate or initial weights"


def _sized(sizes: dict[str, float], largest: dict[str, float], learnt: bool) -> str:
    small, large = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    leap = max(largest, key=largest.__getitem__)
    if largest[leap] > 1:
        return f"no: a step moved {leap} by {largest[leap]:.2g} times its length; try a tenth of the rate"
    if sizes[large] > BOLD:
        return f"no: a step changes {large} by {sizes[large]:.2g} of its length; try a tenth of the rate"
    if sizes[small] < TIMID and not learnt:
        return f"no: a step changes {small} by {sizes[small]:.0e} of its length; try a larger rate"
    return f"yes: a step changes a layer by {sizes[small]:.0e} to {sizes[large]:.0e} of its length"


def _right(error: float) -> str:
    if error <= EXACT:
        return f"yes: they differ from numeric ones by at most {error:.0e}"
    return f"no: they differ from numeric ones by {error:.2g}; check each function with manualgrad.gradcheck"


def _by_layer(records: Records, tag: str, average: Callable[..., float] = median) -> dict[str, float]:
    """Return the average of a tag's figures, by layer, first layer first."""
    names = dict.fromkeys(name for record in records for name in record if name.startswith(f"{tag}/"))
    return {
        name.partition("/")[2]: average(record[name] for record in records if name in record)
        for name in names
    }
