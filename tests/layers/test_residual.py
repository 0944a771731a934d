"""Residual blocks: what they add, what they are called, and shapes that do not meet."""

import numpy as np
import pytest

from minidl.component import make, to_config
from minidl.config import parse_config
from minidl.errors import ConfigError, ShapeError
from minidl.graph import Spec, grad, tensor
from minidl.layers import Context
from minidl.training import fit

LINEAR = {"type": "linear", "units": 4, "bias": False}


def block(**fields):
    return {"type": "residual", "layers": [LINEAR, {"type": "tanh"}], **fields}


def set_up(config, *specs):
    made = make("layer", config)
    made.setup(*(specs or (Spec((2, 4)),)), path="block", place="model.layers[3]")
    return made


def test_it_adds_what_its_layers_give():
    made = set_up(block())
    x, w = np.random.default_rng(0).normal(size=(2, 2, 4)).copy(), np.eye(4)
    value, weight = tensor(x[0]), tensor(w)
    z = made(value, context=Context({"block.linear_0.weight": weight}))
    np.testing.assert_allclose(z.numpy(), x[0] + np.tanh(x[0]), rtol=1e-12)
    slope = grad(z, value, tensor(x[1])).numpy()
    np.testing.assert_allclose(slope, x[1] * (2 - np.tanh(x[0]) ** 2), rtol=1e-12)


def test_a_shortcut_stands_in_the_place_of_the_input():
    made = set_up(block(shortcut=["tanh", {**LINEAR, "units": 4, "name": "down"}]))
    assert [p.path for p in made.all_parameters()] == [
        "block.linear_0.weight",
        "block.shortcut.down.weight",
    ]
    x = np.random.default_rng(1).normal(size=(2, 4))
    values = {
        "block.linear_0.weight": tensor(np.eye(4)),
        "block.shortcut.down.weight": tensor(3 * np.eye(4)),
    }
    z = made(tensor(x), context=Context(values)).numpy()
    np.testing.assert_allclose(z, 4 * np.tanh(x), rtol=1e-12)


def test_its_layers_may_name_each_other_and_its_input():
    layers = [
        {**LINEAR, "name": "f"},
        {"type": "tanh", "inputs": ["start"]},
        {"type": "add", "inputs": ["f", "tanh_1"]},
    ]
    made = set_up({"type": "residual", "layers": layers, "input": "start"})
    x = np.random.default_rng(2).normal(size=(2, 4))
    z = made(tensor(x), context=Context({"block.f.weight": tensor(np.eye(4))})).numpy()
    np.testing.assert_allclose(z, 2 * x + np.tanh(x), rtol=1e-12)


def test_it_repeats_and_comes_back_from_its_config():
    config = block(shortcut=[LINEAR], repeat=2, name="r")
    made = make("layer", config)
    assert to_config(make("layer", to_config(made))) == to_config(made)
    root = make("layer", {"type": "sequential", "layers": [config]})
    root.setup(Spec((2, 4)))
    assert [p.path for p in root.all_parameters()] == [
        f"r_{i}.{name}.weight" for i in range(2) for name in ("linear_0", "shortcut.linear_0")
    ]


def refusal(config, error=ShapeError):
    with pytest.raises(error) as caught:
        set_up(config)
    return str(caught.value)


def test_another_shape_than_the_inputs_is_refused_naming_both():
    assert refusal({"type": "residual", "layers": [{**LINEAR, "units": 1}]}) == (
        "layer 'block' (residual, model.layers[3]): its layers turn shape (2, 4) into (2, 1), "
        "which cannot be added to it; give it a shortcut that ends in the same shape "
        "(its input is float32[2, 4])"
    )


def test_another_shape_than_the_shortcuts_is_refused_naming_both():
    assert refusal(block(shortcut=[{**LINEAR, "units": 3}])) == (
        "layer 'block' (residual, model.layers[3]): its layers give shape (2, 4) and its shortcut "
        "(2, 3), which cannot be added (its input is float32[2, 4])"
    )


def test_a_fault_in_a_shortcut_is_told_with_its_place():
    wrong = [{"type": "tanh"}, {"type": "softmax", "axis": 5}]
    assert refusal(block(shortcut=wrong)).startswith(
        "layer 'block.shortcut.softmax_1' (softmax, model.layers[3].shortcut[1]): "
    )


def test_a_layer_called_shortcut_is_refused_beside_one():
    layers = [{**LINEAR, "name": "shortcut"}]
    message = refusal({"type": "residual", "layers": layers, "shortcut": [LINEAR]}, ConfigError)
    assert message == (
        "layer 'block' (residual, model.layers[3]): two layers are called 'shortcut'; "
        "give one another name"
    )


NETWORK = """
name = "residual"
device = "cpu"
[data]
dataset = "digits"
batch_size = 100
[model]
layers = [
  { type = "flatten" },
  { type = "linear", units = 32 },
  { type = "residual", repeat = 3, layers = [
    { type = "layer_norm" },
    { type = "linear", units = 32 },
    { type = "gelu" },
  ] },
  { type = "residual", layers = [{ type = "linear", units = 10 }], shortcut = [
    { type = "linear", units = 10, bias = false },
  ] },
]
[loss]
type = "cross_entropy"
[optimizer]
type = "adam"
lr = 5e-3
[training]
epochs = 4
"""


def test_a_network_of_residual_blocks_learns():
    assert fit(parse_config(NETWORK, "residual.toml")).results["test"]["accuracy"] > 0.9


def test_a_fault_in_a_shortcut_is_told_with_its_line():
    wrong = NETWORK.replace("units = 10, bias = false", 'units = 10, bias = "no"')
    with pytest.raises(ConfigError) as error:
        parse_config(wrong, "residual.toml")
    assert str(error.value).startswith("residual.toml:17:")
