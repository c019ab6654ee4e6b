"""The modules stand in for torch.nn's."""

import copy
import inspect
import io
import pickle

import pytest
import torch
import torch.nn
import torch.nn.utils.parametrizations

import manualgrad.nn as nn


def matrix(dtype):
    return (torch.randn(3, 4, dtype=dtype),)


def with_labels(dtype):
    return *matrix(dtype), torch.tensor([0, 2, 3])


def with_target(dtype):
    return *matrix(dtype), torch.rand(3, 4, dtype=dtype)


def images(dtype):
    return (torch.randn(2, 3, 6, 5, dtype=dtype),)


def indices(dtype):
    return (torch.randint(7, (3, 4)),)


def rows_of_state(dtype):
    return *matrix(dtype), (torch.randn(3, 5, dtype=dtype), torch.randn(3, 5, dtype=dtype))


def sequences(dtype):
    """Queries, keys and values of one width, three queries and five keys for each of two sequences."""
    return torch.randn(3, 2, 6, dtype=dtype), *torch.randn(2, 5, 2, 6, dtype=dtype)


CLASS_WEIGHT = torch.tensor([0.5, 1.0, 2.0, 0.1])
CALLS = [  # a module's name, its constructor's arguments, and what draws an input for it
    ("AvgPool2d", (2,), {}, images),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, images),
    ("Conv2d", (3, 4, 3), {}, images),
    ("Conv2d", (3, 6, 2), {"stride": 2, "padding": 1, "groups": 3, "bias": False}, images),
    ("Conv2d", (3, 4, (2, 3)), {"padding": "same", "dilation": 2, "padding_mode": "reflect"}, images),
    ("Embedding", (7, 5), {}, indices),
    ("Embedding", (7, 5), {"padding_idx": 2}, indices),
    ("GRUCell", (4, 5), {}, matrix),
    ("LSTMCell", (4, 5), {}, matrix),
    ("LSTMCell", (4, 5), {"bias": False}, rows_of_state),
    ("MaxPool2d", (2,), {}, images),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "dilation": 2}, images),
    ("Linear", (4, 5), {}, matrix),
    ("Linear", (4, 5), {"bias": False}, matrix),
    ("Linear", (4, 5), {"dtype": torch.float64}, matrix),
    ("BatchNorm1d", (4,), {}, matrix),
    ("BatchNorm1d", (4,), {"affine": False, "track_running_stats": False}, matrix),
    ("BatchNorm2d", (3,), {"momentum": None}, images),
    ("GroupNorm", (1, 3), {}, images),
    ("GroupNorm", (3, 3), {"affine": False, "eps": 0.1}, images),
    ("RMSNorm", (4,), {}, matrix),
    ("RMSNorm", ((3, 4),), {"elementwise_affine": False, "eps": 0.1}, matrix),
    ("LayerNorm", (4,), {}, matrix),
    ("LayerNorm", ((3, 4),), {"bias": False, "eps": 0.1}, matrix),
    ("LayerNorm", (4,), {"elementwise_affine": False}, matrix),
    ("MultiheadAttention", (6, 3), {}, sequences),
    ("MultiheadAttention", (6, 2), {"bias": False, "dropout": 0.4}, sequences),
    ("Sigmoid", (), {}, matrix),
    ("Tanh", (), {}, matrix),
    ("ReLU", (), {}, matrix),
    ("ReLU", (), {"inplace": True}, matrix),
    ("LeakyReLU", (0.2,), {}, matrix),
    ("GELU", (), {}, matrix),
    ("GELU", (), {"approximate": "tanh"}, matrix),
    ("SiLU", (), {}, matrix),
    ("Softplus", (2.0, 1.0), {}, matrix),
    ("Softmax", (1,), {}, matrix),
    ("LogSoftmax", (0,), {}, matrix),
    ("Dropout", (0.3,), {}, matrix),
    ("NLLLoss", (), {"weight": CLASS_WEIGHT, "ignore_index": 2}, with_labels),
    ("MSELoss", (), {}, with_target),
    ("MSELoss", (), {"reduction": "sum"}, with_target),
    ("CrossEntropyLoss", (), {}, with_labels),
    ("CrossEntropyLoss", (), {"weight": CLASS_WEIGHT, "label_smoothing": 0.1}, with_labels),
    ("CrossEntropyLoss", (), {"ignore_index": 2, "reduction": "none"}, with_labels),
    ("BCEWithLogitsLoss", (), {}, with_target),
    ("BCEWithLogitsLoss", (), {"pos_weight": CLASS_WEIGHT, "reduction": "sum"}, with_target),
]
LAYERS = sorted({name for name, *_ in CALLS})


def both(name, args, kwargs):
    modules = []
    for library in (nn, torch.nn):
        torch.manual_seed(5)
        modules.append(getattr(library, name)(*args, **kwargs))
    return modules


def draw_inputs(draw, kwargs):
    torch.manual_seed(6)
    return draw(kwargs.get("dtype", torch.float32))


def test_constructor_arguments_are_torchs():
    for name in LAYERS:
        assert inspect.signature(getattr(nn, name)) == inspect.signature(getattr(torch.nn, name))
        assert issubclass(getattr(nn, name), getattr(torch.nn, name))


@pytest.mark.parametrize(("name", "args", "kwargs", "draw"), CALLS)
def test_same_repr_state_output_and_gradients(name, args, kwargs, draw):
    ours, theirs = both(name, args, kwargs)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
    results = []
    for module in (ours, theirs):
        input, *others = draw_inputs(draw, kwargs)
        leaves = [input.requires_grad_()] if input.is_floating_point() else []
        torch.manual_seed(7)  # of dropout
        outputs = module(input if not kwargs.get("inplace") else input * 1, *others)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        sum(output.sum() for output in outputs).backward()
        results.append([*outputs, *[leaf.grad for leaf in (*leaves, *module.parameters())]])
    torch.testing.assert_close(*results)


def test_an_inplace_relu_leaves_its_input_alone():
    x = torch.tensor([-1.0, 1.0])
    assert nn.ReLU(inplace=True)(x).tolist() == [0.0, 1.0]
    assert x.tolist() == [-1.0, 1.0]


def test_what_has_no_mathematics_of_its_own_is_torchs():
    for name in set(nn.__all__) - set(LAYERS):
        assert getattr(nn, name) is getattr(torch.nn, name)


def network(library, seed=1):
    torch.manual_seed(seed)
    return library.Sequential(
        library.Flatten(),
        library.Linear(6, 5),
        library.Tanh(),
        library.Linear(5, 4),
        library.ReLU(),
        library.Linear(4, 3),
    )


def test_checkpoints_load_either_way():
    for source, target in ((nn, torch.nn), (torch.nn, nn)):
        written, read = network(source, 1), network(target, 2)
        file = io.BytesIO()
        torch.save(written.state_dict(), file)
        file.seek(0)
        read.load_state_dict(torch.load(file))
        x = torch.randn(2, 2, 3)
        torch.testing.assert_close(read(x), written(x))


def train(nn):
    """A script as it would be written for torch.nn, but for the import."""
    model = network(nn)
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    inputs, targets, losses = torch.randn(20, 2, 3), torch.randint(3, (20,)), []
    for _ in range(30):
        optimizer.zero_grad()
        loss = loss_function(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_training_script_gives_the_same_losses():
    ours, theirs = train(nn), train(torch.nn)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours[-1] < ours[0] / 1.5


def test_copies_and_pickles_compute_the_same():
    for name, args, kwargs, draw in CALLS:
        module = getattr(nn, name)(*args, **kwargs).eval()
        arguments = draw_inputs(draw, kwargs)
        for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert type(twin) is type(module)
            torch.testing.assert_close(twin(*arguments), module(*arguments), rtol=0, atol=0)


def test_weight_norm_and_hooks():
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 5))
    seen = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    layer.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen.append(grad_input[0].shape)
    )
    layer(torch.randn(3, 4, requires_grad=True)).sum().backward()
    assert seen == [(3, 5), (3, 4)]


def test_layers_move_between_dtypes_and_devices():
    layer = nn.Linear(4, 5).to(torch.bfloat16)
    assert layer(torch.randn(3, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert nn.Linear(4, 5, device="meta")(torch.empty(3, 4, device="meta")).shape == (3, 5)


def test_a_cell_takes_no_whole_sequence():
    for cell in (nn.LSTMCell, nn.GRUCell):
        with pytest.raises(ValueError, match=cell.__name__):
            cell(3, 4)(torch.randn(5, 2, 3))
