"""Activations."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class Sigmoid(torch.nn.Sigmoid):
    """The logistic sigmoid; see ``manualgrad.functions.sigmoid``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.sigmoid(input)


class Tanh(torch.nn.Tanh):
    """The hyperbolic tangent; see ``manualgrad.functions.tanh``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.tanh(input)


class ReLU(torch.nn.ReLU):
    """The rectified linear unit; see ``manualgrad.functions.relu``.

    ``inplace=True`` is accepted, but the input is left as it is: a hand-written Function would have to
    mark it as changed, for a saving that matters only in very large networks.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.relu(input)


class LeakyReLU(torch.nn.LeakyReLU):
    """The leaky ReLU; see ``manualgrad.functions.leaky_relu``. ``inplace`` is as for ``ReLU``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.leaky_relu(input, self.negative_slope)


class GELU(torch.nn.GELU):
    """The Gaussian error linear unit; see ``manualgrad.functions.gelu``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.gelu(input, self.approximate)


class SiLU(torch.nn.SiLU):
    """The sigmoid linear unit; see ``manualgrad.functions.silu``. ``inplace`` is as for ``ReLU``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.silu(input)


class Softplus(torch.nn.Softplus):
    """The smooth ReLU; see ``manualgrad.functions.softplus``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.softplus(input, self.beta, self.threshold)


class Softmax(torch.nn.Softmax):
    """Probabilities along one dimension; see ``manualgrad.functions.softmax``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it along ``dim``."""
        return F.softmax(input, self.dim)  # type: ignore[arg-type]  # None is refused


class LogSoftmax(torch.nn.LogSoftmax):
    """Their logarithms; see ``manualgrad.functions.log_softmax``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it along ``dim``."""
        return F.log_softmax(input, self.dim)  # type: ignore[arg-type]  # None is refused
