"""Lists of layers: chains, graphs, repeats, names, and configs that make no network."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make, to_config
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import Spec, grad, placeholder, tensor
from minidl.layers import Context
from minidl.testing import check_layer

X = Spec((4, 6))


def network(*layers, spec=X, **fields):
    """Return a list of layers that is set up as the trainer does it."""
    root = make("layer", {"type": "sequential", "layers": list(layers), **fields})
    root.setup(spec, place="model")
    return root


def paths(root):
    return [parameter.path for parameter in root.all_parameters()]


def refusal(*layers, error=ConfigError, **fields):
    with pytest.raises(error) as caught:
        network(*layers, **fields)
    return str(caught.value)


def linear(units, **fields):
    return {"type": "linear", "units": units, **fields}


def run(root, x, seed=0):
    """Return the output for ``x`` and the values the parameters were given."""
    rng = np.random.default_rng(seed)
    values = {
        p.path: rng.normal(size=p.spec.shape).astype(p.spec.dtype) for p in root.all_parameters()
    }
    tensors = {path: tensor(value) for path, value in values.items()}
    return root(tensor(x), context=Context(tensors)).numpy(), values


def test_a_chain_applies_one_layer_after_another():
    root = network(linear(3), "tanh", linear(2))
    x = np.ones((4, 6), "float32")
    z, v = run(root, x)
    hidden = np.tanh(x @ v["linear_0.weight"].T + v["linear_0.bias"])
    np.testing.assert_allclose(
        z, hidden @ v["linear_2.weight"].T + v["linear_2.bias"], rtol=1e-5, atol=1e-6
    )
    assert root.output_spec == Spec((4, 2))
    assert paths(root) == ["linear_0.weight", "linear_0.bias", "linear_2.weight", "linear_2.bias"]


def test_inputs_make_the_list_a_graph():
    root = network(
        linear(5, name="left"),
        linear(5, name="right", inputs=["input"]),
        {"type": "sigmoid", "name": "gate"},
        {"type": "add", "inputs": ["left", "gate"]},
        {"type": "concat", "name": "all", "inputs": ["add_3", "right", "input"]},
    )
    x = np.random.default_rng(1).normal(size=(4, 6)).astype("float32")
    z, v = run(root, x)
    left = x @ v["left.weight"].T + v["left.bias"]
    right = x @ v["right.weight"].T + v["right.bias"]
    expected = np.concatenate([left + 1 / (1 + np.exp(-right)), right, x], axis=1)
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)


def test_every_output_is_kept_by_its_path():
    root = network(linear(3, name="f"), {"type": "sequential", "name": "g", "layers": ["tanh"]})
    context = Context({p.path: placeholder(p.path, *p.spec) for p in root.all_parameters()})
    root(placeholder("x", *X), context=context)
    assert list(context.outputs) == ["f", "g.tanh_0", "g", ""]
    assert context.outputs["g"] is context.outputs["g.tanh_0"]


def test_repeat_gives_each_layer_parameters_of_its_own():
    root = network(linear(6, repeat=3), "relu", linear(2, name="out", repeat=1))
    weights = [path for path in paths(root) if path.endswith("weight")]
    assert weights == [
        "linear_0_0.weight",
        "linear_0_1.weight",
        "linear_0_2.weight",
        "out.weight",
    ]
    x = np.ones((4, 6), "float32")
    z, v = run(root, x)
    for name in ("linear_0_0", "linear_0_1", "linear_0_2"):
        x = x @ v[f"{name}.weight"].T + v[f"{name}.bias"]
    expected = np.maximum(x, 0) @ v["out.weight"].T + v["out.bias"]
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)


def test_repeat_of_a_block_repeats_what_it_holds():
    block = {
        "type": "sequential",
        "name": "block",
        "repeat": 2,
        "layers": [linear(6, repeat=2), {"type": "add", "inputs": ["linear_0", "input"]}],
    }
    root = network(block, {"type": "add", "inputs": ["block", "block_0"]})
    weights = [path for path in paths(root) if path.endswith("weight")]
    assert weights == [f"block_{i}.linear_0_{j}.weight" for i in range(2) for j in range(2)]
    x = np.ones((4, 6), "float32")
    z, v = run(root, x)
    outputs = []
    for block in ("block_0", "block_1"):
        hidden = x
        for name in (f"{block}.linear_0_0", f"{block}.linear_0_1"):
            hidden = hidden @ v[f"{name}.weight"].T + v[f"{name}.bias"]
        x = x + hidden
        outputs.append(x)
    np.testing.assert_allclose(z, outputs[0] + outputs[1], rtol=1e-4, atol=1e-4)


def test_repeat_hands_further_inputs_to_all():
    root = network(
        linear(6, name="a"),
        linear(6, name="b"),
        {"type": "add", "name": "c", "inputs": ["a", "b", "input"], "repeat": 3},
    )
    x = np.ones((4, 6), "float32")
    z, v = run(root, x)
    a = x @ v["a.weight"].T + v["a.bias"]
    b = a @ v["b.weight"].T + v["b.bias"]
    np.testing.assert_allclose(z, a + 3 * (b + x), rtol=1e-4, atol=1e-4)


def test_repeat_leaves_the_config_as_it_was():
    config = {"type": "sequential", "layers": [linear(6, repeat=3)]}
    root = make("layer", config)
    before = to_config(root)
    root.setup(X)
    assert to_config(root) == before
    assert before["layers"][0]["repeat"] == 3


def test_setting_up_again_starts_anew():
    root = network(linear(3, repeat=2), spec=Spec((4, 3)))
    first = paths(root)
    root.setup(Spec((9, 3)))
    assert paths(root) == first
    assert root.output_spec == Spec((9, 3))


def test_a_copy_shares_no_layers():
    root = network(linear(3))
    other = root.copy()
    assert to_config(other) == to_config(root)
    assert other.layers[0] is not root.layers[0]


def test_the_gradient_flows_through_every_way():
    root = network(linear(6, name="f"), "tanh", {"type": "add", "inputs": ["tanh_1", "f", "input"]})
    values = {p.path: placeholder(p.path, *p.spec) for p in root.all_parameters()}
    x = placeholder("x", *X)
    loss = root(x, context=Context(values)).sum()
    gradients = grad(loss, {**values, "x": x})
    assert {name: g.shape for name, g in gradients.items()} == {
        "f.weight": (6, 6),
        "f.bias": (6,),
        "x": (4, 6),
    }


def test_a_network_with_branches_and_repeats_passes_the_check():
    check_layer(
        make(
            "layer",
            {
                "type": "sequential",
                "layers": [
                    linear(3, name="stem"),
                    {
                        "type": "sequential",
                        "repeat": 2,
                        "layers": [
                            linear(3),
                            "tanh",
                            {"type": "add", "inputs": ["tanh_1", "input"]},
                        ],
                    },
                    {"type": "concat", "inputs": ["stem", "sequential_1"]},
                    {"type": "dropout", "p": 0.2},
                    linear(2),
                ],
            },
        ),
        (3, 4),
    )


# -- configs that make no network ----------------------------------------------------------------


def test_a_shape_error_names_the_layer_its_place_and_the_shapes():
    message = refusal(
        linear(3, name="a"),
        linear(5, name="b", inputs=["input"]),
        {"type": "add", "inputs": ["a", "b"]},
        error=ShapeError,
    )
    assert message == (
        "layer 'add_2' (add, model.layers[2]): input 1 of shape (4, 3) and input 2 of shape "
        "(4, 5) differ on axis 1: 3 and 5 (its inputs are float32[4, 3], float32[4, 5])"
    )


def test_an_error_deep_inside_is_located_once():
    inner = {"type": "sequential", "name": "inner", "layers": ["relu", "flatten", "flatten"]}
    block = {"type": "sequential", "name": "block", "repeat": 2, "layers": [inner]}
    message = refusal("relu", block, error=ShapeError, spec=Spec((4,)))
    assert message == (
        "layer 'block_0.inner.flatten_1' (flatten, model.layers[1].layers[0].layers[1]): "
        "axis 1 is out of range for a value with 1 axes (its input is float32[4])"
    )


def test_a_dtype_error_keeps_its_kind():
    message = refusal("identity", linear(3), error=DtypeError, spec=Spec((4, 6), "uint8"))
    assert message.startswith("layer 'linear_1' (linear, model.layers[1]): it takes floats")


def test_an_unknown_input_names_the_near_miss():
    message = refusal(
        linear(3, name="first"), "relu", {"type": "add", "inputs": ["frist", "relu_1"]}
    )
    assert message == (
        "layer 'add_2' (add, model.layers[2]): unknown input 'frist'; did you mean 'first'? "
        "(before it stand: input, first, relu_1)"
    )


def test_a_layer_cannot_take_what_comes_later_or_itself():
    assert refusal({"type": "relu", "inputs": ["tanh_1"]}, "tanh") == (
        "layer 'relu_0' (relu, model.layers[0]): unknown input 'tanh_1' (before it stand: input)"
    )
    assert refusal({"type": "relu", "name": "r", "inputs": ["r"]}).startswith(
        "layer 'r' (relu, model.layers[0]): unknown input 'r'"
    )


def test_two_layers_of_one_name_are_refused():
    assert refusal("relu", {"type": "tanh", "name": "relu_0"}) == (
        "layer 'relu_0' (tanh, model.layers[1]): the name is taken by model.layers[0]; "
        "choose another"
    )
    assert refusal({"type": "relu", "name": "r_1"}, {"type": "tanh", "name": "r", "repeat": 2}) == (
        "layer 'r_1' (tanh, model.layers[1]): the name is taken by model.layers[0]; choose another"
    )


def test_the_name_of_the_input_is_taken():
    assert refusal({"type": "relu", "name": "input"}) == (
        "layer 'input' (relu, model.layers[0]): the name is taken by the input of the list; "
        "choose another"
    )
    root = network({"type": "relu", "name": "input", "inputs": ["x"]}, input="x")
    assert list(root.children) == ["input"]


@pytest.mark.parametrize("name", ["a.b", "a:b", "a/b", " a"])
def test_names_that_would_break_paths_are_refused(name):
    assert refusal({"type": "relu", "name": name}) == (
        f"layer '{name}' (relu, model.layers[0]): '{name}' is no name for a layer; "
        f"leave out spaces at its ends and . : /"
    )


def test_an_output_that_goes_nowhere_is_refused():
    assert refusal(linear(3), {"type": "tanh", "inputs": ["input"]}) == (
        "layer 'linear_0' (linear, model.layers[0]): nothing takes its output; name it in the "
        "'inputs' of a later layer, or remove it"
    )


def test_an_output_that_goes_nowhere_is_refused_inside_a_block():
    block = {"type": "sequential", "layers": ["relu", {"type": "tanh", "inputs": ["input"]}]}
    assert refusal(block) == (
        "layer 'sequential_0.relu_0' (relu, model.layers[0].layers[0]): nothing takes its "
        "output; name it in the 'inputs' of a later layer, or remove it"
    )


def test_a_wrong_number_of_inputs_names_them():
    assert refusal("relu", linear(2, inputs=["relu_0", "input"])) == (
        "layer 'linear_1' (linear, model.layers[1]): it takes 1 input, but 2 are given "
        "(relu_0, input)"
    )
    assert refusal("relu", "add") == (
        "layer 'add_1' (add, model.layers[1]): it takes 2 or more inputs, but 1 is given"
    )
    assert refusal({"type": "relu", "inputs": []}) == (
        "layer 'relu_0' (relu, model.layers[0]): it takes 1 input, but 0 are given"
    )


def test_a_list_without_layers_is_refused():
    with pytest.raises(ConfigError) as error:
        registry.get("layer", "sequential")(layers=[])
    assert str(error.value) == (
        "layer 'sequential': layers: List should have at least 1 item after validation, not 0, "
        "got []"
    )


def test_one_object_cannot_stand_in_two_places():
    relu, sequential = registry.get("layer", "relu")(), registry.get("layer", "sequential")
    with pytest.raises(ConfigError) as error:
        sequential(layers=[relu, relu]).setup(X, place="model")
    assert str(error.value) == (
        "model.layers[1] is the same object as model.layers[0]; make a layer for each place "
        "(copy() returns another like it)"
    )
    sequential(layers=[relu, relu.copy()]).setup(X, place="model")
