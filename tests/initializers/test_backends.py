"""A model begins with the same bits on every backend."""

import numpy as np
import pytest

from minidl import registry
from minidl.backends import use_backend
from minidl.training import Model

FIELDS = {"values": {"values": [[0.5, -1.0], [2.0, 0.25], [1.0, 0.0]]}, "constant": {"value": 0.3}}


def first_weights(init, where):
    config = {
        "name": "first",
        "seed": 5,
        "backend": where,
        "data": {"dataset": "inline", "inputs": [[1.0, 2.0]], "targets": [[1.0, 2.0, 3.0]]},
        "model": {"layers": [{"type": "linear", "units": 3, "init": init}]},
        "loss": {"type": "mse"},
        "optimizer": {"type": "sgd"},
    }
    model = Model.from_config(config)
    assert model.backend.name == where
    with use_backend(model.backend):
        return model.weights()["linear_0.weight"]


@pytest.mark.parametrize("where", ["array_api_strict", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", sorted(registry.names("initializer")))
def test_first_weights_are_the_same_bits(name, where):
    init = {"type": name, **FIELDS.get(name, {})}
    host, other = first_weights(init, "numpy"), first_weights(init, where)
    assert other.dtype == np.float32
    np.testing.assert_array_equal(other, host)
