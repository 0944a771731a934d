"""Declaring ops, and calling them."""

from __future__ import annotations

import numpy as np
import pytest

from minidl import ops, registry
from minidl.errors import CollisionError, DtypeError, GraphError, ShapeError
from minidl.graph import Draw, Sample, Tensor, grad, op, sample, tensor


@pytest.fixture(autouse=True)
def registry_as_it_was(monkeypatch):
    registry.names("op")
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def declare(name="test_op", **options):
    """Declare an op by keywords: its rules, and what ``op`` takes."""
    rules = {k: options.pop(k) for k in (*RULES, "__doc__") if k in options}
    return op(name, **options)(type(name, (), rules))


RULES = ("infer", "normalize", "forward", "backward", "compose")


# -- declaring -------------------------------------------------------------------------------


def test_the_signature_comes_from_the_shape_rule():
    made = declare(
        infer=lambda x, w, /, *, stride=1: x,
        forward=lambda xp, x, w, *, stride: x,
        no_gradient="a test has none",
    )
    assert made.tensors == ("x", "w")
    assert made.attribute_names == ("stride",)
    assert repr(made) == "<op test_op(x, w, /, *, stride=1)>"
    assert not made.differentiable


def test_an_elementwise_op_takes_its_inputs_from_its_gradient_rule():
    made = declare(elementwise=True, function="multiply", backward=lambda g, z, a, b: (g, g))
    assert made.tensors == ("a", "b")
    assert made(np.ones((2, 1)), np.ones(3)).shape == (2, 3)


def test_an_op_of_any_number_of_inputs():
    made = declare(
        infer=lambda *xs, axis=0: xs[0],
        forward=lambda xp, *xs, axis: xs[0],
        no_gradient="a test has none",
    )
    assert made.variadic
    assert made.tensors == ("xs",)
    one, two = tensor([1.0]), tensor([2.0])
    assert made(one, two).inputs == made([one, two], axis=1).inputs == (one, two)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"infer": lambda x, /: x, "no_gradient": "none"},
            "op 'test_op' must have forward or function, or else compose alone",
        ),
        (
            {"compose": lambda x, /: x, "function": "exp"},
            "op 'test_op' must have forward or function, or else compose alone",
        ),
        (
            {"forward": lambda xp, x: x, "no_gradient": "none"},
            "op 'test_op' must have infer, its shape rule, or be elementwise",
        ),
        (
            {"infer": lambda x, /: x, "function": "exp"},
            "op 'test_op' must have either backward or no_gradient='why not'",
        ),
        (
            {
                "infer": lambda x, /: x,
                "function": "exp",
                "backward": lambda g, z, x: g,
                "no_gradient": "none",
            },
            "op 'test_op' must have either backward or no_gradient='why not'",
        ),
        (
            {"elementwise": True, "function": "exp"},
            "an op needs infer, backward, forward or compose to name its inputs",
        ),
    ],
)
def test_an_incomplete_declaration_says_what_is_missing(options, message):
    with pytest.raises(GraphError) as caught:
        declare(**options)
    assert str(caught.value) == message
    assert registry.find("op", "test_op") is None


def test_an_op_of_a_name_that_is_taken_collides():
    with pytest.raises(CollisionError, match="two sources register the op 'multiply': minidl and"):
        declare("multiply", elementwise=True, function="add", backward=lambda g, z, a, b: (g, g))


def test_documentation_is_kept_without_its_indentation():
    made = declare(__doc__="First.\n\n        z = x\n    ", function="exp", elementwise=True,
                   backward=lambda g, z, x: g)  # fmt: skip
    assert made.doc == made.__doc__ == "First.\n\nz = x"
    assert made.__name__ == "test_op"


def test_a_composed_op_is_a_graph_of_others_with_their_gradient():
    made = declare(compose=lambda x, /, *, times=2: ops.exp(x) * float(times))
    assert made.differentiable
    x = tensor(np.array([0.5]))
    y = made(x, times=3)
    assert y.op is ops.multiply
    np.testing.assert_allclose(grad(y.sum(), x).numpy(), 3 * np.exp([0.5]))


# -- samples ---------------------------------------------------------------------------------


def test_samples_are_written_the_short_way():
    assert sample((2, 3), 4.0, [1.0], axis=0) == Sample((Draw((2, 3)), 4.0, [1.0]), {"axis": 0})


def test_elementwise_ops_have_samples_of_every_layout():
    made = declare(
        elementwise=True,
        function="multiply",
        backward=lambda g, z, a, b: (g * b, g * a),
        domains=[(0.0, 1.0)],
        kinks=(0.5,),
    )
    shapes = {tuple(each.shape for each in given.inputs) for given in made.samples}
    assert ((3, 4), (3, 4)) in shapes
    assert ((), ()) in shapes
    assert ((0, 3), (0, 3)) in shapes
    assert any(a != b for a, b in shapes)
    first, second = made.samples[0].inputs
    assert (first.low, first.high, first.kinks) == (0.0, 1.0, (0.5,))
    assert (second.low, second.high) == (-2.0, 2.0)


# -- calling ---------------------------------------------------------------------------------


def test_calling_builds_a_node_with_canonical_attributes():
    node = ops.sum(np.ones((2, 3)), axis=[-1])
    assert isinstance(node, Tensor)
    assert node.attributes == {"axis": (1,), "keepdims": False}
    assert node.spec == (ops.sum(np.ones((2, 3)), axis=1)).spec


def test_attributes_may_be_given_by_position_where_the_standard_allows():
    x = np.ones((2, 3))
    assert ops.reshape(x, (3, 2)).shape == ops.reshape(x, shape=(3, 2)).shape == (3, 2)
    with pytest.raises(TypeError, match=r"^sum\(.*\): too many positional arguments"):
        ops.sum(x, 1)


def test_a_missing_input_is_named():
    with pytest.raises(TypeError, match=r"^multiply\(.*\): missing a required argument: 'b'"):
        ops.multiply(1.0)


def test_errors_of_the_shape_rule_carry_the_name_of_the_op():
    with pytest.raises(ShapeError, match="^reshape: shape .* has 6 elements and cannot become"):
        ops.reshape(np.ones((2, 3)), (4,))
    with pytest.raises(DtypeError, match="^add: uint64 and a signed integer have"):
        ops.add(np.ones(1, "uint64"), np.ones(1, "int8"))


def test_only_inputs_that_belong_together_are_promoted():
    made = declare(
        infer=lambda x, index, /: x,
        forward=lambda xp, x, index: x * 1,
        no_gradient="a test has none",
        promoted=(0,),
    )
    node = made(np.ones(2, "float32"), np.ones(2, "int8"))
    assert [i.dtype for i in node.inputs] == ["float32", "int8"]


def test_a_node_of_an_op_knows_nothing_of_later_calls():
    attributes = {"axis": 0}
    node = ops.sum(np.ones((2, 3)), **attributes)
    attributes["axis"] = 1
    assert node.shape == (3,)
