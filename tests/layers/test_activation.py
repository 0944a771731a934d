"""Activations as layers: their fields, learned slopes, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from minidl.component import make
from minidl.errors import ConfigError, ShapeError
from minidl.graph import Spec, grad, tensor
from minidl.layers import Context


def random(*shape):
    return 3 * np.random.default_rng([8, *shape]).normal(size=shape)


def refusal(config, shape):
    with pytest.raises(ShapeError) as caught:
        make("layer", config).setup(Spec(shape), path="a", place="model.layers[1]")
    return str(caught.value)


def test_a_slope_for_each_channel_is_learned():
    made = make("layer", {"type": "prelu", "num_parameters": 3, "init": 0.5})
    made.setup(Spec((2, 3, 4)), path="a")
    (slopes,) = made.parameters
    assert (slopes.path, slopes.spec.shape, slopes.init.value) == ("a.weight", (3,), 0.5)
    x, a = random(2, 3, 4), tensor(np.array([0.1, 0.2, 0.3]))
    z = made(tensor(x), context=Context({"a.weight": a}))
    expected = np.where(x > 0, x, np.array([[0.1], [0.2], [0.3]]) * x)
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-12)
    by_slope = grad(z.sum(), a).numpy()
    np.testing.assert_allclose(by_slope, np.minimum(x, 0).sum((0, 2)), rtol=1e-12)


def test_as_many_slopes_as_channels_or_one():
    assert refusal({"type": "prelu", "num_parameters": 4}, (2, 3, 5)) == (
        "layer 'a' (prelu, model.layers[1]): num_parameters is 4, but an input of shape (2, 3, 5) "
        "has 3 channels, axis 1 (its input is float32[2, 3, 5])"
    )
    assert refusal({"type": "prelu", "num_parameters": 4}, (4,)) == (
        "layer 'a' (prelu, model.layers[1]): num_parameters is 4, but an input of shape (4,) "
        "has no channels, axis 1 (its input is float32[4])"
    )


@pytest.mark.parametrize("name", ["glu", "swiglu"])
def test_an_odd_axis_is_refused(name):
    assert refusal(name, (2, 3)) == (
        f"layer 'a' ({name}, model.layers[1]): {name}: axis 1 of shape (2, 3) has 3 elements, "
        f"which cannot be halved (its input is float32[2, 3])"
    )


def test_a_softplus_of_beta_0_is_refused():
    with pytest.raises(ConfigError) as error:
        make("layer", "softplus").copy(beta=0.0)
    assert str(error.value) == "layer 'softplus': beta must not be 0"
