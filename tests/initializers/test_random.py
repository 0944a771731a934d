"""Initialisers that draw: what they draw from, and that the same key draws the same."""

import math

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, ShapeError
from minidl.initializers.scaled import fans, gain_of

SHAPE = (300, 200)
COUNT = 300 * 200


def draw(init, shape=SHAPE, seed=0, dtype="float32"):
    key = registry.get("op", "random_key")(seed, 7, 0)
    return make("initializer", init)(key, shape, dtype).numpy()


UNIFORM = [
    ({"type": "uniform", "low": -2.0, "high": 4.0}, -2.0, 4.0),
    ("glorot_uniform", -math.sqrt(6 / 500), math.sqrt(6 / 500)),
    ({"type": "glorot_uniform", "gain": 2.0}, -2 * math.sqrt(6 / 500), 2 * math.sqrt(6 / 500)),
    ("kaiming_uniform", -math.sqrt(6 / 200), math.sqrt(6 / 200)),
    ({"type": "kaiming_uniform", "mode": "fan_out"}, -math.sqrt(6 / 300), math.sqrt(6 / 300)),
    (
        {"type": "kaiming_uniform", "nonlinearity": "leaky_relu", "negative_slope": math.sqrt(5)},
        -1 / math.sqrt(200),
        1 / math.sqrt(200),
    ),
]
NORMAL = [
    ({"type": "normal", "mean": 3.0, "std": 0.5}, 3.0, 0.5),
    ("glorot_normal", 0.0, math.sqrt(2 / 500)),
    ("kaiming_normal", 0.0, math.sqrt(2 / 200)),
    ({"type": "kaiming_normal", "nonlinearity": "tanh"}, 0.0, 5 / 3 / math.sqrt(200)),
]


@pytest.mark.parametrize(("init", "low", "high"), UNIFORM)
def test_uniform_draws_fill_their_interval(init, low, high):
    values = draw(init)
    width = high - low
    assert low <= values.min() < low + 1e-3 * width
    assert high - 1e-3 * width < values.max() <= high
    five_errors = 5 * width / math.sqrt(12 * COUNT)
    assert abs(values.mean() - (low + high) / 2) < five_errors
    assert values.std() == pytest.approx(width / math.sqrt(12), rel=0.01)


@pytest.mark.parametrize(("init", "mean", "std"), NORMAL)
def test_normal_draws_have_their_mean_and_deviation(init, mean, std):
    values = draw(init)
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(COUNT)
    assert values.std() == pytest.approx(std, rel=5 / math.sqrt(2 * COUNT))
    beyond = (abs(values - mean) > 2 * std).mean()
    assert beyond == pytest.approx(0.0455, abs=0.005)


@pytest.mark.parametrize(
    "init", [*(row[0] for row in UNIFORM + NORMAL), "truncated_normal", "orthogonal"]
)
def test_the_same_key_draws_the_same_bits(init):
    np.testing.assert_array_equal(draw(init), draw(init))
    assert not np.array_equal(draw(init), draw(init, seed=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_are_of_the_dtype_asked_for(dtype):
    assert draw("glorot_uniform", (2, 3), dtype=dtype).dtype == dtype
    assert draw("kaiming_normal", (2, 3), dtype=dtype).dtype == dtype


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 3), (3, 5)), ((8, 4, 3, 3), (36, 72)), ((2, 0), (0, 2))]
)
def test_fans_are_of_out_in_and_the_kernel(shape, expected):
    assert fans(shape) == expected


def test_a_weight_without_elements_can_be_made():
    assert draw("kaiming_uniform", (3, 0)).shape == (3, 0)
    assert draw("glorot_normal", (0, 0)).shape == (0, 0)


@pytest.mark.parametrize(
    "name", ["glorot_uniform", "glorot_normal", "kaiming_uniform", "orthogonal"]
)
def test_a_vector_has_no_fans(name):
    with pytest.raises(ShapeError) as error:
        make("initializer", name).check_shape((4,))
    assert str(error.value) == (
        "a weight of shape (out, in, ...) is needed, not (4,); "
        "choose another initialiser, such as 'zeros' or 'uniform'"
    )


@pytest.mark.parametrize(
    ("fields", "low", "high", "mean", "std"),
    [
        # of the standard normal distribution within two deviations, the deviation is 0.8796
        ({}, -0.1, 0.1, 0.0, 0.05 * 0.87963),
        ({"mean": 3.0, "std": 2.0}, -1.0, 7.0, 3.0, 2 * 0.87963),
        # above 0 it has mean √(2/π) and variance 1 − 2/π
        ({"std": 1.0, "low": 0.0, "high": 50.0}, 0.0, 50.0, 0.79788, 0.60281),
        ({"std": 1.0, "low": -50.0, "high": 0.0}, -50.0, 0.0, -0.79788, 0.60281),
        # beyond 9 it falls about as e^(−9 x) does
        ({"std": 1.0, "low": 9.0, "high": 40.0}, 9.0, 40.0, 9.10852, 0.10731),
    ],
)
def test_truncated_normal_draws_stay_inside_and_are_normal_there(fields, low, high, mean, std):
    values = draw({"type": "truncated_normal", **fields}, dtype="float64")
    assert low <= values.min()
    assert values.max() <= high
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(COUNT)
    assert values.std() == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize("shape", [(20, 20), (20, 8), (8, 20), (1, 5), (6, 2, 3, 3), (30, 2, 3)])
def test_orthogonal_draws_keep_lengths(shape):
    values = draw({"type": "orthogonal", "gain": 2.0}, shape, dtype="float64")
    assert values.shape == shape
    matrix = values.reshape(shape[0], -1) / 2
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_draws_favour_no_direction():
    corners = np.array([draw("orthogonal", (3, 3), seed=seed) for seed in range(300)])
    np.testing.assert_allclose(corners.mean(0), 0, atol=5 / math.sqrt(3 * 300))
    np.testing.assert_allclose((corners**2).mean(0), 1 / 3, atol=0.1)


def test_gains_are_those_of_the_papers():
    assert gain_of("linear") == gain_of("sigmoid") == 1
    assert gain_of("tanh") == 5 / 3
    assert gain_of("relu") == gain_of("leaky_relu") == math.sqrt(2)
    assert gain_of("leaky_relu", 1.0) == 1
    assert gain_of("selu") == 0.75


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("uniform", {"low": 1.0, "high": 0.0}, "low (1.0) is above high (0.0)"),
        (
            "kaiming_normal",
            {"negative_slope": 0.1},
            "negative_slope has a meaning for leaky_relu alone, not for relu",
        ),
        (
            "normal",
            {"std": -1.0},
            "std: Input should be greater than or equal to 0, got -1.0",
        ),
        (
            "truncated_normal",
            {"low": 1.0, "high": 0.5},
            "low (1.0) is not below high (0.5)",
        ),
        (
            "truncated_normal",
            {"low": 5.0, "high": 6.0},
            "low (5.0) and high (6.0) are both more than 35 standard deviations from the mean, "
            "where nothing of the distribution is left",
        ),
    ],
)
def test_fields_that_make_no_sense_are_refused(name, fields, message):
    with pytest.raises(ConfigError) as error:
        registry.get("initializer", name)(**fields)
    assert str(error.value) == f"initializer '{name}': {message}"
    with pytest.raises(ValueError):
        make("initializer", {"type": name, **fields})
