"""Tracing functions, and taking structures apart."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest

from minidl import ops
from minidl.errors import GraphError
from minidl.graph import Graph, Program, Spec, placeholder, trace
from minidl.graph.trace import flatten


def test_a_function_becomes_a_graph_of_its_results():
    graph = trace(lambda a, b: (a * b, a + b), Spec((2,), "float64"), Spec((), "float64"))
    assert [node.name for node in graph.inputs] == ["x0", "x1"]
    assert [node.op.name for node in graph.outputs] == ["multiply", "add"]
    product, total = Program(graph.inputs, graph.outputs)([np.ones(2), np.asarray(3.0)])
    np.testing.assert_array_equal(product, [3, 3])
    np.testing.assert_array_equal(total, [4, 4])


def test_one_result_and_numbers_are_taken():
    graph = trace(lambda x: ops.exp(x), Spec((2,)), names=["angle"])
    assert graph.inputs[0].name == "angle"
    assert len(graph.outputs) == 1
    (constant,) = trace(lambda x: 2.0, Spec(())).outputs
    assert constant.item() == 2.0


def test_as_many_names_as_arguments_are_needed():
    with pytest.raises(ValueError, match="argument"):
        trace(lambda x: x, Spec(()), names=["a", "b"])


def test_results_are_outputs_and_next_values():
    w = placeholder("w", ())
    new = w * 2.0
    graph = Graph((), (w + 1.0,), ((w, new),))
    assert graph.results == (graph.outputs[0], new)


class Point(NamedTuple):
    x: object
    y: object


@pytest.mark.parametrize(
    ("tree", "leaves"),
    [
        (5, [5]),
        ([1, 2], [1, 2]),
        ((1, [2, (3,)]), [1, 2, 3]),
        ({"b": 1, "a": {"c": 2}}, [1, 2]),
        (Point(1, [2]), [1, 2]),
        ([], []),
        ([{}, ()], []),
        (OrderedDict(z=1, a=2), [1, 2]),
    ],
)
def test_structures_are_taken_apart_and_put_together(tree, leaves):
    found, restore = flatten(tree)
    assert found == leaves
    assert restore(found) == tree
    doubled = restore([2 * leaf for leaf in leaves])
    assert flatten(doubled)[0] == [2 * leaf for leaf in leaves]
    assert type(restore(found)) is type(tree) or isinstance(tree, dict)


def test_another_number_of_leaves_is_refused():
    _, restore = flatten({"a": 1, "b": [2]})
    with pytest.raises(GraphError) as caught:
        restore([1])
    assert str(caught.value) == "the structure holds 2 leaves, not 1"
