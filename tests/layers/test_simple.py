"""Layers one by one: what they compute, their gradients, and inputs that do not fit."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, DtypeError, ShapeError
from minidl.graph import Spec, tensor
from minidl.layers import Context
from minidl.testing import check_layer

FROM_MINIDL = [
    entry.value
    for entry in registry.entries("layer")
    if entry.value.__module__.startswith("minidl.")
]


def apply(layer, *inputs, values=None, training=False, step=0):
    """Return the output of a layer of config ``layer`` for arrays, with the parameters given."""
    made = make("layer", layer)
    given = [_single(x) for x in inputs]
    spec = made.setup(*(x.spec for x in given), path="it", place="model.layers[0]")
    known = {f"it.{name}": _single(value) for name, value in (values or {}).items()}
    output = made(*given, context=Context(known, training=training, seed=5, step=step))
    assert output.spec == spec
    return output.numpy()


def _single(array):
    return tensor(array, dtype="float32" if array.dtype.kind == "f" else None)


def refusal(layer, *specs, error=ShapeError):
    """Return the message with which a layer refuses inputs of these specs."""
    with pytest.raises(error) as caught:
        make("layer", layer).setup(*(Spec(*s) for s in specs), path="it", place="model.layers[0]")
    return str(caught.value)


@pytest.mark.parametrize(
    ("cls", "sample"),
    [(cls, sample) for cls in FROM_MINIDL for sample in cls.samples],
    ids=lambda value: getattr(value, "type_name", ""),
)
def test_every_sample_passes_the_check(cls, sample):
    check_layer(make("layer", {"type": cls.type_name, **sample.attributes}), *sample.inputs)


@pytest.mark.parametrize("cls", FROM_MINIDL, ids=lambda cls: cls.type_name)
def test_every_layer_has_samples_and_says_what_it_is(cls):
    assert cls.samples
    assert cls.__doc__


def test_linear_is_x_times_the_transposed_weight():
    x, w, b = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0], [2, 1], [0, -1]]), np.ones(3)
    layer = {"type": "linear", "units": 3}
    values = {"weight": w, "bias": b}
    np.testing.assert_array_equal(apply(layer, x, values=values), x @ w.T + b)
    layer["bias"] = False
    np.testing.assert_array_equal(apply(layer, x, values={"weight": w}), x @ w.T)


def test_linear_keeps_the_axes_before_the_last():
    x, w = np.random.default_rng(0).normal(size=(2, 3, 4, 5)), np.ones((6, 5))
    layer = {"type": "linear", "units": 6, "bias": False}
    np.testing.assert_allclose(apply(layer, x, values={"weight": w}), x @ w.T, rtol=1e-5)


def test_the_parameters_of_linear():
    layer = make("layer", {"type": "linear", "units": 3, "bias_init": "ones"})
    assert layer.setup(Spec((8, 5)), path="a") == Spec((8, 3))
    weight, bias = layer.parameters
    assert (weight.path, weight.spec, weight.symbol) == ("a.weight", Spec((3, 5)), "W")
    assert (bias.path, bias.spec, bias.symbol) == ("a.bias", Spec((3,)), "b")
    assert weight.init.type_name == "glorot_uniform"
    assert bias.init.type_name == "ones"


def test_linear_refuses_what_is_no_batch_of_vectors():
    assert refusal({"type": "linear", "units": 3}, ((8,),)) == (
        "layer 'it' (linear, model.layers[0]): it takes a batch of vectors, of shape "
        "(batch, ..., features), not (8,); put { type = 'reshape', shape = [1] } before it if "
        "each sample is one number (its input is float32[8])"
    )


def test_linear_refuses_integers_with_advice():
    message = refusal({"type": "linear", "units": 3}, ((8, 784), "uint8"), error=DtypeError)
    assert message == (
        "layer 'it' (linear, model.layers[0]): it takes floats, not uint8; convert and scale the "
        "data first (x.astype('float32') / 255 for images), or put an 'embedding' before it if "
        "these are indices (its input is uint8[8, 784])"
    )


def test_a_weight_written_out_must_have_the_parameters_shape():
    init = {"type": "values", "values": [[1, 2, 3], [4, 5, 6]]}
    assert refusal({"type": "linear", "units": 2, "init": init}, ((1, 2),)) == (
        "layer 'it' (linear, model.layers[0]): parameter 'weight': the values given have shape "
        "(2, 3), the parameter (2, 2) (its input is float32[1, 2])"
    )


def test_flatten_joins_from_an_axis_on():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(apply("flatten", x), x.reshape(2, 12))
    np.testing.assert_array_equal(
        apply({"type": "flatten", "start_axis": 2}, x), x.reshape(2, 3, 4)
    )
    assert apply("flatten", np.zeros((0, 3, 4))).shape == (0, 12)


def test_flatten_refuses_an_axis_that_is_not_there():
    assert refusal("flatten", ((8,),)) == (
        "layer 'it' (flatten, model.layers[0]): axis 1 is out of range for a value with 1 axes "
        "(its input is float32[8])"
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([3, 4], (2, 3, 4)), ([-1, 2], (2, 6, 2)), ([12], (2, 12)), ([1, 12, 1], (2, 1, 12, 1))],
)
def test_reshape_leaves_the_batch_alone(shape, expected):
    x = np.arange(24.0).reshape(2, 12)
    np.testing.assert_array_equal(
        apply({"type": "reshape", "shape": shape}, x), x.reshape(expected)
    )


def test_reshape_of_an_empty_batch_knows_the_free_length():
    assert apply({"type": "reshape", "shape": [3, -1]}, np.zeros((0, 12))).shape == (0, 3, 4)


def test_reshape_to_nothing_makes_each_sample_a_number():
    assert apply({"type": "reshape", "shape": []}, np.zeros((4, 1))).shape == (4,)


@pytest.mark.parametrize("shape", [(3, 5), (5, -1)])
def test_reshape_refuses_another_number_of_elements(shape):
    assert refusal({"type": "reshape", "shape": list(shape)}, ((2, 3, 4),)) == (
        f"layer 'it' (reshape, model.layers[0]): a sample of shape (3, 4) has 12 elements and "
        f"cannot become {shape} (its input is float32[2, 3, 4])"
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((-1, -1), "shape: one length may be -1, not several, got [-1, -1]"),
        ((2, -3), "shape: a length is at least 0, or -1, got -3"),
    ],
)
def test_reshape_refuses_lengths_without_meaning(shape, message):
    with pytest.raises(ConfigError) as error:
        registry.get("layer", "reshape")(shape=shape)
    assert str(error.value) == f"layer 'reshape': {message}"


@pytest.mark.parametrize("axes", [(3, 1, 2), (-1, -3, -2)])
def test_permute_orders_the_axes_of_each_sample(axes):
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    z = apply({"type": "permute", "axes": list(axes)}, x)
    np.testing.assert_array_equal(z, x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("axes", [[1, 1], [0, 1], [0, 2, 1], [1], [2, 1, -1]])
def test_permute_refuses_axes_that_are_not_all_but_the_batch(axes):
    assert refusal({"type": "permute", "axes": axes}, ((2, 3, 4),)) == (
        f"layer 'it' (permute, model.layers[0]): axes are those behind the batch, 1 to 2, each "
        f"once, not {axes} (its input is float32[2, 3, 4])"
    )


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"stop": 2}, np.s_[:, :2]),
        ({"start": -3, "stop": -1}, np.s_[:, -3:-1]),
        ({"start": 1, "axis": -1}, np.s_[..., 1:]),
        ({"start": 2, "stop": 3, "axis": 2}, np.s_[:, :, 2:3]),
        ({}, np.s_[:]),
    ],
)
def test_slice_takes_a_part_of_each_sample(fields, part):
    x = np.arange(60.0).reshape(3, 4, 5)
    np.testing.assert_array_equal(apply({"type": "slice", **fields}, x), x[part])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"axis": 0}, "axis 0 is the batch; take parts along another axis"),
        ({"start": 3, "stop": 3}, "the part 3:3 does not lie within axis 1 of length 4"),
        ({"stop": 5}, "the part 0:5 does not lie within axis 1 of length 4"),
        ({"start": -6, "axis": -1}, "the part -6: does not lie within axis 2 of length 5"),
        ({"axis": 3}, "axis 3 is out of range for a value with 3 axes"),
    ],
)
def test_slice_refuses_what_is_not_there(fields, message):
    assert refusal({"type": "slice", **fields}, ((3, 4, 5),)) == (
        f"layer 'it' (slice, model.layers[0]): {message} (its input is float32[3, 4, 5])"
    )


X = np.array([[-1.0, 0.0, 2.0], [0.5, -3.0, 1.0]])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("identity", X),
        ("relu", np.maximum(X, 0)),
        ("sigmoid", 1 / (1 + np.exp(-X))),
        ("tanh", np.tanh(X)),
        ("softmax", np.exp(X) / np.exp(X).sum(1, keepdims=True)),
        ({"type": "softmax", "axis": 1}, np.exp(X) / np.exp(X).sum(1, keepdims=True)),
        ("log_softmax", X - np.log(np.exp(X).sum(1, keepdims=True))),
    ],
)
def test_activations(layer, expected):
    np.testing.assert_allclose(apply(layer, X), expected, rtol=1e-6)


def test_an_activation_refuses_an_axis_that_is_not_there():
    message = refusal({"type": "softmax", "axis": 2}, ((4, 3),))
    assert message.startswith("layer 'it' (softmax, model.layers[0]): ")
    assert "axis 2 is out of range for a value with 2 axes (its input is float32[4, 3])" in message


def test_dropout_does_nothing_outside_training():
    x = np.ones((50, 50), "float32")
    np.testing.assert_array_equal(apply("dropout", x), x)
    np.testing.assert_array_equal(apply({"type": "dropout", "p": 0}, x, training=True), x)


def test_dropout_drops_a_share_and_keeps_the_mean():
    x = np.ones((200, 200), "float32")
    z = apply({"type": "dropout", "p": 0.2}, x, training=True)
    assert set(np.unique(z).tolist()) == {0.0, 1.25}
    assert (z == 0).mean() == pytest.approx(0.2, abs=0.01)


def test_dropout_is_a_function_of_the_step():
    x = np.ones((20, 20), "float32")
    first, again, other = (apply("dropout", x, training=True, step=step) for step in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_two_dropouts_drop_apart():
    layers = {"type": "sequential", "layers": [{"type": "dropout", "p": 0.5, "repeat": 2}]}
    z = apply(layers, np.ones((100, 100), "float32"), training=True)
    assert (z == 4).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("p", "limit"), [(1.0, "less than 1"), (-0.1, "greater than or equal to 0")]
)
def test_dropout_refuses_what_is_no_share(p, limit):
    with pytest.raises(ConfigError) as error:
        registry.get("layer", "dropout")(p=p)
    assert str(error.value) == f"layer 'dropout': p: Input should be {limit}, got {p}"


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_embedding_looks_rows_up(dtype):
    table = np.arange(8.0).reshape(4, 2)
    x = np.array([[0, 3, 3], [1, 2, 0]], dtype)
    layer = {"type": "embedding", "num_embeddings": 4, "embedding_dim": 2}
    np.testing.assert_array_equal(apply(layer, x, values={"weight": table}), table[x])


def test_embedding_refuses_floats():
    layer = {"type": "embedding", "num_embeddings": 4, "embedding_dim": 2}
    assert refusal(layer, ((8, 3),), error=DtypeError) == (
        "layer 'it' (embedding, model.layers[0]): it takes integer indices, not float32 "
        "(its input is float32[8, 3])"
    )


def test_add_sums_all_inputs():
    np.testing.assert_array_equal(apply("add", X, 2 * X, 3 * X), 6 * X)


def test_add_broadcasts_nothing():
    assert refusal("add", ((8, 3),), ((8, 1),)) == (
        "layer 'it' (add, model.layers[0]): input 1 of shape (8, 3) and input 2 of shape (8, 1) "
        "differ on axis 1: 3 and 1 (its inputs are float32[8, 3], float32[8, 1])"
    )
    assert refusal("add", ((8, 3),), ((8, 3),), ((3,),)) == (
        "layer 'it' (add, model.layers[0]): input 1 of shape (8, 3) has 2 axes and input 3 of "
        "shape (3,) has 1 (its inputs are float32[8, 3], float32[8, 3], float32[3])"
    )


def test_multiply_repeats_axes_of_length_1_but_the_batch():
    x, gate = np.arange(24.0).reshape(2, 3, 4), np.array([[[1.0], [2], [0]]] * 2)
    np.testing.assert_array_equal(apply("multiply", x, gate, x), x * gate * x)
    assert refusal("multiply", ((8, 3, 4),), ((1, 3, 4),)) == (
        "layer 'it' (multiply, model.layers[0]): input 1 of shape (8, 3, 4) and input 2 of shape "
        "(1, 3, 4) differ on axis 0: 8 and 1 (its inputs are float32[8, 3, 4], float32[1, 3, 4])"
    )
    assert refusal("multiply", ((8, 3),), ((8, 2),)) == (
        "layer 'it' (multiply, model.layers[0]): input 1 of shape (8, 3) and input 2 of shape "
        "(8, 2) differ on axis 1: 3 and 2 (its inputs are float32[8, 3], float32[8, 2])"
    )


def test_concat_joins_along_an_axis():
    x, y = np.ones((2, 3, 4)), np.zeros((2, 5, 4))
    np.testing.assert_array_equal(apply("concat", x, y), np.concatenate([x, y], 1))
    last = {"type": "concat", "axis": -1}
    np.testing.assert_array_equal(apply(last, x, x, x), np.concatenate([x, x, x], 2))


def test_concat_refuses_other_axes_that_differ_and_the_batch():
    assert refusal("concat", ((2, 3, 4),), ((2, 3, 5),)) == (
        "layer 'it' (concat, model.layers[0]): input 1 of shape (2, 3, 4) and input 2 of shape "
        "(2, 3, 5) differ on axis 2: 4 and 5 (its inputs are float32[2, 3, 4], float32[2, 3, 5])"
    )
    assert refusal({"type": "concat", "axis": -2}, ((2, 3),), ((2, 3),)) == (
        "layer 'it' (concat, model.layers[0]): axis -2 is the batch; join samples along another "
        "axis (its inputs are float32[2, 3], float32[2, 3])"
    )


@pytest.mark.parametrize(
    ("layer", "count", "message"),
    [
        ("add", 1, "it takes 2 or more inputs, but 1 is given"),
        ("concat", 0, "it takes 2 or more inputs, but 0 are given"),
        ({"type": "linear", "units": 2}, 2, "it takes 1 input, but 2 are given"),
        ("relu", 2, "it takes 1 input, but 2 are given"),
        ("dropout", 0, "it takes 1 input, but 0 are given"),
        ("dropout", 3, "it takes 1 input, but 3 are given"),
    ],
)
def test_a_wrong_number_of_inputs_is_refused(layer, count, message):
    name = layer if isinstance(layer, str) else layer["type"]
    given = refusal(layer, *[((4, 3),)] * count, error=ConfigError)
    assert given == f"layer 'it' ({name}, model.layers[0]): {message}"
