import numpy as np
import torch

from manualgrad.benchmark import opponents
from manualgrad.benchmark.xor import train_in_numpy
from manualgrad.by_hand import train_xor
from manualgrad.data.xor import xor


def test_numpy_learns_the_digits_patterns():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(4, 6, generator=generator)
    labels = torch.randint(4, (320,), generator=generator)
    images = patterns[labels] + 0.1 * torch.rand(320, 6, generator=generator)
    kept = []
    cut = opponents._cut

    def remember(vector, sizes):
        kept.append(cut(vector, sizes))
        return kept[-1]

    opponents._cut = remember
    try:
        epoch = opponents.train_in_numpy((6, 16, 4), images, labels, 32)
    finally:
        opponents._cut = cut
    for _ in range(60):
        epoch()
    (w1, b1), (w2, b2) = kept[0]
    answers = (np.maximum(images.numpy() @ w1 + b1, 0) @ w2 + b2).argmax(1)
    assert (answers == labels.numpy()).mean() > 0.95


def test_the_documents_loop_is_the_loop_by_hand():
    numbers = np.random.RandomState(0)
    arrays = numbers.uniform(-1, 1, (2, 5)), numbers.uniform(-1, 1, (5, 1))
    tensors = [torch.from_numpy(array.copy()) for array in arrays]
    outputs = train_in_numpy(*arrays, 100)
    ours = train_xor(*tensors, *xor(), 0.3, 100)
    torch.testing.assert_close(ours, torch.from_numpy(outputs), rtol=0, atol=1e-12)
    torch.testing.assert_close(tensors[0], torch.from_numpy(arrays[0]), rtol=0, atol=1e-12)
