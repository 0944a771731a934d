"""Losses of values: what they are, their gradients, and targets that do not fit."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import grad, placeholder, tensor

P = np.array([[1.0, -2.0], [0.5, 4.0]])
Y = np.array([[0.0, -2.5], [0.5, 1.0]])
D = P - Y


def huber(d, delta):
    return np.where(abs(d) <= delta, 0.5 * d**2, delta * (abs(d) - 0.5 * delta))


VALUES = [
    ("squared_error", 0.5 * (D**2).sum(), D),
    ("mse", (D**2).mean(), 2 * D / 4),
    ("mae", abs(D).mean(), np.sign(D) / 4),
    ("huber", huber(D, 1.0).mean(), np.clip(D, -1, 1) / 4),
    ({"type": "huber", "delta": 0.75}, huber(D, 0.75).mean(), np.clip(D, -0.75, 0.75) / 4),
    ("smooth_l1", huber(D, 1.0).mean(), np.clip(D, -1, 1) / 4),
    ({"type": "smooth_l1", "beta": 0.5}, huber(D, 0.5).mean() * 2, np.clip(D, -0.5, 0.5) / 2),
]


@pytest.mark.parametrize(("loss", "value", "gradient"), VALUES)
def test_value_and_gradient(loss, value, gradient):
    prediction = tensor(P)
    result = make("loss", loss)(prediction, tensor(Y))
    assert result.shape == ()
    assert result.item() == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(grad(result, prediction).numpy(), gradient, rtol=1e-12)


@pytest.mark.parametrize("name", ["squared_error", "mse", "mae", "huber", "cosine_embedding"])
def test_classes_are_no_values(name):
    with pytest.raises(DtypeError) as error:
        make("loss", name)(tensor(P), tensor([3, 1]))
    assert str(error.value) == (
        f"loss '{name}': targets of dtype int64 are classes, not values; where they are numbers "
        f"to be predicted set task = 'regression' in [data], otherwise choose a loss of classes"
    )


NAMES = [
    *("squared_error", "mse", "mae", "huber", "smooth_l1"),
    *("cosine_embedding", "binary_cross_entropy", "kl_div"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("prediction", "target", "advice"),
    [
        ((8, 1), (8,), "end the model with { type = 'reshape', shape = [] }"),
        ((8,), (8, 1), "end the model with { type = 'reshape', shape = [1] }"),
        ((8, 6), (8, 2, 3), "end the model with { type = 'reshape', shape = [2, 3] }"),
        ((8, 3), (8, 2), "the model gives 3 values a sample where the data has 2"),
        ((8, 3), (7, 3), "they have different numbers of samples"),
    ],
)
def test_nothing_is_broadcast_in_silence(name, prediction, target, advice):
    with pytest.raises(ShapeError) as error:
        make("loss", name)(placeholder("p", prediction), placeholder("y", target))
    assert str(error.value) == (
        f"loss '{name}': predictions of shape {prediction} do not fit targets of shape {target}, "
        f"which must be the same; {advice}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_predictions_must_be_floats(name):
    with pytest.raises(DtypeError) as error:
        make("loss", name)(placeholder("p", (8,), "uint8"), placeholder("y", (8,)))
    assert str(error.value) == f"loss '{name}': predictions must be floats, not uint8"


def test_delta_is_above_zero():
    with pytest.raises(ConfigError) as error:
        registry.get("loss", "huber")(delta=0.0)
    assert str(error.value) == "loss 'huber': delta: Input should be greater than 0, got 0.0"


def test_cosine_embedding_is_the_mean_over_vectors():
    cosines = (P * Y).sum(1) / np.linalg.norm(P, axis=1) / np.linalg.norm(Y, axis=1)
    made = make("loss", "cosine_embedding")
    assert made(tensor(P), tensor(Y)).item() == pytest.approx(1 - cosines.mean())
    assert made(tensor(3 * P), tensor(P)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "name", ["squared_error", "mse", "mae", "huber", "smooth_l1", "cosine_embedding"]
)
def test_what_a_regression_is_measured_by(name):
    made = make("loss", name)
    assert made.task == "regression"
    assert [registry.get("metric", metric).type_name for metric in made.metrics] == [*made.metrics]
    prediction = tensor(P)
    assert made.output(prediction) is prediction
