"""The layer: its checks, its values by hand, its config."""

from __future__ import annotations

import minidl as md
import numpy as np
import pytest
from minidl.errors import ConfigError
from minidl.testing import check_layer

from minidl_kan.layers import KAN


def b_spline(u, i, degree):
    """Cox–de Boor, one number at a time."""
    if degree == 0:
        return 1.0 if i <= u < i + 1 else 0.0
    left = (u - i) * b_spline(u, i, degree - 1)
    right = (i + degree + 1 - u) * b_spline(u, i + 1, degree - 1)
    return (left + right) / degree


def silu(t):
    return t / (1 + np.exp(-t))


def random_weights(layer, seed=0):
    draw = np.random.default_rng(seed)
    return {p.path: md.tensor(draw.normal(size=p.spec.shape)) for p in layer.all_parameters()}


@pytest.mark.parametrize("sample", KAN.samples, ids=lambda s: s.attributes.get("base", "silu"))
def test_the_layer_passes_the_checks_that_built_ins_pass(sample):
    check_layer(KAN(**sample.attributes), *sample.inputs)


def test_the_output_is_the_sum_of_edge_functions():
    layer = KAN(units=2, grid_size=4, degree=2, grid_range=(-1.0, 1.0))
    layer.setup(md.Spec((3, 2), "float64"))
    weights = random_weights(layer)
    x = np.array([[-0.9, 0.1], [0.4, 0.95], [3.0, -0.2]])
    found = layer(md.tensor(x), context=md.Context(weights)).numpy()
    w, c = weights["base_weight"].numpy(), weights["spline_weight"].numpy()
    expected = np.zeros((3, 2))
    for n, j, i in np.ndindex(3, 2, 2):
        u = (x[n, i] + 1.0) / 0.5 + 2
        spline = sum(c[j, i, m] * b_spline(u, m, 2) for m in range(6))
        expected[n, j] += w[j, i] * silu(x[n, i]) + spline
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_its_parameters_are_these():
    layer = KAN(units=7, grid_size=5, degree=3)
    assert layer.setup(md.Spec((2, 4))).shape == (2, 7)
    shapes = {p.name: (p.symbol, p.spec.shape) for p in layer.parameters}
    assert shapes == {"base_weight": ("W", (7, 4)), "spline_weight": ("C", (7, 4, 8))}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"units": 2, "grid_range": (1.0, 1.0)},
            "layer 'kan': grid_range must rise; it goes from 1.0 to 1.0",
        ),
        (
            {"units": 0},
            "layer 'kan': units: Input should be greater than or equal to 1, got 0",
        ),
        (
            {"units": 2, "degree": 0},
            "layer 'kan': degree: Input should be greater than or equal to 1, got 0",
        ),
        (
            {"units": 2, "base": "gelu"},
            "layer 'kan': base: Input should be 'silu', 'tanh' or 'linear', got 'gelu'",
        ),
    ],
)
def test_wrong_fields_are_refused(fields, message):
    with pytest.raises(ConfigError) as error:
        KAN(**fields)
    assert str(error.value) == message
