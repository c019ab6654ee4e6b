"""A classifier by hand: linear layers with ReLU between them, softmax and negative log-likelihood.

Forward
-------
    a₀ = x        aₗ = max(aₗ₋₁ Wₗᵀ + bₗ, 0)        z = the last layer's, without max
    L = mean over n of -log softmax(z[n])[t[n]]

Backward
--------
δₗ is the gradient of L by the layer's output before max. It begins at the logits and walks down:

    δ[n,c]  = (softmax(z[n])[c] - [c = t[n]]) / N      what the network says minus what it should have said
    ∂L/∂Wₗ  = δₗᵀ aₗ₋₁        ∂L/∂bₗ = Σ_n δₗ[n]
    δₗ₋₁    = δₗ Wₗ · [aₗ₋₁ > 0]                        not for l = 1: nobody asks for the images' gradient

That is all: three matrix products a layer, two for the first.

Speed
-----
Every result has a tensor that waits for it (``out=``) and is written over once nobody reads it: aₗ₋₁
turns into its own slope, sign(aₗ₋₁) = [aₗ₋₁ > 0], as soon as Wₗ has its gradient. All parameters lie in
one vector and all gradients in another; a layer's are views into them, so the optimizer sees one tensor.
Of a step of MNIST's network two thirds are products, and an eighth is Adam.

Pitfalls
--------
- δ · sign(a) is NaN where δ is infinite and a is 0. The function ``relu`` selects, and gives 0. Here an
  infinite gradient means that training has failed anyway, and multiplying takes a seventh of the time.
- What one forward computed is gone with the next one: clone what you keep.
- In float16 gradients below 6e-8 become 0. So low precision carries the gradient of the *sum* over the rows,
  and 1/N is multiplied in at the end, in float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.utils import parameters_to_vector, vector_to_parameters


@dataclass(frozen=True)
class Layer:
    """One layer's views into the vector of parameters and into that of gradients."""

    weight: Tensor  # (O, I)
    bias: Tensor  # (O,)
    grad_weight: Tensor
    grad_bias: Tensor


@dataclass(frozen=True)
class Buffers:
    """What one size of batch needs, for every layer and then for the loss."""

    outputs: list[Tensor]  # (N, O): aₗ; of the last layer z
    deltas: list[Tensor]  # (N, O): δₗ
    log_probs: Tensor  # (N, C)
    ones: Tensor  # (N,): δᵀ 1 is the sum over the rows, in half the time of sum()
    minus_ones: Tensor  # (N, 1): what is added in each label's column


class Classifier:
    """A network that computes its own gradients.

    Parameters
    ----------
    sizes : sequence of int
        Features of the input, units of each hidden layer, classes.
    device : torch.device or str
        Where everything lies.
    dtype : torch.dtype
        Of the parameters and the gradients.
    precision : torch.dtype, optional
        A lower one for activations and products: bfloat16 or float16. None: that of the parameters.

    Attributes
    ----------
    parameters : Parameter
        (P,): all weights and biases, in the order of ``torch.nn``'s ``parameters()``. Its ``grad`` is always
        there and ``backward`` overwrites it: an optimizer over this one tensor needs no ``zero_grad``.
    layers : list of Layer
        The same numbers, by layer.
    logits : Tensor
        (N, C): what the last ``forward`` computed.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        precision: torch.dtype | None = None,
    ) -> None:
        self.sizes = tuple(sizes)
        count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))
        self.parameters = Parameter(torch.zeros(count, dtype=dtype, device=device))
        self.grad = self.parameters.grad = torch.zeros_like(self.parameters)
        # What the products work on: these vectors themselves, or their images in low precision.
        self.precision = precision or dtype
        self._values = self.parameters.detach().to(self.precision)
        self._grads = self.grad.to(self.precision)
        self.layers = list(self._cut())
        self._buffers: dict[int, Buffers] = {}

    def load(self, model: Module) -> Self:
        """Take over the weights of a network of ``torch.nn``'s or ``manualgrad.nn``'s layers."""
        with torch.no_grad():
            self.parameters.copy_(parameters_to_vector(model.parameters()))
        return self

    def store(self, model: Module) -> None:
        """Write the weights back into such a network."""
        vector_to_parameters(self.parameters.detach().clone(), model.parameters())

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, C) of inputs (N, ...), in new tensors."""
        return self._forward(inputs.flatten(1), [None] * len(self.layers))

    @torch.no_grad()
    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of inputs (N, ...) and labels (N,), and keep what ``backward`` needs."""
        if len(inputs) not in self._buffers:
            self._buffers[len(inputs)] = self._allocate(len(inputs))
        self._kept = self._buffers[len(inputs)]
        self._inputs, self._labels = inputs.flatten(1).to(self.precision), labels.unsqueeze(1)
        self.logits = self._forward(self._inputs, self._kept.outputs)
        log_probs = torch.log_softmax(self.logits, 1, out=self._kept.log_probs)  # (N, C)
        return -log_probs.gather(1, self._labels).mean()

    @torch.no_grad()
    def backward(self) -> None:
        """Overwrite ``parameters.grad`` with the gradient of the last forward's loss; once for each."""
        kept, exact = self._kept, self.precision == self.grad.dtype
        share = 1 / len(self._labels)
        errors = kept.log_probs.exp_().scatter_add_(1, self._labels, kept.minus_ones)  # (N, C)
        delta = torch.mul(errors, share, out=errors) if exact else errors.to(self.precision)

        for index in reversed(range(len(self.layers))):
            layer = self.layers[index]
            below = kept.outputs[index - 1] if index else self._inputs
            torch.matmul(delta.t(), below, out=layer.grad_weight)  # (O, N) @ (N, I) -> (O, I)
            torch.mv(delta.t(), kept.ones, out=layer.grad_bias)  # (O, N) @ (N,) -> (O,)
            if index:
                delta = torch.matmul(
                    delta, layer.weight, out=kept.deltas[index - 1]
                )  # (N, O) @ (O, I) -> (N, I)
                delta.mul_(below.sign_())  # (N, I)
        if not exact:
            torch.mul(self._grads, share, out=self.grad)

    def arrays(self) -> dict[str, Tensor]:
        """Return the arrays that the last ``forward`` and its ``backward`` write, by name."""
        kept = self._kept
        named = {"the image of the parameters in low precision": self._values, "the gradient": self.grad}
        named["the log-softmax of the logits"] = kept.log_probs
        for number, (layer, output) in enumerate(zip(self.layers, kept.outputs, strict=True), 1):
            named[f"the output of layer {number}"] = output
            named[f"the gradient of layer {number}'s weight"] = layer.grad_weight
            named[f"the gradient of layer {number}'s bias"] = layer.grad_bias
        for number, delta in enumerate(kept.deltas, 1):
            named[f"the gradient of layer {number}'s output"] = delta
        return named

    def _forward(self, below: Tensor, outputs: Sequence[Tensor | None]) -> Tensor:
        """Compute the logits, each layer's output in the tensor that is given for it."""
        if self.precision != self.parameters.dtype:
            self._values.copy_(self.parameters)
            below = below.to(self.precision)
        for layer, output in zip(self.layers, outputs, strict=True):
            below = torch.addmm(layer.bias, below, layer.weight.t(), out=output)  # (O,) + (N, I) @ (I, O)
            if layer is not self.layers[-1]:
                below.relu_()  # (N, O)
        return below.to(self.parameters.dtype)

    def _cut(self) -> Iterator[Layer]:
        start = 0
        for inputs, outputs in pairwise(self.sizes):
            middle, end = start + outputs * inputs, start + outputs * (inputs + 1)
            yield Layer(
                self._values[start:middle].view(outputs, inputs),
                self._values[middle:end],
                self._grads[start:middle].view(outputs, inputs),
                self._grads[middle:end],
            )
            start = end

    def _allocate(self, rows: int) -> Buffers:
        new = self._values.new_empty
        return Buffers(
            outputs=[new(rows, units) for units in self.sizes[1:]],
            deltas=[new(rows, units) for units in self.sizes[1:-1]],
            log_probs=self.grad.new_empty(rows, self.sizes[-1]),
            ones=self._values.new_ones(rows),
            minus_ones=self.grad.new_full((rows, 1), -1.0),
        )
