import math
from pathlib import Path

import pytest
import torch

from manualgrad.training.operations import Operations, in_pytorch

HERE = Path(__file__).name


def origin(compute, *tensors):
    with Operations() as operations:
        result = compute(*tensors)
    return operations.origin([result])


def test_the_operation_and_its_line():
    def compute(x):
        shifted = x - 1
        logs = shifted.log()
        return logs.exp() + logs.mean()

    found = origin(compute, torch.ones(3))
    assert found.startswith("The operation is aten.log in ")
    assert found.endswith(": `logs = shifted.log()`")
    assert HERE in found


def test_an_infinity_that_vanishes_is_not_blamed():
    def compute(x):
        masked = x.masked_fill(torch.tensor([True, False, False]), -math.inf)
        probs = masked.softmax(0)
        return probs / (probs.sum() - probs.sum())

    assert "aten.div in" in origin(compute, torch.ones(3))


def test_one_that_has_a_part_in_it_is():
    def compute(x):
        masked = x.masked_fill(x == 1, -math.inf)
        return masked - masked.amax()

    assert "aten.masked_fill in" in origin(compute, torch.ones(3))


def test_of_two_the_first():
    found = origin(lambda x: x.log() + x.reciprocal(), torch.zeros(3))
    assert found.startswith("The operation is aten.log in ")  # its line is the one above, and named, too


def test_it_is_followed_through_views_and_in_place():
    def compute(x):
        table = torch.zeros(2, 3)
        table[0].copy_(x.log())
        table.add_(1)
        return table.t()[0, 0] * 2

    assert "aten.log in" in origin(compute, torch.zeros(3))


def test_what_was_overwritten_is_not_blamed():
    def compute(x):
        place = x.log()
        place.zero_()
        return torch.sqrt(place - 1)

    assert "aten.sqrt in" in origin(compute, torch.zeros(3))


def test_what_a_result_is_written_over_is_not_blamed():
    def compute(x):
        place = x.log()
        return torch.sqrt(x - 1, out=place)

    assert "aten.sqrt in" in origin(compute, torch.zeros(3))


def test_only_pytorch_s_own_files_are_pytorch_s():
    torch_s = Path(torch.__file__).parent
    assert in_pytorch(str(torch_s / "nn" / "modules" / "linear.py"))
    assert not in_pytorch(str(torch_s.with_name("torchvision") / "ops" / "misc.py"))


def test_an_empty_tensor_is_no_result():
    def compute(x):
        place = torch.empty(3)
        place.copy_(x.log())
        return place

    torch.use_deterministic_algorithms(True)  # new memory is then full of NaN
    try:
        assert "aten.log in" in origin(compute, torch.zeros(3))
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_first_of_named_tensors():
    first, second, third = (torch.zeros(3) for _ in range(3))
    with Operations({"first": first, "second": second, "third": third}) as operations:
        torch.add(torch.ones(3), 1, out=first)
        torch.log(first - 2, out=third)
        torch.add(third, 1, out=second)
    name, values = operations.first_named
    third.zero_()
    assert name == "third"
    assert values.tolist() == [-math.inf] * 3


def test_what_cannot_be_traced_gives_the_first_few():
    with Operations() as operations:
        for _ in range(5):
            torch.zeros(3).log()
    found = operations.origin([torch.tensor(math.nan)])
    assert found.startswith("The operation is one of the first that gave such numbers: aten.log in ")
    assert found.count("aten.log") == 3


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_whole_numbers_are_finite(dtype):
    with Operations() as operations:
        torch.ones(3, dtype=dtype) * 2
    assert operations.trail.births == []
