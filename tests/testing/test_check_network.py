"""check_network on networks that are right, and on networks with faults planted in them."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops, registry
from minidl.component import make
from minidl.errors import CheckError
from minidl.graph import op, sample
from minidl.layers import Layer, layer
from minidl.testing import check_layer, check_network
from minidl.testing.differences import slope_near


@pytest.fixture(autouse=True)
def registry_as_it_was(monkeypatch):
    for kind in ("op", "layer"):
        registry.names(kind)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def network(*layers):
    return make("layer", {"type": "sequential", "layers": list(layers)})


def linear(units, **options):
    return {"type": "linear", "units": units, **options}


def conv(channels, **options):
    return {"type": "conv2d", "out_channels": channels, "kernel_size": 3, **options}


def images():
    """Return images with large plain areas, where neighbouring maxima are equal."""
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 1, (3, 1, 12, 12)) * (rng.uniform(size=(3, 1, 12, 12)) > 0.7)
    pixels[..., :5] = 0
    return pixels.astype("float32")


CNN = [
    conv(8, padding=1),
    "relu",
    {"type": "max_pool2d", "kernel_size": 2},
    conv(8, padding=1),
    "batch_norm",
    "relu",
    {"type": "max_pool2d", "kernel_size": 2},
    "flatten",
    linear(4),
]


@pytest.mark.parametrize("seed", range(5))
def test_a_network_with_a_kink_next_to_every_point_passes(seed):
    report = check_network(network(*CNN), images(), seed=seed)
    worst = report.by_name()
    check = worst["the gradient by 'conv2d_0.weight'"]
    assert (check.elements, check.total) == (19, 72)
    assert check.error < 1e-6
    assert worst["the gradient by 'conv2d_0.weight' in float32"].error < 1e-4
    assert not any("input0" in name for name in worst)


def test_the_number_of_elements_is_as_asked():
    report = check_network(network(linear(5), "relu", linear(2)), (3, 4), elements=3)
    sizes = [(c.name, c.elements, c.total) for c in report.checks if c.total is not None]
    assert sizes == [
        ("the gradient by 'linear_0.weight'", 3, 20),
        ("the gradient by 'linear_0.bias'", 3, 5),
        ("the gradient by 'linear_2.weight'", 3, 10),
        ("the gradient by 'linear_2.bias'", 2, 2),
    ]


def test_progress_is_told_after_each_parameter():
    told = []
    check_network(
        network(linear(5), linear(2)), (3, 4), progress=lambda *now: told.append(now), elements=1
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_is_tied_and_what_is_read_by_integers_is_compared():
    tied = network(
        {"type": "embedding", "num_embeddings": 50, "embedding_dim": 6, "name": "tokens"},
        {"type": "transformer_block", "num_heads": 2},
        linear(50, bias=False, tie={"weight": "tokens.weight"}),
    )
    report = check_network(tied, np.array([[3, 1, 4, 1, 5]], "uint8"), elements=4)
    assert report.by_name()["the gradient by 'tokens.weight'"].total == 300


# -- faults ----------------------------------------------------------------------------------


@op("slightly_wrong", samples=[sample((2,))])
class slightly_wrong:
    """z = max(x, 0), with a gradient that is 0.1 % too large"""

    def infer(x, /):
        return x

    def forward(xp, x):
        return xp.where(x > 0, x, 0.0)

    def backward(g, z, x):
        return g * ops.where(x > 0.0, 1.001, 0.0)


def wrong_layer(forward):
    declared = type("Wrong", (Layer,), {"forward": forward, "__doc__": "Wrong."})
    layer("test_wrong")(declared)
    return "test_wrong"


def refused(*layers, inputs=None, **options) -> str:
    with pytest.raises(CheckError) as caught:
        check_network(network(*layers), images() if inputs is None else inputs, **options)
    return str(caught.value)


@pytest.mark.parametrize("seed", range(5))
def test_a_rule_wrong_by_a_thousandth_is_refused_among_kinks(seed):
    name = wrong_layer(lambda self, x: slightly_wrong(x))
    message = refused(*CNN[:5], name, *CNN[6:], seed=seed, subject="network 'cnn'")
    start = "network 'cnn' in training: the gradient by 'conv2d_0.weight' is wrong "
    assert message.startswith(start)
    assert "allowed 1e-06)" in message


def test_a_fault_that_single_elements_hide_shows_along_a_direction():
    @op("wrong_in_one_row", samples=[sample((2, 3))])
    class wrong_in_one_row:
        """z = x, with a gradient by the last row that is 0.1 % too large"""

        def infer(x, /):
            return x

        def forward(xp, x):
            return xp.asarray(x, copy=True)

        def backward(g, z, x):
            rows = ops.arange(x.shape[0]) == x.shape[0] - 1
            return g * ops.where(rows, 1.001, 1.0)[:, None]

    class Embed(Layer):
        """A table of 2,000 rows, of which the last is differentiated wrongly."""

        def build(self, x):
            self.parameter("weight", (2000, 3), init="ones")

        def forward(self, x, weight):
            return ops.take(wrong_in_one_row(weight), x, axis=0)

    layer("test_wrong")(Embed)
    indices = np.array([*range(50), 1999], "int64")
    message = refused("test_wrong", inputs=indices, elements=1)
    assert message.startswith(
        "network in training: the gradient by 'test_wrong_0.weight' is wrong along a random "
        "direction: the rule gives "
    )


def test_a_network_that_overflows_is_refused():
    name = wrong_layer(lambda self, x: ops.exp(x * 1e6))
    message = refused(linear(3), name, inputs=np.ones((2, 4), "float32"))
    assert message == "network in training: its output is not finite, so nothing can be compared"


def test_a_parameter_with_a_kink_at_every_point_that_is_tried_is_refused(monkeypatch):
    monkeypatch.setattr("minidl.testing.networks.slope_near", lambda *_: None)
    assert refused(linear(3), inputs=np.ones((2, 4), "float32"), elements=2) == (
        "network in training: the gradient by 'linear_0.weight' cannot be compared: a kink lies "
        "at each of 12 points that were tried; try another seed"
    )


def test_points_at_a_kink_give_way_to_others_and_are_counted(monkeypatch):
    found = slope_near
    calls = []

    def at_a_kink_every_other_time(*arguments):
        calls.append(arguments)
        return None if len(calls) % 2 else found(*arguments)

    monkeypatch.setattr("minidl.testing.networks.slope_near", at_a_kink_every_other_time)
    report = check_network(network(linear(3, bias=False)), (4, 5), elements=3)
    check = report.by_name()["the gradient by 'linear_0.weight'"]
    assert (check.elements, check.kinks) == (3, 4)


# -- float32 ---------------------------------------------------------------------------------

WIDE = {"type": "normal", "std": 20.0}
ILL_CONDITIONED = {
    "saturated sigmoids": [linear(8, init=WIDE), "sigmoid", linear(8, init=WIDE), "sigmoid"],
    "saturated softmax": [linear(8, init=WIDE), "softmax", linear(8, init=WIDE), "softmax"],
    "biases that batch_norm cancels": [linear(8), "batch_norm", linear(8), "batch_norm"],
    "chaos": [linear(16, init={"type": "normal", "std": 2.0}), "tanh"] * 8,
}


@pytest.mark.parametrize("check", [check_layer, check_network])
@pytest.mark.parametrize("name", ILL_CONDITIONED)
def test_rounding_of_an_ill_conditioned_network_is_no_fault(name, check):
    for seed in range(3):
        check(network(*ILL_CONDITIONED[name], linear(2)), (5, 6), seed=seed)


@pytest.mark.parametrize("check", [check_layer, check_network])
def test_a_kernel_that_is_wrong_in_float32_alone_is_refused(check):
    @op("wrong_in_float32", samples=[sample((2,))])
    class wrong_in_float32:
        """z = x, 0.1 % too large in float32"""

        def infer(x, /):
            return x

        def forward(xp, x):
            return x * (1.001 if x.dtype == xp.float32 else 1.0)

        def backward(g, z, x):
            return g

    name = wrong_layer(lambda self, x: wrong_in_float32(x))
    with pytest.raises(CheckError) as caught:
        check(network(linear(3), name, "tanh"), (4, 3))
    assert " in float32 is wrong at [" in str(caught.value)


# -- slopes ----------------------------------------------------------------------------------


def slope(function, expected, slack=1e-7):
    found = slope_near(lambda t: np.array([function(t)]), expected, slack, np.sum)
    return None if found is None else found[0]


@pytest.mark.parametrize("kink", [1e-9, 1e-7, 3e-6, 1e-4, -2e-6])
@pytest.mark.parametrize("jump", [1e-4, 1.0])
def test_a_kink_near_by_neither_refutes_a_right_slope_nor_confirms_a_wrong_one(kink, jump):
    def bent(t):
        return 3.0 * t + jump * max(t - kink, 0.0)

    right = 3.0 if kink > 0 else 3.0 + jump
    found = slope(bent, right)
    assert found is None or abs(found - right) < 1e-6
    wrong = slope(bent, right * 1.001)
    assert wrong is None or abs(wrong - right) < 2e-4


def test_a_smooth_function_refutes_a_slope_off_by_a_millionth():
    assert slope(np.sin, 1.0) == pytest.approx(1.0, abs=1e-10)
    assert slope(np.sin, 1.000001) == pytest.approx(1.0, abs=1e-8)


def test_a_kink_at_the_point_itself_hides_the_slope():
    assert slope(abs, 1.0) is None
    assert slope(lambda t: max(t, 0.0), 0.0) is None
