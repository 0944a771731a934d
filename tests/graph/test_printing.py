"""Graphs in print: exact listings, DOT and Mermaid, awkward names, very long graphs."""

from __future__ import annotations

import re

from minidl import ops
from minidl.graph import Graph, Spec, placeholder, tensor, trace
from minidl.graph.leaves import scalar_constant
from minidl.graph.printing import dot, listing, mermaid


def small_graph() -> Graph:
    """Return a graph with two inputs, one of them state, a constant and two outputs."""

    def function(x, w):
        return (x * w).sum(axis=1), ops.relu(x) * 2.0 + tensor([1.0, 2.0, 3.0], name="c")

    graph = trace(function, Spec((2, 3)), Spec((3,)), names=["x", "w"])
    x, w = graph.inputs
    return Graph((x,), graph.outputs, ((w, w * 0.5),))


def test_a_listing_has_a_line_for_every_node():
    assert listing(small_graph()).splitlines() == [
        "x = input               float32[2, 3]",
        "w = state               float32[3]",
        "v1 = multiply(x, w)     float32[2, 3]",
        "v2 = sum(v1, axis=1)    float32[2]",
        "v3 = relu(x)            float32[2, 3]",
        "v4 = multiply(v3, 2.0)  float32[2, 3]",
        "c = constant            float32[3]",
        "v5 = add(v4, c)         float32[2, 3]",
        "v6 = multiply(w, 0.5)   float32[3]",
        "next w = v6",
        "return v2, v5",
    ]


def test_dot_marks_inputs_state_and_outputs():
    lines = dot(small_graph(), "step").splitlines()
    assert lines[0] == 'digraph "step" {'
    assert lines[-1] == "}"
    assert '  n0 [label="x = input\\nfloat32[2, 3]", shape=ellipse, style=bold];' in lines
    assert '  n1 [label="w = state\\nfloat32[3]", shape=cylinder];' in lines
    assert '  n3 [label="v2 = sum(v1, axis=1)\\nfloat32[2]", shape=box, style=bold];' in lines
    assert "  n0 -> n2;" in lines
    assert "  n8 -> n1 [style=dashed];" in lines


def test_mermaid_draws_what_dot_draws():
    lines = mermaid(small_graph()).splitlines()
    assert lines[0] == "flowchart TD"
    assert '  n0(["x = input<br/>float32[2, 3]"])' in lines
    assert '  n1[("w = state<br/>float32[3]")]' in lines
    assert '  n3[["v2 = sum(v1, axis=1)<br/>float32[2]"]]' in lines
    assert "  n8 -.-> n1" in lines
    edges = [line for line in lines if "-->" in line]
    assert len(edges) == len([line for line in dot(small_graph()).splitlines() if "->" in line]) - 1


def test_names_are_escaped():
    x = placeholder('a "b"\\c <d> #e', (2,))
    graph = Graph((x,), (x * x,))
    assert r'label="a \"b\"\\c <d> #e = input\nfloat32[2]"' in dot(graph)
    assert '(["a #quot;b#quot;\\c #lt;d#gt; #35;e = input<br/>float32[2]"])' in mermaid(graph)


def test_names_that_occur_twice_are_told_apart():
    x, other = placeholder("x", (2,)), placeholder("x", (2,))
    taken = placeholder("v1", (2,))
    assert listing(Graph((x, other, taken), (x - other + taken,))).splitlines() == [
        "x = input             float32[2]",
        "v2 = input            float32[2]",
        "v1 = input            float32[2]",
        "v3 = subtract(x, v2)  float32[2]",
        "v4 = add(v3, v1)      float32[2]",
        "return v4",
    ]


def test_an_output_that_is_a_number_prints_as_one():
    assert listing(Graph((), (scalar_constant(2.5, "float32"),))) == "return 2.5"


def test_an_input_that_nothing_uses_is_listed():
    x = placeholder("x", (2,))
    assert listing(Graph((x,), ())) == "x = input  float32[2]\nreturn"


def test_a_chain_of_20_000_nodes_prints():
    x = value = placeholder("x", (3,))
    for _ in range(20_000):
        value = value * 1.5
    graph = Graph((x,), (value,))
    assert listing(graph).count("\n") == 20_001
    assert len(re.findall(" -> ", dot(graph))) == 20_000
    assert len(re.findall(" --> ", mermaid(graph))) == 20_000
