"""Softmax and negative log-likelihood: the loss of a classifier, on its logits and the true labels.

Forward
-------
For one row x of logits with label t, p = softmax(x) and class weights w (1 unless given):

    p[c] = exp(x[c]) / Σ_k exp(x[k])              log p[c] = x[c] - log Σ_k exp(x[k])
    ℓ    = -w[t] · log p[t]

With label smoothing ε a share of the target goes to every class: the target becomes the distribution
q[c] = (1 - ε) · [c = t] · w[c] + (ε / C) · w[c], and ℓ = -Σ_c q[c] · log p[c]. (ε = 0 is the line above.)

A row whose label is ``ignore_index`` has ℓ = 0. The mean divides by Z = Σ_n w[t_n] over the other rows.

Backward
--------
∂ log p[c] / ∂x[j] = [c = j] - p[j]: a logit raises its own class and lowers all others through the sum. So

    ∂ℓ/∂x[j] = -Σ_c q[c] · ([c = j] - p[j]) = p[j] · Σ_c q[c] - q[j]

which for a plain label is p - onehot(t): what the network says minus what it should have said. With g the
upstream gradient of each ℓ (``grad_output``, over Z for a mean):

    input:   g · ( p · Σ_c q[c] - q )

Labels are integers and class weights constants: neither gets a gradient.

Forward mode
------------
A small change ẋ changes each ℓ by Σ_j (∂ℓ/∂x[j]) · ẋ[j].

Saved
-----
x, the labels and the class weights. p is computed again from x: keeping it would make it an output.

Pitfalls
--------
- exp overflows above 88 (float32): subtract the largest logit of each row first.
- Only the label's column. Softmax ties all classes together, so every logit of the row gets a gradient.
- Dividing by N for ``"sum"``, or by N where the weights' sum Z belongs.
- A label of -1 used as an index silently means the last class. Labels out of range are refused.

Sources
-------
Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990);
Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR (2016), for label smoothing.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.functions._apply import make_apply
from manualgrad.functions._checks import check_constant, check_floating, check_reduction, check_tensors
from manualgrad.functions._losses import log_softmax
from manualgrad.functions.softmax_cross_entropy import softmax_cross_entropy


class SoftmaxNLL(Function):
    """-log softmax(x)[t] over the last dimension."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        ignore_index: int,
        reduction: str,
        label_smoothing: float,
    ) -> Tensor:
        log_probs = log_softmax(input)  # (..., C)
        label, label_weight = _labels(input, target, weight, ignore_index)  # (...)
        losses = -label_weight * log_probs.gather(-1, label.unsqueeze(-1)).squeeze(-1)  # (...)
        if label_smoothing:
            everywhere = log_probs if weight is None else weight * log_probs  # (..., C)
            share = torch.where(target == ignore_index, 0, -everywhere.mean(-1))  # (...)
            losses = (1 - label_smoothing) * losses + label_smoothing * share
        if reduction == "none":
            return losses
        return losses.sum() / label_weight.sum() if reduction == "mean" else losses.sum()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.ignore_index, ctx.reduction, ctx.label_smoothing = inputs
        ctx.save_for_backward(input, target, weight)
        ctx.save_for_forward(input, target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, None, None, None, None, None]:
        input, target, weight = ctx.saved_tensors
        slope = _slope(input, target, weight, ctx.ignore_index, ctx.label_smoothing)  # (..., C)
        if ctx.reduction == "mean":
            _, label_weight = _labels(input, target, weight, ctx.ignore_index)
            grad_output = grad_output / label_weight.sum()  # ()
        if ctx.reduction == "none":
            grad_output = grad_output.unsqueeze(-1)  # (...) -> (..., 1)
        return grad_output * slope, None, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: Tensor | None) -> Tensor:
        input, target, weight = ctx.saved_tensors
        slope = _slope(input, target, weight, ctx.ignore_index, ctx.label_smoothing)  # (..., C)
        losses = (slope * input_tangent).sum(-1)  # (...)
        if ctx.reduction == "none":
            return losses
        _, label_weight = _labels(input, target, weight, ctx.ignore_index)
        return losses.sum() / label_weight.sum() if ctx.reduction == "mean" else losses.sum()


def _labels(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Each row's label and that label's weight, 0 and 0 where the row is ignored: (...), (...)."""
    kept = target != ignore_index
    label = torch.where(kept, target, 0)
    return label, kept.to(input.dtype) if weight is None else torch.where(kept, weight[label], 0)


def _slope(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, label_smoothing: float
) -> Tensor:
    """∂ℓ/∂x = p · Σ_c q[c] - q, a row for each loss: (..., C)."""
    probs = log_softmax(input).exp()  # (..., C)
    label, label_weight = _labels(input, target, weight, ignore_index)
    at_label = (1 - label_smoothing) * label_weight.unsqueeze(-1)  # (..., 1)
    if not label_smoothing:
        return (at_label * probs).scatter_add(-1, label.unsqueeze(-1), -at_label)
    share = torch.ones_like(probs) if weight is None else weight.expand_as(probs)
    share = torch.where((target == ignore_index).unsqueeze(-1), 0, share * label_smoothing / probs.shape[-1])
    q = share.scatter_add(-1, label.unsqueeze(-1), at_label)  # (..., C)
    return probs * q.sum(-1, keepdim=True) - q


_apply = make_apply(SoftmaxNLL, autocast="float32")


def softmax_nll(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Measure how little probability the logits give to the true classes.

    Parameters
    ----------
    input : Tensor
        (C,), (N, C) or (N, C, d1, ...): logits, not probabilities.
    target : Tensor
        The shape of ``input`` without C: integer labels, 0 to C - 1. Or the shape of ``input``, and
        floating-point: a probability for each class, for which see ``softmax_cross_entropy``.
    weight : Tensor, optional
        (C,): a factor for each class.
    ignore_index : int
        The label of rows that do not count.
    reduction : {"mean", "sum", "none"}
        Mean weighted by the labels' weights, sum, or one loss a row.
    label_smoothing : float
        The share of the target that is spread over all classes, 0 to 1.

    Returns
    -------
    Tensor
        A single number, or with ``"none"`` the shape of ``target``.

    Raises
    ------
    TypeError
        If ``input`` is not a real floating-point tensor, or ``target`` neither integers nor floating-point.
    ValueError
        If shapes do not fit, or an option is out of its range.
    IndexError
        If a label is neither in 0 to C - 1 nor ``ignore_index``. On CUDA the kernel's own assertion
        speaks instead: looking at the labels would make every step wait for the device.

    See Also
    --------
    torch.nn.functional.cross_entropy : PyTorch's counterpart.
    """
    name = "softmax_nll"
    check_tensors(name, input=input, target=target, weight=weight)
    check_floating(name, input=input, weight=weight)
    check_reduction(name, reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.dim() == 0:
        raise ValueError(f"{name}: input must have shape (C,), (N, C) or (N, C, d1, ...), got ()")
    class_dim = 0 if input.dim() == 1 else 1
    classes = input.shape[class_dim]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{name}: weight must have shape ({classes},), got {tuple(weight.shape)}")
    if target.is_floating_point():
        if ignore_index >= 0:
            raise ValueError(f"{name}: ignore_index needs labels, got class probabilities as target")
        return softmax_cross_entropy(input, target, weight, reduction, label_smoothing)
    if target.dtype not in (torch.int64, torch.uint8):
        raise TypeError(f"{name}: target must be int64 labels or class probabilities, got {target.dtype}")
    check_constant(name, weight=weight)
    expected = input.shape[:class_dim] + input.shape[class_dim + 1 :]
    if target.shape != expected:
        raise ValueError(
            f"{name}: target must have shape {tuple(expected)} for input {tuple(input.shape)}, "
            f"got {tuple(target.shape)}"
        )
    input = input.movedim(class_dim, -1)
    target = target.long()
    try:
        return _apply(input, target, weight, ignore_index, reduction, label_smoothing)
    except (RuntimeError, IndexError) as error:
        # gather looks at every label anyway; ours are looked at again only when it has complained.
        wrong = target[(target != ignore_index) & ((target < 0) | (target >= classes))]
        if len(wrong):
            raise IndexError(f"{name}: labels must be in 0..{classes - 1}, got {wrong[0].item()}") from error
        raise
