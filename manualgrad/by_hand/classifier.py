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
A step of MNIST's network, as a part of torch.nn's with the same fused Adam (one thread of an AMD EPYC with
AVX-512, seconds of processor time in interleaved rounds, on a busy machine):

    the formulas above as they stand, each result a new tensor        0.98
    the mask by sign: [aₗ₋₁ > 0] = sign(aₗ₋₁), which needs no booleans   0.97
    relu, sign and product in place; the bias within the product      0.93
    a tensor that waits for every result (``out=``)                   0.90
    all parameters in one vector, and so one tensor for Adam          0.90
    the matrix products and Adam alone                                0.88

What is left is theirs. aₗ₋₁ turns into its own slope as soon as Wₗ has its gradient;
a layer's parameters and gradients are views into two vectors.

Pitfalls
--------
- δ · sign(a) is NaN where δ is infinite and a is 0: but an infinite gradient means that training has failed.
- What one forward computed is gone with the next one: clone what you keep.
"""

import torch
from torch import Tensor
from torch.nn import Linear, Module, Parameter
from torch.nn.utils import parameters_to_vector


class Classifier:
    """A network that computes its own gradients. It shares its numbers with a model, which it trains.

    Parameters
    ----------
    model : Module
        Its ``Linear`` modules are the layers, with a bias each. Their parameters and gradients become views
        into two vectors.

    Attributes
    ----------
    parameters : Parameter
        (P,): all weights and biases. Its ``grad`` is always there and ``backward`` overwrites it: an
        optimizer over this one tensor needs no ``zero_grad``.
    logits : Tensor
        (N, C): what the last ``forward`` computed.
    """

    def __init__(self, model: Module) -> None:
        self.parameters = Parameter(parameters_to_vector(model.parameters()).detach())
        self.parameters.grad = torch.zeros_like(self.parameters)
        start = 0
        for parameter in model.parameters():
            part = slice(start, start := start + parameter.numel())
            parameter.data = self.parameters.data[part].view_as(parameter)
            parameter.grad = self.parameters.grad[part].view_as(parameter)
        layers = [module for module in model.modules() if isinstance(module, Linear)]
        self.weights = [layer.weight.data for layer in layers]  # (O, I) each
        self.biases = [layer.bias.data for layer in layers]  # (O,)
        self.grad_weights = [layer.weight.grad for layer in layers]
        self.grad_biases = [layer.bias.grad for layer in layers]
        self._rows = 0

    @torch.inference_mode()
    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of inputs (N, ...) and labels (N,), and keep what ``backward`` needs."""
        if len(inputs) != self._rows:
            self._allocate(len(inputs))
        self._inputs, self._labels = inputs.flatten(1), labels.unsqueeze(1)
        below = self._inputs
        for weight_t, bias, output in zip(self._weights_t, self.biases, self._outputs, strict=True):
            torch.addmm(bias, below, weight_t, out=output)  # (N, I) @ (I, O) + (O,) -> (N, O)
            below = output if output is self.logits else output.relu_()
        torch.log_softmax(self.logits, 1, out=self._log_probs)  # (N, C)
        return -self._log_probs.gather(1, self._labels).mean()

    @torch.inference_mode()
    def backward(self) -> None:
        """Overwrite ``parameters.grad`` with the gradient of the last forward's loss; once for each."""
        errors = self._log_probs.exp_().scatter_add_(1, self._labels, self._minus_ones)  # (N, C)
        delta = errors.div_(self._rows)
        for index in reversed(range(len(self.weights))):
            below = self._outputs[index - 1] if index else self._inputs
            torch.mm(delta.t(), below, out=self.grad_weights[index])  # (O, N) @ (N, I) -> (O, I)
            torch.sum(delta, 0, out=self.grad_biases[index])  # (N, O) -> (O,)
            if index:
                # (N, O) @ (O, I) -> (N, I)
                delta = torch.mm(delta, self.weights[index], out=self._deltas[index - 1])
                delta.mul_(below.sign_())  # (N, I)

    def _allocate(self, rows: int) -> None:
        """Make what a batch of this size needs."""
        new = self.parameters.data.new_empty
        self._rows, self._weights_t = rows, [weight.t() for weight in self.weights]
        self._outputs = [new(rows, len(weight)) for weight in self.weights]  # (N, O): aₗ; of the last layer z
        self._deltas = [torch.empty_like(output) for output in self._outputs[:-1]]  # (N, O): δₗ
        self.logits, self._log_probs = self._outputs[-1], torch.empty_like(self._outputs[-1])
        self._minus_ones = new(rows, 1).fill_(-1)  # what is added in each label's column
