"""Losses of probabilities: values by hand, extreme logits, second derivatives and messages."""

from __future__ import annotations

import numpy as np
import pytest
from parity import compare_op_with_torch

from minidl import ops
from minidl.backends import use_backend
from minidl.errors import DataError, DtypeError, GraphError, ShapeError
from minidl.graph import Draw, grad, tensor

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 4))
TARGET = np.array([0, 3, 1, 1, 2])


def log_softmax(x, axis=-1):
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


# -- cross entropy ---------------------------------------------------------------------------


def test_cross_entropy_of_class_indices():
    expected = -log_softmax(LOGITS)[np.arange(5), TARGET]
    x = tensor(LOGITS)
    for reduction, value in (
        ("none", expected),
        ("sum", expected.sum()),
        ("mean", expected.mean()),
    ):
        found = ops.cross_entropy(x, TARGET, reduction=reduction)
        np.testing.assert_allclose(found.numpy(), value, rtol=1e-14)
    np.testing.assert_allclose(
        grad(ops.cross_entropy(x, TARGET), x).numpy(),
        (np.exp(log_softmax(LOGITS)) - np.eye(4)[TARGET]) / 5,
        rtol=1e-12,
    )


def test_cross_entropy_of_probabilities_and_their_gradient():
    weights = RNG.dirichlet(np.ones(4), size=5)
    x, t = tensor(LOGITS), tensor(weights)
    loss = ops.cross_entropy(x, t, reduction="sum")
    np.testing.assert_allclose(loss.item(), -(weights * log_softmax(LOGITS)).sum(), rtol=1e-14)
    np.testing.assert_allclose(grad(loss, t).numpy(), -log_softmax(LOGITS), rtol=1e-12)


def test_indices_and_their_one_hot_vectors_are_the_same_target():
    one_hot = ops.one_hot(TARGET, 4, dtype="float64")
    for smoothing in (0.0, 0.2):
        by_index = ops.cross_entropy(LOGITS, TARGET, label_smoothing=smoothing)
        by_weight = ops.cross_entropy(LOGITS, one_hot, label_smoothing=smoothing)
        assert by_index.item() == by_weight.item()


def test_label_smoothing_mixes_in_the_even_distribution():
    found = ops.cross_entropy(LOGITS, TARGET, label_smoothing=0.2, reduction="none")
    logs = log_softmax(LOGITS)
    expected = -0.8 * logs[np.arange(5), TARGET] - 0.2 * logs.mean(axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


def test_classes_are_on_axis_1_or_where_axis_says():
    logits = RNG.normal(size=(2, 3, 4, 5))
    target = RNG.integers(0, 3, (2, 4, 5))
    logs = log_softmax(logits, axis=1)
    expected = -np.take_along_axis(logs, target[:, None], axis=1)[:, 0]
    found = ops.cross_entropy(logits, target, reduction="none")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
    last = ops.cross_entropy(np.moveaxis(logits, 1, -1), target, axis=-1, reduction="none")
    np.testing.assert_allclose(last.numpy(), expected, rtol=1e-13)
    alone = ops.cross_entropy(LOGITS[0], 3)
    np.testing.assert_allclose(alone.item(), -log_softmax(LOGITS[0])[3], rtol=1e-14)


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
def test_cross_entropy_stays_exact_at_extreme_logits(backend):
    with use_backend(backend):
        x = tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], "float32")
        losses = ops.cross_entropy(x, tensor([1, 1, 0]), reduction="none")
        np.testing.assert_allclose(losses.numpy(), [2e4, np.log(2), np.log(3)], rtol=1e-6)
        slope = grad(losses.sum(), x)
        np.testing.assert_allclose(
            slope.numpy(),
            [[1, -1, 0], [0, -0.5, 0.5], [-2 / 3, 1 / 3, 1 / 3]],
            rtol=1e-6,
        )
        assert np.isfinite(grad((slope * slope).sum(), x).numpy()).all()


def test_a_confident_right_answer_costs_no_less_than_nothing():
    x = tensor(RNG.uniform(-50, 50, (200, 10)), "float32")
    losses = ops.cross_entropy(x, ops.argmax(x, axis=1), reduction="none").numpy()
    assert (losses >= 0).all()


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
def test_a_class_ruled_out_by_its_logit_does_not_spoil_the_others(backend):
    with use_backend(backend):
        x = tensor([[0.0, -np.inf, 0.0]], "float64")
        loss = ops.cross_entropy(x, tensor([2]))
        np.testing.assert_allclose(loss.item(), np.log(2), rtol=1e-15)
        np.testing.assert_allclose(grad(loss, x).numpy(), [[0.5, 0.0, -0.5]], rtol=1e-15)


def test_a_target_that_is_no_class_is_named():
    with pytest.raises(DataError) as caught:
        ops.cross_entropy(LOGITS, [0, 1, 4, 0, 0]).numpy()
    assert str(caught.value) == "class index 4 at [2] is not one of 4 classes (0 to 3)"
    with pytest.raises(DataError) as caught:
        ops.cross_entropy(LOGITS, [0, 1, 0, -1, 0]).numpy()
    assert str(caught.value) == "class index -1 at [3] is not one of 4 classes (0 to 3)"


# -- binary cross entropy --------------------------------------------------------------------


@pytest.mark.parametrize("target", [[0, 1, 1, 0], [False, True, True, False], [0.0, 1.0, 1.0, 0.0]])
def test_binary_cross_entropy_is_the_negative_log_of_the_probability(target):
    x = np.array([0.5, -2.0, 3.0, 0.0])
    p = 1 / (1 + np.exp(-x))
    expected = -np.log(np.where(np.array(target, bool), p, 1 - p))
    found = ops.binary_cross_entropy_with_logits(tensor(x), tensor(target), reduction="none")
    assert found.dtype == "float64"
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
def test_binary_cross_entropy_at_extreme_logits_and_at_zero(backend):
    with use_backend(backend):
        x = tensor([1e4, -1e4, 1e4, -1e4, 0.0], "float32")
        t = tensor([0.0, 1.0, 1.0, 0.0, 1.0])
        losses = ops.binary_cross_entropy_with_logits(x, t, reduction="none")
        np.testing.assert_allclose(losses.numpy(), [1e4, 1e4, 0, 0, np.log(2)], rtol=1e-6)
        slope = grad(losses.sum(), x)
        np.testing.assert_array_equal(slope.numpy(), [1, -1, 0, 0, -0.5])
        curvature = grad(slope.sum(), x)
        np.testing.assert_array_equal(curvature.numpy(), [0, 0, 0, 0, 0.25])
        np.testing.assert_array_equal(grad(losses.sum(), t).numpy(), -x.numpy())


# -- messages --------------------------------------------------------------------------------

ONE_SHAPE = (
    "prediction and target must have one shape, not (5, 4) and (5,); a loss does not broadcast"
)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: ops.binary_cross_entropy_with_logits(x, x[:, 0]),
            ShapeError,
            f"binary_cross_entropy_with_logits: {ONE_SHAPE}",
        ),
        (
            lambda x: ops.cross_entropy(x, [0, 1]),
            ShapeError,
            "cross_entropy: logits of shape (5, 4) take class indices of shape (5,), not (2,)",
        ),
        (
            lambda x: ops.cross_entropy(x, x[0]),
            ShapeError,
            "cross_entropy: logits of shape (5, 4) take probabilities of shape (5, 4), not (4,)",
        ),
        (
            lambda x: ops.cross_entropy(x, x > 0),
            DtypeError,
            "cross_entropy: targets are class indices (integers) or probabilities (floats), "
            "not bool",
        ),
        (
            lambda x: ops.cross_entropy(TARGET, TARGET),
            DtypeError,
            "cross_entropy: logits must be floats, not int64",
        ),
        (
            lambda x: ops.cross_entropy(x, TARGET, axis=2),
            ShapeError,
            "cross_entropy: axis 2 is out of range for a value with 2 axes",
        ),
        (
            lambda x: ops.cross_entropy(x, TARGET, label_smoothing=1.0),
            GraphError,
            "cross_entropy: label_smoothing must be at least 0 and below 1, not 1.0",
        ),
        (
            lambda x: ops.cross_entropy(x[:, :0], x[:, :0]),
            ShapeError,
            "cross_entropy: axis 1 of shape (5, 0) holds no classes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call(tensor(LOGITS))
    assert str(caught.value) == message


# -- weights and ignored positions ------------------------------------------------------------

WEIGHT = (0.5, 2.0, 1.0, 0.25)


def test_weights_of_classes_divide_the_mean():
    own = np.array(WEIGHT)[TARGET]
    expected = -(own * log_softmax(LOGITS)[np.arange(5), TARGET]).sum() / own.sum()
    assert ops.cross_entropy(LOGITS, TARGET, weight=WEIGHT).item() == pytest.approx(expected)
    one_hot = np.eye(4)[TARGET]
    total = ops.cross_entropy(LOGITS, one_hot, weight=WEIGHT, reduction="sum")
    assert total.item() == pytest.approx(expected * own.sum())


def test_weights_keep_the_digits_of_float64():
    weight = [0.1, 0.7, 1.1, 1.3]
    for loss in (ops.cross_entropy, ops.nll):
        exact = loss(LOGITS, TARGET, weight=np.array(weight)).item()
        assert loss(LOGITS, TARGET, weight=weight).item() == exact
    x, t = tensor(LOGITS[:, 0]), tensor(TARGET > 1)
    exact = ops.binary_cross_entropy_with_logits(x, t, pos_weight=np.array(0.1)).item()
    assert ops.binary_cross_entropy_with_logits(x, t, pos_weight=0.1).item() == exact


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16"])
def test_ignored_positions_have_no_part(dtype):
    target = np.array([0, -100, 1, -100, 2], dtype)
    kept = target >= 0
    x = tensor(LOGITS)
    found = ops.cross_entropy(x, target, ignore_index=-100)
    assert found.item() == pytest.approx(
        ops.cross_entropy(x[kept.nonzero()[0]], target[kept]).item()
    )
    slope = grad(found, x).numpy()
    assert (slope[~kept] == 0).all() and (slope[kept] != 0).all()


def test_where_all_is_ignored_the_loss_is_zero():
    x = tensor(LOGITS)
    for loss in (ops.cross_entropy, ops.nll):
        found = loss(x, np.full(5, 9), ignore_index=9)
        assert found.item() == 0
        assert (grad(found, x).numpy() == 0).all()


def test_an_ignored_class_can_be_one_of_the_classes():
    found = ops.cross_entropy(LOGITS, TARGET, ignore_index=1, reduction="none").numpy()
    np.testing.assert_array_equal(found == 0, TARGET == 1)
    unsigned = ops.cross_entropy(LOGITS, TARGET.astype("uint8"), ignore_index=-100)
    assert unsigned.item() == ops.cross_entropy(LOGITS, TARGET).item()


def test_nll_bears_a_class_of_probability_zero():
    x = tensor([[0.0, -np.inf], [-1.0, -2.0]], "float64")
    found = ops.nll(x, [0, 1])
    assert found.item() == 1
    np.testing.assert_array_equal(grad(found, x).numpy(), [[-0.5, 0.0], [0.0, -0.5]])


def test_pos_weight_counts_positives_more():
    x, t = np.array([0.5, -2.0, 3.0]), np.array([1.0, 1.0, 0.0])
    p = 1 / (1 + np.exp(-x))
    expected = -(3 * t * np.log(p) + (1 - t) * np.log(1 - p))
    found = ops.binary_cross_entropy_with_logits(x, t, pos_weight=3.0, reduction="none")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"])
def test_pos_weight_at_extreme_logits(backend):
    with use_backend(backend):
        x = tensor([1e4, -1e4, 1e4, -1e4], "float32")
        t = tensor([0, 1, 1, 0])
        found = ops.binary_cross_entropy_with_logits(x, t, pos_weight=2.0, reduction="none")
        np.testing.assert_array_equal(found.numpy(), [1e4, 2e4, 0, 0])
        np.testing.assert_array_equal(grad(found.sum(), x).numpy(), [1, -2, 0, 0])


def test_kl_divergence_is_zero_of_equal_distributions():
    t = RNG.dirichlet(np.ones(4), size=3)
    assert ops.kl_div(np.log(t), t, reduction="batchmean").item() == pytest.approx(0, abs=1e-15)
    found = ops.kl_div(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")
    assert found.item() == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: ops.cross_entropy(x, TARGET, weight=(1.0, 2.0)),
            ShapeError,
            "cross_entropy: weight of shape (2,) does not fit 4 classes; it must be of shape (4,)",
        ),
        (
            lambda x: ops.cross_entropy(x, x, ignore_index=0),
            DtypeError,
            "cross_entropy: ignore_index goes with class indices (integers), not with targets of "
            "float64",
        ),
        (
            lambda x: ops.nll(x, x),
            DtypeError,
            "nll: targets are class indices (integers), not float64",
        ),
        (
            lambda x: ops.nll(x, TARGET[:2]),
            ShapeError,
            "nll: logits of shape (5, 4) take class indices of shape (5,), not (2,)",
        ),
        (
            lambda x: ops.nll(TARGET, TARGET[0]),
            DtypeError,
            "nll: log probabilities must be floats, not int64",
        ),
        (lambda x: ops.kl_div(x, x[:, 0]), ShapeError, f"kl_div: {ONE_SHAPE}"),
        (
            lambda x: ops.binary_cross_entropy_with_logits(x, x, pos_weight=(1.0, 2.0, 3.0)),
            ShapeError,
            "binary_cross_entropy_with_logits: pos_weight of shape (3,) does not broadcast to "
            "logits of shape (5, 4)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_the_others_too(call, error, message):
    with pytest.raises(error) as caught:
        call(tensor(LOGITS))
    assert str(caught.value) == message


# -- PyTorch ----------------------------------------------------------------------------------


def calls():
    """Yield (name, inputs, options) of calls in each reduction."""
    rng = np.random.default_rng(8)
    weight = tuple(rng.uniform(0.1, 2.0, 5))
    for shape in [(4, 5), (2, 5, 3), (2, 5, 3, 2), (1, 5), (5,)]:
        positions = shape[:1] + shape[2:] if len(shape) > 1 else ()
        target = rng.integers(0, 5, positions)
        some = np.where(rng.uniform(size=positions) < 0.3, 3, target)
        some.reshape(-1)[:1] = 4  # of nothing, PyTorch's mean is NaN and ours 0
        shares = np.exp(log_softmax(rng.normal(size=shape), 1 if len(shape) > 1 else 0))
        for options in ({}, {"weight": weight}):
            yield "nll", (shape, target), options
            yield "nll", (shape, some), {**options, "ignore_index": 3}
            for smoothing in ({}, {"label_smoothing": 0.2}):
                both = {**options, **smoothing}
                yield "cross_entropy", (shape, target), both
                yield "cross_entropy", (shape, shares), both
                yield "cross_entropy", (shape, some), {**both, "ignore_index": 3}
    ignored = np.array([[0, -100, 4], [-100, 2, 2]])
    yield "cross_entropy", ((2, 5, 3), ignored), {"ignore_index": -100}
    for shape in [(3, 4), (2, 3, 4), (1, 1), (6,), ()]:
        shares = Draw(shape, 0.01, 1.0)
        yield "kl_div", (shape, shares), {}
        yield "kl_div", (shape, shape), {"log_target": True}
        for weight in (None, 2.0, [*rng.uniform(0.5, 3, shape[-1])] if shape else 0.5):
            yield "binary_cross_entropy_with_logits", (shape, shares), {"pos_weight": weight}


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "inputs", "options"), list(calls()))
def test_losses_and_gradients_are_those_of_pytorch(name, inputs, options, reduction):
    pytest.importorskip("torch")
    if reduction == "mean" and name == "kl_div" and inputs[0]:
        reduction = "batchmean"
    compare_op_with_torch(name, *inputs, **options, reduction=reduction)


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("name", ["kl_div", "binary_cross_entropy_with_logits"])
def test_losses_of_nothing_are_those_of_pytorch(name, reduction):
    pytest.importorskip("torch")
    compare_op_with_torch(name, (0, 3), (0, 3), reduction=reduction)
