"""Train a thousand networks at once: the loop of ``xor.py`` with one more dimension.

One small network keeps a processor waiting for the next call. K of them, side by side, take the same calls:

    W₁ (I, H, K)        h (N, H, K)        W₂ (H, K)        y (N, K)

The networks come last, where the numbers of one row lie next to each other in memory. All networks see the
same x, so W₁ seen as (I, H·K) makes the first layer *one* ordinary product for all of them, and so is its
gradient. The second layer has one output: its product is a sum over H, written as a multiplication and a sum.

Each network has a learning rate of its own, so one call can try many.
"""

import torch
from torch import Tensor

from manualgrad.by_hand.xor import Activation


@torch.inference_mode()
def train_many(
    hidden_weights: Tensor,
    output_weights: Tensor,
    inputs: Tensor,
    targets: Tensor,
    learning_rates: Tensor,
    epochs: int,
    activation: Activation = "sigmoid",
) -> Tensor:
    """Train K networks with one hidden layer and one output each, in place.

    Parameters
    ----------
    hidden_weights, output_weights : Tensor
        (I, H, K) and (H, K), contiguous. They are changed.
    inputs, targets : Tensor
        (N, I) and (N, 1), the same for all networks.
    learning_rates : Tensor
        (K,), one for each network.
    epochs : int
        Steps, each over all rows; at least one.
    activation : {"sigmoid", "tanh"}
        After both layers.

    Returns
    -------
    Tensor
        (N, K): the outputs with the weights as they were before the call's last step.
    """
    rows = len(inputs)
    features, units, networks = hidden_weights.shape
    hidden_weight = hidden_weights.view(features, units * networks)
    hidden = inputs.new_empty(rows, units, networks)
    output = inputs.new_empty(rows, networks)
    delta_2 = torch.empty_like(output)
    derivative_2 = torch.empty_like(output)
    delta_1 = torch.empty_like(hidden)  # in the forward, and for W₂'s gradient, it holds the products
    grad_hidden_weight, grad_output_weights = (torch.empty_like(w) for w in (hidden_weight, output_weights))
    hidden_rows, delta_1_rows = hidden.view(rows, -1), delta_1.view(rows, -1)
    delta_2_units, inputs_t = delta_2.unsqueeze(1), inputs.t()

    activate_ = torch.Tensor.sigmoid_ if activation == "sigmoid" else torch.Tensor.tanh_
    one = inputs.new_ones(())
    hidden_top, output_top = (hidden, output) if activation == "sigmoid" else (one, one)

    for _ in range(epochs):
        torch.mm(inputs, hidden_weight, out=hidden_rows)  # (N, I) @ (I, H·K) -> (N, H·K)
        activate_(hidden)
        torch.mul(hidden, output_weights, out=delta_1)  # (N, H, K)
        torch.sum(delta_1, 1, out=output)  # -> (N, K)
        activate_(output)

        torch.sub(targets, output, out=delta_2)
        delta_2.mul_(torch.addcmul(output_top, output, output, value=-1, out=derivative_2))  # (N, K)
        torch.mul(hidden, delta_2_units, out=delta_1)  # (N, H, K)
        torch.sum(delta_1, 0, out=grad_output_weights)  # -> (H, K)
        torch.mul(delta_2_units, output_weights, out=delta_1)  # (N, 1, K) * (H, K) -> (N, H, K)
        delta_1.mul_(torch.addcmul(hidden_top, hidden, hidden, value=-1, out=hidden))
        torch.mm(inputs_t, delta_1_rows, out=grad_hidden_weight)  # (I, N) @ (N, H·K) -> (I, H·K)
        output_weights.addcmul_(grad_output_weights, learning_rates)
        hidden_weights.addcmul_(grad_hidden_weight.view_as(hidden_weights), learning_rates)
    return output
