"""What every layer can do, seen through layers of an author's own."""

import numpy as np
import pytest

from minidl import registry
from minidl.component import make
from minidl.errors import ConfigError, GraphError, ShapeError
from minidl.graph import Spec, placeholder, tensor
from minidl.layers import Context, Layer, layer


@pytest.fixture
def declared():
    """Declare layers under names that are forgotten afterwards."""
    names = []

    def declare(name, cls):
        names.append(name)
        return layer(name)(cls)

    yield declare
    for name in names:
        registry.forget("layer", name)


class Scale(Layer):
    start: float = 1.0

    def build(self, x):
        self.parameter("factor", x.shape[-1:], {"type": "constant", "value": self.start})
        self.buffer("seen", ())

    def forward(self, x, factor, seen, context):
        context.update(self, "seen", seen + 1)
        return x * factor


def test_a_layer_of_ones_own(declared):
    scale = declared("scale", Scale)(start=2.0)
    assert scale.setup(Spec((3, 4)), path="s", place="model.layers[0]") == Spec((3, 4))
    factor, seen = scale.parameters
    assert (factor.path, factor.trainable, factor.init.value) == ("s.factor", True, 2.0)
    assert (seen.path, seen.trainable, seen.spec) == ("s.seen", False, Spec(()))
    context = Context({"s.factor": tensor(np.full(4, 2.0)), "s.seen": tensor(1.0)})
    output = scale(tensor(np.ones((3, 4))), context=context)
    np.testing.assert_array_equal(output.numpy(), np.full((3, 4), 2.0))
    assert context.outputs["s"] is output
    assert context.updates["s.seen"].item() == 2


def test_a_layer_is_named_in_messages(declared):
    scale = declared("scale", Scale)
    one = scale()
    one.setup(Spec((3, 4)), path="a.b", place="model.layers[1]")
    assert one.label == "layer 'a.b' (scale, model.layers[1])"
    other = scale(name="mine")
    other.setup(Spec((3, 4)))
    assert other.label == "layer 'mine' (scale)"
    with pytest.raises(GraphError) as error:
        one.parameter_named("weight")
    assert str(error.value) == "layer 'a.b' (scale, model.layers[1]) has no parameter 'weight'"


def test_a_parameter_declared_twice_is_refused(declared):
    class Twice(Layer):
        def build(self, x):
            self.parameter("w", (2, 2))
            self.parameter("w", (2, 2))

        def forward(self, x, w):
            return x

    with pytest.raises(ConfigError) as error:
        declared("twice", Twice)().setup(Spec((2, 2)))
    assert str(error.value) == "layer 'twice' (twice): parameter 'w' is declared twice"


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (3, "3; for one axis write (3,)"),
        ((3, 2.0), "(3, 2.0)"),
        ((3, -1), "(3, -1)"),
        (None, "None"),
    ],
)
def test_a_shape_that_is_no_tuple_of_lengths_is_refused(declared, shape, said):
    class Odd(Layer):
        def build(self, x):
            self.parameter("w", shape)

        def forward(self, x, w):
            return x

    with pytest.raises(ConfigError) as error:
        declared("odd", Odd)().setup(Spec((2, 2)))
    start = "layer 'odd' (odd): parameter 'w': its shape must be a tuple of lengths, not "
    assert str(error.value) == start + said


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (
            None,
            "parameter 'v' of shape (5,) needs an init, such as 'zeros' or 'ones': the default, "
            "'glorot_uniform', is for weights of shape (out, in, ...)",
        ),
        (
            "kaiming_normal",
            "parameter 'v': a weight of shape (out, in, ...) is needed, not (5,); choose another "
            "initialiser, such as 'zeros' or 'uniform'",
        ),
    ],
)
def test_an_initialiser_of_matrices_refuses_a_vector_and_says_what_to_do(declared, init, message):
    class Vector(Layer):
        def build(self, x):
            self.parameter("v", x.shape[-1:], init)

        def forward(self, x, v):
            return x * v

    with pytest.raises(ShapeError) as error:
        declared("vector", Vector)().setup(Spec((2, 5)), place="model.layers[0]")
    assert str(error.value) == (
        f"layer 'vector' (vector, model.layers[0]): {message} (its input is float32[2, 5])"
    )


def test_an_unknown_initialiser_names_the_layer_and_the_near_miss(declared):
    class Wrong(Layer):
        def build(self, x):
            self.parameter("w", (2, 2), "zeroes")

        def forward(self, x, w):
            return x

    with pytest.raises(ConfigError) as error:
        declared("wrong", Wrong)().setup(Spec((2, 2)))
    assert str(error.value).startswith(
        "layer 'wrong' (wrong): parameter 'w': unknown initializer 'zeroes'; did you mean 'zeros'?"
    )


def test_a_layer_without_forward_says_so(declared):
    class Empty(Layer):
        pass

    with pytest.raises(NotImplementedError) as error:
        declared("empty", Empty)().setup(Spec((2, 2)))
    assert str(error.value) == "Empty has no forward"


def test_inputs_with_defaults_may_be_left_out(declared):
    class Shift(Layer):
        def forward(self, x, y=None):
            return x if y is None else x + y

    shift = declared("shift", Shift)
    assert shift().setup(Spec((2, 2))) == Spec((2, 2))
    assert shift().setup(Spec((2, 2)), Spec((2, 2))) == Spec((2, 2))
    with pytest.raises(ConfigError) as error:
        shift().setup(*[Spec((2, 2))] * 3)
    assert str(error.value) == "layer 'shift' (shift): it takes 1 to 2 inputs, but 3 are given"


def test_an_author_may_hold_layers_in_fields(declared):
    class Twice(Layer):
        body: Layer

        def build(self, x):
            self.child("body", self.body, x)

        def forward(self, x, context):
            return self.body(self.body(x, context=context), context=context)

    declared("twice", Twice)
    config = {"type": "twice", "body": {"type": "linear", "units": 3}, "repeat": 2}
    root = make("layer", {"type": "sequential", "layers": [config]})
    root.setup(Spec((2, 3)))
    assert [p.path for p in root.all_parameters()] == [
        f"twice_0_{i}.body.{name}" for i in range(2) for name in ("weight", "bias")
    ]


def test_random_keys_are_a_function_of_seed_layer_draw_and_step():
    one, other = (make("layer", "dropout") for _ in range(2))
    one.setup(Spec((2, 2)), path="a")
    other.setup(Spec((2, 2)), path="b")

    def key(seed=0, step=0, owner=one, draw=0):
        return tuple(Context({}, seed=seed, step=step).random_key(owner, draw).numpy().tolist())

    keys = [key(), key(seed=1), key(step=1), key(owner=other), key(draw=1)]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def test_what_a_layer_holds_can_be_walked():
    root = make(
        "layer",
        {"type": "sequential", "layers": ["relu", {"type": "sequential", "layers": ["tanh"]}]},
    )
    root.setup(Spec((2, 2)))
    assert [held.path for held in root.all_layers()] == [
        "",
        "relu_0",
        "sequential_1",
        "sequential_1.tanh_0",
    ]
    assert list(root.children) == ["relu_0", "sequential_1"]


def test_a_layer_can_be_traced_for_another_batch_size():
    root = make("layer", {"type": "sequential", "layers": [{"type": "reshape", "shape": [3, 2]}]})
    root.setup(Spec((4, 6)))
    assert root(placeholder("x", (9, 6)), context=Context({})).shape == (9, 3, 2)


def test_a_mistake_in_the_code_of_a_layer_names_the_layer():
    class Careless(Layer):
        type_name = "careless"

        def forward(self, x):
            return x.no_such_attribute

    root = make("layer", {"type": "sequential", "layers": [Careless()]})
    with pytest.raises(AttributeError) as caught:
        root.setup(Spec((2, 3)), place="model")
    assert caught.value.__notes__ == ["in layer 'careless_0' (careless, model.layers[0])"]


def test_a_layer_that_is_applied_to_what_does_not_fit_is_named():
    layers = [{"type": "positional_embedding", "max_length": 4, "name": "where"}]
    root = make("layer", {"type": "sequential", "layers": layers})
    root.setup(Spec((2, 3, 5)), place="model")
    values = {"where.weight": placeholder("where.weight", (4, 5))}
    with pytest.raises(ShapeError) as caught:
        root(placeholder("x", (2, 6, 5)), context=Context(values))
    assert str(caught.value) == (
        "layer 'where' (positional_embedding, model.layers[0]): add: shapes (2, 6, 5) and (4, 5) "
        "do not broadcast: axis -2 is 6 in one and 4 in the other (its input is float32[2, 6, 5])"
    )
    assert caught.value.place == "model.layers[0]"
