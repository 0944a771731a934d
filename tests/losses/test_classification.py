"""Losses of classes: what they are, their gradients, and targets that do not fit."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import grad, placeholder, tensor

Z = np.array([[1.0, -2.0, 0.5], [3.0, 3.0, -1.0]])
CLASSES = np.array([2, 0])
ONE_HOT = np.eye(3)[CLASSES]


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("targets", [CLASSES, ONE_HOT, np.array([[0.5, 0.5, 0], [0.1, 0.2, 0.7]])])
def test_cross_entropy(targets, smoothing):
    y = ONE_HOT if targets.ndim == 1 else targets
    y = (1 - smoothing) * y + smoothing / 3
    logits = tensor(Z)
    result = make("loss", {"type": "cross_entropy", "label_smoothing": smoothing})(
        logits, tensor(targets)
    )
    assert result.shape == ()
    assert result.item() == pytest.approx(-(y * np.log(softmax(Z))).sum(1).mean(), rel=1e-12)
    np.testing.assert_allclose(grad(result, logits).numpy(), (softmax(Z) - y) / 2, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "uint8"])
def test_binary_cross_entropy(dtype):
    z, y = Z[:, :2], np.array([[1, 0], [0, 1]])
    sigma = 1 / (1 + np.exp(-z))
    logits = tensor(z)
    result = make("loss", "binary_cross_entropy")(logits, tensor(y.astype(dtype)))
    expected = -(y * np.log(sigma) + (1 - y) * np.log(1 - sigma)).mean()
    assert result.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(grad(result, logits).numpy(), (sigma - y) / 4, rtol=1e-9)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_large_logits_stay_finite(name):
    logits = tensor(np.array([[1e4, -1e4], [-1e4, 1e4]], "float32"))
    targets = tensor([1, 1]) if name == "cross_entropy" else tensor([[0, 1], [1, 1]])
    result = make("loss", name)(logits, targets)
    assert result.item() == pytest.approx(1e4 if name == "cross_entropy" else 0.75e4)
    assert np.isfinite(grad(result, logits).numpy()).all()


def test_outputs_are_probabilities():
    entropy, binary = make("loss", "cross_entropy"), make("loss", "binary_cross_entropy")
    np.testing.assert_allclose(entropy.output(tensor(Z)).numpy(), softmax(Z), rtol=1e-12)
    np.testing.assert_allclose(binary.output(tensor(Z)).numpy(), 1 / (1 + np.exp(-Z)), rtol=1e-12)
    assert entropy.task == binary.task == "classification"
    assert entropy.metrics == binary.metrics == ("accuracy",)


LOGITS_ERROR = (
    "predictions must be logits of shape (batch, classes) with two classes or more, not {}; "
    "end the model with {{ type = 'linear', units = <classes> }}, or use the loss "
    "'binary_cross_entropy' for one logit a sample"
)


@pytest.mark.parametrize(
    ("logits", "target", "dtype", "error", "message"),
    [
        ((8,), (8,), "int64", ShapeError, LOGITS_ERROR.format("(8,)")),
        ((8, 1), (8,), "int64", ShapeError, LOGITS_ERROR.format("(8, 1)")),
        (
            (8, 10),
            (8, 1),
            "int64",
            ShapeError,
            "logits of shape (8, 10) take integer classes of shape (8,), not (8, 1); "
            "take the last axis off the targets (y[..., 0])",
        ),
        (
            (8, 10),
            (8, 10),
            "uint8",
            ShapeError,
            "logits of shape (8, 10) take integer classes of shape (8,), not (8, 10); "
            "turn one-hot targets into floats, or into classes (y.argmax(-1))",
        ),
        (
            (8, 10),
            (7,),
            "int64",
            ShapeError,
            "logits of shape (8, 10) take integer classes of shape (8,), not (7,); "
            "they have different numbers of samples",
        ),
        (
            (8, 10),
            (8, 3),
            "float32",
            ShapeError,
            "logits of shape (8, 10) take probabilities of shape (8, 10), not (8, 3)",
        ),
        (
            (8, 10),
            (8,),
            "float32",
            DtypeError,
            "targets of shape (8,) are classes and must be integers, not float32; "
            "convert them (astype('int64'), or task = 'classification' in [data])",
        ),
        (
            (8, 2),
            (8,),
            "bool",
            DtypeError,
            "targets of shape (8,) are classes and must be integers, not bool; "
            "convert them (astype('int64'), or task = 'classification' in [data])",
        ),
    ],
)
def test_targets_that_do_not_fit_are_refused(logits, target, dtype, error, message):
    with pytest.raises(error) as caught:
        make("loss", "cross_entropy")(placeholder("z", logits), placeholder("y", target, dtype))
    assert str(caught.value) == f"loss 'cross_entropy': {message}"


def test_integer_logits_are_refused():
    with pytest.raises(DtypeError) as error:
        make("loss", "cross_entropy")(
            placeholder("z", (8, 2), "int64"), placeholder("y", (8,), "int64")
        )
    assert str(error.value) == "loss 'cross_entropy': predictions must be floats, not int64"


def test_label_smoothing_is_a_share():
    with pytest.raises(ConfigError) as error:
        registry.get("loss", "cross_entropy")(label_smoothing=1.0)
    assert str(error.value) == (
        "loss 'cross_entropy': label_smoothing: Input should be less than 1, got 1.0"
    )
