"""Differentiable functions with hand-written backwards, one a file, each a lesson.

Names, arguments and semantics are those of ``torch.nn.functional``; the capitalised names are the
``torch.autograd.Function`` classes behind them.
"""

from manualgrad.functions.avg_pool2d import AvgPool2d, avg_pool2d
from manualgrad.functions.batch_norm import BatchNorm, batch_norm
from manualgrad.functions.binary_cross_entropy_with_logits import (
    BCEWithLogitsLoss,
    binary_cross_entropy_with_logits,
)
from manualgrad.functions.conv2d import Conv2d, conv2d
from manualgrad.functions.dropout import Dropout, dropout
from manualgrad.functions.embedding import Embedding, embedding
from manualgrad.functions.exp import Exp, exp
from manualgrad.functions.gelu import GELU, gelu
from manualgrad.functions.group_norm import GroupNorm, group_norm
from manualgrad.functions.gru_gates import GRUGates, gru_cell, gru_gates
from manualgrad.functions.layer_norm import LayerNorm, layer_norm
from manualgrad.functions.leaky_relu import LeakyReLU, leaky_relu
from manualgrad.functions.linear import Linear, linear
from manualgrad.functions.log_softmax import LogSoftmax, log_softmax
from manualgrad.functions.lstm_gates import LSTMGates, lstm_cell, lstm_gates
from manualgrad.functions.max_pool2d import MaxPool2d, max_pool2d
from manualgrad.functions.mse_loss import MSELoss, mse_loss
from manualgrad.functions.nll_loss import NLLLoss, nll_loss
from manualgrad.functions.power import Power, power
from manualgrad.functions.relu import ReLU, relu
from manualgrad.functions.rms_norm import RMSNorm, rms_norm
from manualgrad.functions.scaled_dot_product_attention import (
    ScaledDotProductAttention,
    scaled_dot_product_attention,
)
from manualgrad.functions.sigmoid import Sigmoid, sigmoid
from manualgrad.functions.silu import SiLU, silu
from manualgrad.functions.sin import Sin, sin
from manualgrad.functions.softmax import Softmax, softmax
from manualgrad.functions.softmax_cross_entropy import SoftmaxCrossEntropy, softmax_cross_entropy
from manualgrad.functions.softmax_nll import SoftmaxNLL, softmax_nll
from manualgrad.functions.softplus import Softplus, softplus
from manualgrad.functions.tanh import Tanh, tanh

__all__ = [
    "GELU", "AvgPool2d", "BCEWithLogitsLoss", "BatchNorm", "Conv2d", "Dropout", "Embedding", "Exp",
    "GRUGates", "GroupNorm", "LSTMGates", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MSELoss",
    "MaxPool2d", "NLLLoss", "Power", "RMSNorm", "ReLU", "ScaledDotProductAttention", "SiLU", "Sigmoid",
    "Sin", "Softmax", "SoftmaxCrossEntropy", "SoftmaxNLL", "Softplus", "Tanh", "avg_pool2d", "batch_norm",
    "binary_cross_entropy_with_logits", "conv2d", "dropout", "embedding", "exp", "gelu", "group_norm",
    "gru_cell", "gru_gates", "layer_norm", "leaky_relu", "linear", "log_softmax", "lstm_cell",
    "lstm_gates", "max_pool2d", "mse_loss", "nll_loss", "power", "relu", "rms_norm",
    "scaled_dot_product_attention", "sigmoid", "silu", "sin", "softmax", "softmax_cross_entropy",
    "softmax_nll", "softplus", "tanh",
]  # fmt: skip
