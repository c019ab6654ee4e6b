"""The hand-written functions as modules: ``import manualgrad.nn as nn`` replaces ``import torch.nn as nn``.

Each class is PyTorch's own with its ``forward`` replaced, so that constructor arguments, initialisation,
``state_dict`` keys and ``repr`` are PyTorch's by inheritance, and a checkpoint of one loads into the other.
Containers and everything without mathematics of its own are PyTorch's, re-exported.
"""

from torch.nn import (
    Flatten,
    Identity,
    Module,
    ModuleDict,
    ModuleList,
    Parameter,
    ParameterDict,
    ParameterList,
    Sequential,
    Unflatten,
    init,
    utils,
)

from manualgrad.nn.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from manualgrad.nn.attention import MultiheadAttention
from manualgrad.nn.layers import AvgPool2d, Conv2d, Dropout, Embedding, Linear, MaxPool2d
from manualgrad.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, NLLLoss
from manualgrad.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm
from manualgrad.nn.rnn import GRUCell, LSTMCell

__all__ = [
    "GELU", "AvgPool2d", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d", "Conv2d", "CrossEntropyLoss",
    "Dropout", "Embedding", "Flatten", "GRUCell", "GroupNorm", "Identity", "LSTMCell", "LayerNorm",
    "LeakyReLU", "Linear", "LogSoftmax", "MSELoss", "MaxPool2d", "Module", "ModuleDict", "ModuleList",
    "MultiheadAttention", "NLLLoss", "Parameter", "ParameterDict", "ParameterList", "RMSNorm", "ReLU",
    "Sequential", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "Unflatten", "init", "utils",
]  # fmt: skip
