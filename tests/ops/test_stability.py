"""Float32 against float64 where digits are lost: logits of ±1e4, means of 1e5, long sums."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops
from minidl.backends import use_backend
from minidl.component import make
from minidl.graph import grad, placeholder, tensor
from minidl.layers import Context

BACKENDS = ["numpy", "array_api_strict"]


def random(*shape):
    return np.random.default_rng(shape).normal(size=shape).astype("float32")


def probabilities(*shape):
    positive = np.abs(random(*shape)) + 0.1
    return positive / positive.sum(-1, keepdims=True)


def assert_right_in_float32(function, *arrays, rtol):
    """Compare the value and the gradient by each input with those of the same numbers, wider."""

    def of(dtype):
        inputs = [tensor(array.astype(dtype)) for array in arrays]
        z = function(*inputs)
        weights = tensor(random(*z.shape, 1).reshape(z.shape).astype(dtype))
        return [z.numpy(), *(g.numpy() for g in grad((z * weights).sum(), inputs))]

    for single, double in zip(of("float32"), of("float64"), strict=True):
        assert single.dtype == "float32"
        assert np.isfinite(single).all()
        np.testing.assert_allclose(single, double, rtol=rtol, atol=rtol * np.abs(double).max())


# -- logits of ±1e4 ----------------------------------------------------------------------------

LOGITS = 1e4 * random(6, 5)
LOGITS[:4] = 1e4 * np.array([[1] * 5, [-1] * 5, [1, 1, -1, -1, -1], [1, -1, -1, -1, 0]])
CLASSES = tensor([0, 1, 1, 2, 3, 4])
IN_TIME = 1e4 * random(8, 3, 5)
SPOKEN = (tensor([[1, 2], [3, 3], [4, 0]]), tensor([8, 8, 7]), tensor([2, 2, 1]))

OF_LOGITS = {
    "softmax": lambda x: ops.softmax(x, axis=1),
    "log_softmax": lambda x: ops.log_softmax(x, axis=1),
    "logsumexp": lambda x: ops.logsumexp(x, axis=1),
    "logsumexp of two axes": lambda x: ops.logsumexp(x.reshape(2, 3, 5), axis=(0, 2)),
    "masked_softmax": lambda x: ops.masked_softmax(x, tensor([True, True, False, True, True])),
    "attention": lambda x: ops.scaled_dot_product_attention(x / 1e2, x / 1e2, x),
    "cross_entropy": lambda x: ops.cross_entropy(x, CLASSES),
    "cross_entropy, each": lambda x: ops.cross_entropy(x, CLASSES, reduction="none"),
    "label smoothing": lambda x: ops.cross_entropy(x, CLASSES, label_smoothing=0.1),
    "class weights": lambda x: ops.cross_entropy(x, CLASSES, weight=[1.0, 2.0, 0.0, 3.0, 1.0]),
    "nll": lambda x: ops.nll(ops.log_softmax(x, axis=1), CLASSES),
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OF_LOGITS)
def test_functions_of_logits_of_1e4(name, backend):
    with use_backend(backend):
        assert_right_in_float32(OF_LOGITS[name], LOGITS, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "function",
    [
        lambda x, p: ops.cross_entropy(x, p),
        lambda x, p: ops.cross_entropy(x, p, label_smoothing=0.2),
        lambda x, p: ops.kl_div(ops.log_softmax(x, axis=1), p, reduction="batchmean"),
        lambda x, p: ops.kl_div(ops.log_softmax(x, axis=1), ops.log(p), log_target=True),
        lambda x, p: ops.binary_cross_entropy_with_logits(x, p),
        lambda x, p: ops.binary_cross_entropy_with_logits(x, p, pos_weight=3.0),
    ],
)
def test_losses_of_logits_of_1e4_and_probabilities(function, backend):
    with use_backend(backend):
        assert_right_in_float32(function, LOGITS, probabilities(6, 5), rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_ctc_of_logits_of_1e4(reduction, backend):
    def loss(x):
        return ops.ctc(ops.log_softmax(x, axis=-1), *SPOKEN, reduction=reduction)

    with use_backend(backend):
        assert_right_in_float32(loss, IN_TIME, rtol=1e-6)


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "smooth_l1", "squared_error"])
def test_losses_of_values_of_1e4(name):
    assert_right_in_float32(getattr(ops, name), LOGITS, random(6, 5), rtol=1e-6)


# -- means of 1e5 ------------------------------------------------------------------------------

IMAGES = random(16, 6, 5, 4) + np.float32(1e5)
ROWS = random(2000, 8) + np.float32(1e5)

OF_LARGE_MEANS = {
    "var of rows": (lambda x: ops.var(x, axis=1), ROWS),
    "var of columns": (lambda x: ops.var(x, axis=0, correction=1), ROWS),
    "var of all": (ops.var, ROWS),
    "var of channels": (lambda x: ops.var(x, axis=(0, 2, 3)), IMAGES),
    "standard deviation": (lambda x: ops.sqrt(ops.var(x, axis=0)), ROWS),
    "standardize rows": (lambda x: ops.standardize(x, axis=1), ROWS),
    "standardize columns": (lambda x: ops.standardize(x, axis=0), ROWS),
    "standardize channels": (lambda x: ops.standardize(x, axis=(0, 2, 3)), IMAGES),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", OF_LARGE_MEANS)
def test_what_is_left_of_a_mean_of_1e5(name, backend):
    function, x = OF_LARGE_MEANS[name]
    with use_backend(backend):
        assert_right_in_float32(function, x, rtol=2e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("config", "x"),
    [
        ("batch_norm", ROWS),
        ("batch_norm", IMAGES),
        ("layer_norm", ROWS),
        ("layer_norm", IMAGES),
        ({"type": "group_norm", "num_groups": 2}, IMAGES),
        ("instance_norm", IMAGES),
        ("rms_norm", ROWS),
    ],
)
def test_norms_at_a_mean_of_1e5(config, x, training):
    layer = make("layer", config)
    layer.setup(placeholder("x", x.shape).spec)
    channels = x.mean((0, *range(2, x.ndim)), dtype="float64").astype("float32")

    def normed(x):
        values = {
            p.path: p.init(ops.random_key(0, 0, 0), p.spec.shape, p.spec.dtype).astype(x.dtype)
            for p in layer.all_parameters()
        }
        if "running_mean" in values:
            values["running_mean"] = tensor(channels).astype(x.dtype)
        return layer(x, context=Context(values, training=training))

    assert_right_in_float32(normed, x, rtol=1e-6)


# -- ten million rows --------------------------------------------------------------------------

MANY = 10_000_000
TENTH = float(np.float32(0.1))


def tenths(*shape, order="C"):
    return tensor(np.full(shape, 0.1, "float32", order=order))


@pytest.mark.parametrize(
    ("make_rows", "axis"),
    [
        (lambda: tenths(MANY), 0),
        (lambda: tenths(MANY, 2), 0),
        (lambda: tenths(MANY, 2, order="F"), 0),
        (lambda: tenths(MANY, 4)[:, ::2], 0),
        (lambda: tenths(1, MANY, 2), 1),
        (lambda: tenths(2, MANY), 1),
        (lambda: ops.broadcast_to(tenths(2), (MANY, 2)), 0),
        (lambda: ops.broadcast_to(tenths(MANY, 1), (MANY, 2)), 0),
        (lambda: tenths(MANY // 2, 4)[:, ::2], None),
    ],
)
def test_sums_and_means_of_ten_million_rows(make_rows, axis):
    rows = make_rows()
    total, mean = ops.sum(rows, axis=axis).numpy(), ops.mean(rows, axis=axis).numpy()
    np.testing.assert_allclose(total, MANY * TENTH, rtol=1e-4)
    np.testing.assert_allclose(mean, TENTH, rtol=1e-4)


def applied(config, x):
    """Set up a layer that takes x; return what it makes of it as a function of its bias."""
    layer = make("layer", config)
    layer.setup(x.spec)

    def function(bias):
        weight = ops.zeros(layer.parameter_named("weight").spec.shape)
        return layer(x, context=Context({"weight": weight, "bias": bias}))

    return function


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"type": "linear", "units": 2}, (MANY, 1)),
        ({"type": "linear", "units": 2}, (MANY // 1000, 1000, 1)),
        ({"type": "conv2d", "out_channels": 2, "kernel_size": 1}, (10, 1, 1000, 1000)),
        ({"type": "conv1d", "out_channels": 2, "kernel_size": 1}, (MANY // 10, 1, 10)),
        (None, (MANY, 2)),
    ],
)
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (lambda z: z.sum() * 0.1, MANY * TENTH),
        (lambda z: (z * 0.1).sum(), MANY * TENTH),
        (lambda z: (z * tenths(*z.shape)).sum(), MANY * TENTH),
        (lambda z: (z * tenths(*z.shape)).mean(), TENTH / 2),
    ],
)
def test_the_gradient_of_a_bias_that_is_added_ten_million_times(config, shape, loss, expected):
    x = tensor(np.zeros(shape, "float32"))
    function = (lambda bias: x + bias) if config is None else applied(config, x)
    bias = tensor(np.zeros(2, "float32"))
    gradient = grad(loss(function(bias)), bias).numpy()
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)
