"""What PyTorch refuses is refused at the call; where its own message is plain, with that."""

import re

import pytest
import torch

import manualgrad.functions as F

BCE, ATTENTION = "binary_cross_entropy_with_logits", "scaled_dot_product_attention"
ones = torch.ones
x, weight = torch.randn(3, 4), torch.randn(5, 4)
labels = torch.tensor([0, 3, 1])
learnt = torch.ones(4, requires_grad=True)
images, kernels = torch.randn(2, 4, 5, 6), torch.randn(6, 4, 3, 2)
query, key, value = (torch.randn(2, *size) for size in ((3, 4), (5, 4), (5, 6)))
mask = torch.ones(3, 5)

REFUSED = [  # a function, its arguments, those by name where there are any, the error
    # not a tensor, complex, truth values
    ("relu", ([1.0],), TypeError, "relu: input must be a Tensor, got list"),
    ("sigmoid", (2.0,), TypeError, "sigmoid: input must be a Tensor, got float"),
    ("linear", (x, None), TypeError, "linear: weight must be a Tensor, got NoneType"),
    ("mse_loss", (x, None), TypeError, "mse_loss: target must be a Tensor, got NoneType"),
    ("softmax_nll", (x, None), TypeError, "softmax_nll: target must be a Tensor, got NoneType"),
    ("linear", (x, weight, 0.5), TypeError, "linear: bias must be a Tensor, got float"),
    ("mse_loss", (x, 0.0), TypeError, "mse_loss: target must be a Tensor, got float"),
    ("tanh", (x.cfloat(),), TypeError, "tanh: input must be real, got torch.complex64"),
    ("relu", (x > 0,), TypeError, "relu: input must hold numbers, got torch.bool"),
    # devices and dtypes
    ("mse_loss", (x.to("meta"), x), ValueError, "one device, got input on meta, target on cpu"),
    ("softmax_nll", (x, labels.to("meta")), ValueError, "one device, got input on cpu, target on meta"),
    ("linear", (x, weight.double()), ValueError, "one dtype, got input torch.float32, weight torch.float64"),
    ("linear", (x, weight, torch.randn(5).half()), ValueError, "bias torch.float16"),
    ("layer_norm", (x, (4,), learnt.double()), ValueError, "input torch.float32, weight torch.float64"),
    ("conv2d", (images, kernels.double()), ValueError, "one dtype, got input torch.float32, weight torch.f"),
    (
        ATTENTION,
        (query, key, value, mask[:, :4]),
        ValueError,
        r"attn_mask must broadcast to \(3, 5\), got \(3, 4\)",
    ),
    ("softmax_nll", (x, labels), {"label_smoothing": -0.5}, ValueError, "between 0 and 1, got -0.5"),
    ("nll_loss", (x, labels.float()), TypeError, "nll_loss: target must be int64 labels, got torch.float32"),
    (ATTENTION, (query, key.double(), value), ValueError, "query torch.float32, key torch.float64"),
    ("nll_loss", (x, labels, torch.ones(4).double()), ValueError, "must have one dtype"),
    ("softmax", (labels,), TypeError, "softmax: input must be floating-point, got torch.int64"),
    ("layer_norm", (labels, (3,)), TypeError, "input must be floating-point, got torch.int64"),
    ("softmax_nll", (x.long(), labels), TypeError, "input must be floating-point, got torch.int64"),
    # power
    ("power", (x, torch.tensor(2.0)), TypeError, "power: exponent must be a number, got Tensor"),
    ("power", (x, "2"), TypeError, "power: exponent must be a number, got str"),
    ("power", (x, 1j), TypeError, "power: exponent must be a number, got complex"),
    # linear
    ("linear", (x, torch.randn(5, 3)), ValueError, r"weight's 3, got input \(3, 4\) and weight \(5, 3\)"),
    ("linear", (x, weight.t()), ValueError, r"weight's 5, got input \(3, 4\) and weight \(4, 5\)"),
    ("linear", (torch.randn(()), weight), ValueError, r"got input \(\)"),
    ("linear", (x, torch.randn(2, 5, 4)), ValueError, r"weight must have shape \(O, I\) or \(I,\)"),
    ("linear", (x, weight, torch.randn(4)), ValueError, r"bias must have shape \(5,\), got \(4,\)"),
    ("linear", (x, weight, torch.randn(3, 5)), ValueError, r"bias must have shape \(5,\), got \(3, 5\)"),
    # other functions of single elements
    ("gelu", (x, "sigmoid"), ValueError, "gelu: approximate must be one of none, tanh, got 'sigmoid'"),
    ("dropout", (x, -0.1), ValueError, "dropout: p must be between 0 and 1, got -0.1"),
    ("dropout", (x, 1.5), ValueError, "dropout: p must be between 0 and 1, got 1.5"),
    # normalisations
    ("batch_norm", (x[0], None, None), {"training": True}, ValueError, r"\(N, C, d1, ...\), got \(4,\)"),
    (
        "batch_norm",
        (x[:1], None, None),
        {"training": True},
        ValueError,
        r"two numbers a channel, .* \(1, 4\)",
    ),
    ("batch_norm", (x, x[0], learnt), ValueError, "running_var is a constant without a gradient"),
    ("batch_norm", (x, x[0], x[1]), {"eps": -1.0}, ValueError, "eps must be positive .*, got -1.0"),
    ("group_norm", (x[:1], 4), ValueError, r"a batch of one needs two numbers a group, got \(1, 4\)"),
    ("rms_norm", (x, (3,)), ValueError, r"last dimensions of input, got \(3,\) and input \(3, 4\)"),
    ("layer_norm", (x, 4), ValueError, "last dimensions of input, got 4"),
    ("layer_norm", (x, (3,)), ValueError, r"last dimensions of input, got \(3,\) and input \(3, 4\)"),
    ("layer_norm", (x, ()), ValueError, r"last dimensions of input, got \(\) and input \(3, 4\)"),
    # images
    ("avg_pool2d", (x, 2), ValueError, r"avg_pool2d: input must have shape \(N, C, H, W\).*got \(3, 4\)"),
    ("avg_pool2d", (images, (2, 2, 2)), ValueError, r"one whole number, or one .* got \(2, 2, 2\)"),
    ("max_pool2d", ([[1.0]], 1), TypeError, "max_pool2d: input must be a Tensor, got list"),
    ("max_pool2d", (x[0], 2), ValueError, r"max_pool2d: input must have shape \(N, C, H, W\).*got \(4,\)"),
    ("conv2d", (x, kernels), ValueError, r"conv2d: input must have shape \(N, C, H, W\).*got \(3, 4\)"),
    ("conv2d", (images, kernels[0]), ValueError, r"shape \(O, C/groups, k, k'\), got \(4, 3, 2\)"),
    (
        "conv2d",
        (images, kernels),
        {"dilation": (1, 2, 3)},
        ValueError,
        r"one whole number, or one .* got \(1, 2, 3\)",
    ),
    ("conv2d", (images, kernels), {"padding": "full"}, ValueError, "padding must be numbers, .* got 'full'"),
    (
        "conv2d",
        (images, kernels, None, 2, "same"),
        ValueError,
        "with stride 1 'same', got 'same' with stride 2",
    ),
    ("conv2d", (images, [1.0]), TypeError, "conv2d: weight must be a Tensor, got list"),
    # embedding
    ("embedding", (labels, x), IndexError, r"embedding: indices must be in 0\.\.2, got 0 to 3"),
    ("embedding", (labels - 1, x), IndexError, r"indices must be in 0\.\.2, got -1 to 2"),
    ("embedding", (labels, weight, 5), ValueError, "padding_idx must be a row of 5, got 5"),
    ("embedding", (labels, weight), {"sparse": True}, ValueError, "sparse gradients are left out"),
    ("embedding", (labels, [1.0]), TypeError, "embedding: weight must be a Tensor, got list"),
    # cells
    ("lstm_gates", (ones(3, 15), ones(3, 5)), ValueError, r"four times .* \(3, 5\), got \(3, 15\)"),
    *(
        (
            "lstm_cell",
            (x, (ones(*h), ones(*c)), ones(20, 4), ones(20, 5)),
            ValueError,
            "two tensors of one shape",
        )
        for h, c in (((1, 5), (3, 5)), ((3, 5), (1, 5)), ((3, 5), (3, 4)), ((2, 5), (2, 5)))
    ),
    ("gru_gates", (ones(3, 15), ones(3, 20), ones(3, 5)), ValueError, r"three times .* \(3, 20\)"),
    ("gru_gates", (ones(3, 15), ones(1, 15), ones(3, 5)), ValueError, r"three times .* \(1, 15\)"),
    # attention
    (ATTENTION, (query, key[..., :3], value), ValueError, r"L, E.* query \(2, 3, 4\), key \(2, 5, 3\)"),
    (ATTENTION, (query, key, value[:, :4]), ValueError, r"value \(2, 4, 6\)"),
    (ATTENTION, (query[0, 0], key, value), ValueError, r"got query \(4,\)"),
    (
        *(ATTENTION, (query, key[:1].expand(3, 5, 4), value)),
        *({"enable_gqa": True}, ValueError, "heads of key .* must divide"),
    ),
    (ATTENTION, (query, key, value, mask, 0.0, True), ValueError, "attn_mask must be None where is_causal"),
    # elementwise losses
    *(
        case
        for name, target in (("mse_loss", x), (BCE, x.sigmoid()))
        for case in (
            (name, (x, target[:, :1]), ValueError, r"same shape, got \(3, 4\) and \(3, 1\)"),
            (name, (x[:, :1], target[:, 0]), ValueError, r"same shape, got \(3, 1\) and \(3,\)"),
            (name, (x, target[0]), ValueError, r"same shape, got \(3, 4\) and \(4,\)"),
            (name, (x, target), {"reduction": "average"}, ValueError, "none, mean, sum, got 'average'"),
            (name, (x, target), {"reduction": None}, ValueError, "none, mean, sum, got None"),
            (name, (labels, labels), TypeError, "input must be floating-point, got torch.int64"),
        )
    ),
    (BCE, (x, x.long()), TypeError, "target must be floating-point, got torch.int64"),
    (BCE, (x, x > 0), TypeError, "target must be floating-point, got torch.bool"),
    (BCE, (x, x), {"weight": torch.ones(3)}, ValueError, r"weight must broadcast to \(3, 4\), got \(3,\)"),
    (BCE, (x, x), {"pos_weight": torch.ones(2, 3, 4)}, ValueError, r"to \(3, 4\), got \(2, 3, 4\)"),
    (BCE, (x, x), {"weight": learnt}, ValueError, "weight is a constant without a gradient"),
    (BCE, (x, x), {"pos_weight": learnt}, ValueError, "pos_weight is a constant without a gradient"),
    # classification losses
    *(
        case
        for name in ("softmax_nll", "nll_loss")
        for case in (
            (name, (x, torch.tensor([0, 4, 1])), IndexError, rf"{name}: labels must be in 0\.\.3, got 4"),
            (name, (x, torch.tensor([0, -1, 1])), IndexError, r"labels must be in 0\.\.3, got -1"),
            (name, (x, labels + 1), {"weight": torch.ones(4)}, IndexError, "got 4"),
            (name, (x[0], torch.tensor(7)), IndexError, r"labels must be in 0\.\.3, got 7"),
            (name, (x, labels[:2]), ValueError, r"shape \(3,\) for input \(3, 4\), got \(2,\)"),
            (name, (x, labels[:, None]), ValueError, r"shape \(3,\) for input \(3, 4\), got \(3, 1\)"),
            (name, (x, torch.ones(3, 4).long()), ValueError, r"shape \(3,\) for .* got \(3, 4\)"),
            (name, (torch.randn(2, 4, 3), labels), ValueError, r"shape \(2, 3\)"),
            (name, (torch.randn(()), torch.tensor(0)), ValueError, r"\(N, C, d1, ...\), got \(\)"),
            (name, (x, labels), {"weight": learnt}, ValueError, "weight is a constant without a gradient"),
        )
    ),
    ("softmax_nll", (x, x.softmax(1)), {"ignore_index": 1}, ValueError, "ignore_index needs labels"),
    ("softmax_nll", (x, x.softmax(1)), {"label_smoothing": 2.0}, ValueError, "between 0 and 1, got 2.0"),
    ("softmax_nll", (x, x.softmax(1)[:2]), ValueError, r"same shape, got \(3, 4\) and \(2, 4\)"),
    ("softmax_cross_entropy", (x, labels), TypeError, "target must be floating-point, got torch.int64"),
    ("softmax_cross_entropy", (x, x), {"weight": torch.ones(3)}, ValueError, r"shape \(4,\), got \(3,\)"),
    ("softmax_cross_entropy", (x[0, 0], x[0, 0]), ValueError, r"got \(\)"),
]


def test_refused_with_what_was_expected_and_what_came():
    for name, args, *kwargs, error, message in REFUSED:
        said = "nothing"
        try:
            getattr(F, name)(*args, **(kwargs[0] if kwargs else {}))
        except error as refusal:
            said = str(refusal)
        assert re.search(message, said), f"{name}: expected {message!r}, got {said!r}"


def test_constants_may_ask_for_gradients_where_none_are_recorded():
    with torch.no_grad():
        F.softmax_nll(x, labels, weight=learnt)
        F.binary_cross_entropy_with_logits(x, x.sigmoid(), weight=learnt)


def test_a_tangent_on_a_constant_is_refused():
    """Without the check forward mode would leave it out, and say nothing."""
    for call in (
        lambda weight: F.softmax_nll(x, labels, weight),
        lambda weight: F.nll_loss(x, labels, weight),
        lambda weight: F.binary_cross_entropy_with_logits(x, x, weight),
        lambda weight: F.binary_cross_entropy_with_logits(x, x, pos_weight=weight),
    ):
        with pytest.raises(ValueError, match="weight is a constant without a derivative, got a tangent"):
            torch.func.jvp(call, (torch.ones(4),), (torch.ones(4),))
        with pytest.raises(ValueError, match="weight is a constant"):
            torch.func.grad(call)(torch.ones(4))


def test_the_ignored_label_may_be_any_number():
    for ignored in (-100, -1, 2, 99):
        target = torch.tensor([0, ignored, 1])
        expected = torch.nn.functional.cross_entropy(x, target, ignore_index=ignored)
        torch.testing.assert_close(F.softmax_nll(x, target, ignore_index=ignored), expected)


def test_a_wrong_label_among_ignored_ones_and_in_images():
    with pytest.raises(IndexError, match=r"labels must be in 0\.\.3, got 9"):
        F.softmax_nll(torch.randn(2, 4, 3), torch.tensor([[0, 1, -100], [9, -100, 0]]))
