"""Train whole networks by hand: no autograd, no layers, only tensors that are computed and used again.

Forward, backward and update stand one below the other, as the source documents write them in NumPy. It is the
shortest way to see that backpropagation is a few matrix products in the right order. Read

1. ``xor.py``: one hidden layer, four rows; the NumPy notebook's loop with its tensors allocated once;
2. ``many.py``: the same loop for a thousand networks at once;
3. ``classifier.py``: as many layers as you like, ReLU between them, softmax at the end.
"""

from manualgrad.by_hand.classifier import Classifier
from manualgrad.by_hand.many import train_many
from manualgrad.by_hand.xor import train_xor

__all__ = ["Classifier", "train_many", "train_xor"]
