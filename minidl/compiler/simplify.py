"""The simplifying pass: receives a graph, returns one that computes the same bits with less work.

Only rewrites that cannot change a result are made:

- one node for equal nodes: same op, same inputs, same attributes;
- ``x * 1``, ``x / 1`` and ``x ** 1`` are x, ``--x`` is x;
- a reshape, broadcast or conversion to what the value already is, is the value; a reshape of a
  reshape is one; two transposes cancel;
- what nothing needs is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from minidl.graph import Graph, Tensor, toposort
from minidl.graph.leaves import placeholder_op, scalar_value

Rewrite = Callable[[Tensor], Tensor]


def simplify(graph: Graph) -> Graph:
    """Return ``graph`` simplified; its inputs and the placeholders of its state are kept."""
    new: dict[int, Tensor] = {}
    known: dict[Hashable, Tensor] = {}
    for node in toposort(graph.results, computed=False):
        new[id(node)] = _share(_rewrite(_rebuild(node, new)), known)
    outputs = tuple(new[id(node)] for node in graph.outputs)
    state = tuple((old, new[id(value)]) for old, value in graph.state)
    return Graph(graph.inputs, outputs, state)


def _rebuild(node: Tensor, new: dict[int, Tensor]) -> Tensor:
    if node._value is not None:
        return node
    inputs = tuple(new[id(child)] for child in node.inputs)
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    return Tensor(node.op, inputs, node.attributes, node.spec, node.name)


def _share(node: Tensor, known: dict[Hashable, Tensor]) -> Tensor:
    """Return the first node equal to this one, or itself."""
    if node._value is not None or node.op is placeholder_op:
        return node
    attributes = tuple(sorted(node.attributes.items()))
    key = (node.op.name, tuple(id(child) for child in node.inputs), attributes)
    return known.setdefault(key, node)


def _rewrite(node: Tensor) -> Tensor:
    rule = _REWRITES.get(node.op.name)
    return node if rule is None else rule(node)


def _drop_right_one(node: Tensor) -> Tensor:
    x, y = node.inputs
    return x if scalar_value(y) == 1 and x.spec == node.spec else node


def _drop_one(node: Tensor) -> Tensor:
    x, y = node.inputs
    return y if scalar_value(x) == 1 and y.spec == node.spec else _drop_right_one(node)


def _drop_if_same(node: Tensor) -> Tensor:
    return node.inputs[0] if node.inputs[0].spec == node.spec else node


def _merge_reshapes(node: Tensor) -> Tensor:
    (x,) = node.inputs
    if x.op is node.op and x._value is None:
        node = Tensor(node.op, x.inputs, node.attributes, node.spec, node.name)
    return _drop_if_same(node)


def _cancel_twins(node: Tensor) -> Tensor:
    (x,) = node.inputs
    return x.inputs[0] if x.op is node.op and x._value is None else node


def _merge_permutations(node: Tensor) -> Tensor:
    (x,) = node.inputs
    axes = node.attributes["axes"]
    if x.op is node.op and x._value is None:
        first = x.attributes["axes"]
        axes, x = tuple(first[axis] for axis in axes), x.inputs[0]
    if axes == tuple(range(len(axes))):
        return x
    return Tensor(node.op, (x,), {"axes": axes}, node.spec, node.name)


_REWRITES: dict[str, Rewrite] = {
    "multiply": _drop_one,
    "divide": _drop_right_one,
    "pow": _drop_right_one,
    "negative": _cancel_twins,
    "matrix_transpose": _cancel_twins,
    "permute_dims": _merge_permutations,
    "reshape": _merge_reshapes,
    "broadcast_to": _drop_if_same,
    "astype": _drop_if_same,
}
