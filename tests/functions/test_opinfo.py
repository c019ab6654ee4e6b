"""Every function and module against PyTorch's own, on the sample inputs with which PyTorch tests itself."""

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

import manualgrad.functions as F
import manualgrad.nn as nn
from manualgrad.cases import FUNCTIONS

pytest.importorskip("expecttest")  # PyTorch's sample inputs import it
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # PyTorch's own, for samples that it means to be odd
]


def seeded(function):
    """Seed a function that draws random numbers before each call, as PyTorch's database does with its own."""

    def call(*args, **kwargs):
        with torch.random.fork_rng():
            torch.manual_seed(42)
            return function(*args, **kwargs)

    return call


# Our function, with the arguments in the order of PyTorch's samples; power's exponents are tensors there.
OTHERS = {
    "dropout": seeded(F.dropout),
    "scaled_dot_product_attention": seeded(F.scaled_dot_product_attention),
    "embedding": lambda weight, rows, **options: F.embedding(rows, weight, **options),
}


def operator_of(info):
    """Return the entry of PyTorch's database for a function; its import takes seconds."""
    from torch.testing._internal.common_methods_invocations import op_db

    names = f"nn.functional.{info.reference.__name__}", info.reference.__name__
    found = [each for each in op_db if each.name in names and not each.variant_test_name]
    return found[0]


NOT_THERE = {"power", "softmax_cross_entropy", "lstm_gates", "gru_gates"}
every_info = pytest.mark.parametrize(
    "info", [pytest.param(info, id=name) for name, info in FUNCTIONS.items() if name not in NOT_THERE]
)
MODULES = [name for name in nn.__all__ if getattr(nn, name) is not getattr(torch.nn, name)]


def refused(name, sample):
    """Return what a function says where it refuses what PyTorch takes, or None."""
    if name == "nn.functional.embedding" and sample.kwargs.get("sparse", False):
        return "left out"
    return None


def constants(name, args, kwargs):
    """Return the tensors that get no gradient from our function."""
    if name == "nn.functional.batch_norm":
        return [each for each in args[1:] if each is not None]
    if "loss" in name or "entropy" in name:
        return [kwargs[each] for each in ("weight", "pos_weight") if kwargs.get(each) is not None]
    return []


def copied(arguments, requires_grad=True):
    """Copy every tensor, so that no call sees what another one did to it."""

    def copy(value):
        if not isinstance(value, Tensor):
            return value
        return value.detach().clone().requires_grad_(requires_grad and value.is_floating_point())

    return tree_map(copy, arguments)


def outcome(function, args, kwargs, parameters=()):
    """Return all outputs, and the gradients of all that is floating-point, for a random upstream gradient."""
    torch.manual_seed(1)
    outputs = function(*args, **kwargs)
    outputs = [outputs] if isinstance(outputs, Tensor) else [each for each in outputs if each is not None]
    leaves = [*parameters]
    tree_map(
        lambda value: leaves.append(value) if isinstance(value, Tensor) and value.requires_grad else None,
        (args, kwargs),
    )
    smooth = [output for output in outputs if output.requires_grad]
    if not smooth:
        return outputs
    upstream = [torch.randn(output.shape, dtype=torch.float64).to(output.dtype) for output in smooth]
    return [*outputs, *torch.autograd.grad(smooth, leaves, upstream, allow_unused=True)]


def assert_agree(ours, theirs, roundings=16):
    assert len(ours) == len(theirs)
    # Where terms cancel, what is left over is some roundings of the largest number or the upstream gradient.
    numbers = [each[each.isfinite()].abs() for each in theirs if each is not None]
    size = max([1.0, *(each.max().item() for each in numbers if each.numel())])
    for our, their in zip(ours, theirs, strict=True):
        if our is None or their is None:  # one says that there is no gradient, the other that it is 0
            assert not any(each.any() for each in (our, their) if each is not None)
            continue
        assert our.dtype == their.dtype
        precision = torch.finfo(their.dtype).eps if their.is_floating_point() else 0
        torch.testing.assert_close(our, their, rtol=0, atol=roundings * precision * size, equal_nan=True)


MANY = 1000


@every_info
def test_functions_give_what_pytorch_gives(info):
    operator, function = operator_of(info), OTHERS.get(info.name, info.function)
    for dtype in sorted(operator.dtypes, key=str):
        if not dtype.is_complex:
            assert_functions_agree(operator, function, dtype)


def assert_functions_agree(operator, function, dtype):
    # Some samples come only where no gradient is asked for; it is compared all the same.
    samples = [*operator.sample_inputs("cpu", dtype, requires_grad=False)]
    assert samples
    few = dtype != torch.float64 and len(samples) > MANY  # max_pool2d has 1440, each for nine dtypes
    for sample in samples[:: 10 if few else 1]:
        if message := refused(operator.name, sample):
            with pytest.raises(ValueError, match=message):
                function(sample.input, *sample.args, **sample.kwargs)
            continue
        calls = [copied(((sample.input, *sample.args), sample.kwargs)) for _ in range(2)]
        for args, kwargs in calls:
            for constant in constants(operator.name, args, kwargs):
                constant.requires_grad_(False)
        # A row of one number is divided by √ε, and the roundings with it. Attention's scores are some
        # hundreds, and their rounding is a factor of the probabilities.
        loose = "norm" in operator.name or "attention" in operator.name
        roundings = 128 if loose and dtype in (torch.float32, torch.float64) else 16
        assert_agree(outcome(function, *calls[0]), outcome(operator.op, *calls[1]), roundings)


@every_info
def test_what_pytorch_refuses_is_refused(info):
    operator, function = operator_of(info), OTHERS.get(info.name, info.function)
    if operator.error_inputs_func is None:
        pytest.skip("PyTorch has no inputs that it refuses")
    for wrong in operator.error_inputs("cpu"):
        sample = wrong.sample_input
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError)):
            function(sample.input, *sample.args, **sample.kwargs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_modules_give_what_pytorchs_give(name, training):
    from torch.testing._internal.common_modules import module_db

    infos = [info for info in module_db if info.module_cls is getattr(torch.nn, name)]
    if not infos:
        pytest.skip("PyTorch has no samples")
    for dtype in infos[0].dtypes:
        if not dtype.is_complex:
            assert_modules_agree(infos[0], dtype, training)


def assert_modules_agree(info, dtype, training):
    for sample in info.module_inputs_func(info, "cpu", dtype, requires_grad=True, training=training):
        construction, call = sample.constructor_input, sample.forward_input
        results, states = [], []
        for module_class in (getattr(nn, info.module_cls.__name__), info.module_cls):
            torch.manual_seed(0)
            module = module_class(*construction.args, **construction.kwargs).to(dtype).train(training)
            args, kwargs = copied((call.args, call.kwargs))
            results.append(outcome(module, args, kwargs, [*module.parameters()]))
            states.append([*module.state_dict().values()])
        assert_agree(*results)
        assert_agree(*states)
