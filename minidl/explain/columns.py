"""Column notation: receives a graph over one sample, which stands as a row, returns its transpose.

The code that runs has samples as rows, ``x @ W.T + b``; textbooks have them as columns,
``W @ x + b``. The one becomes the other by algebra alone: the transpose of a product is the
product of the transposes in reverse, that of an elementwise operation is the operation on
transposes, and what is done over the axis of the single sample does nothing. The result is a
graph of ops like any other; it can be run, and printed as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from minidl import registry
from minidl.graph import Tensor, placeholder, toposort
from minidl.graph.leaves import constant, placeholder_op

_ORDER_FREE = ("sum", "mean", "max", "min", "prod", "logsumexp")
_RESHAPING = ("reshape", "expand_dims", "squeeze")


class Columns:
    """Column forms of the nodes that ``results`` depend on.

    Parameters
    ----------
    results : sequence of Tensor
        Any nodes.
    samples : collection of int
        The ``id`` of placeholders that hold one sample, their first axis being of length 1.

    Attributes
    ----------
    leaves : dict
        By ``id``, the placeholder that stands for an original one.
    hidden : set of int
        The ``id`` of nodes that only turn a column into the row that an op expects, or back;
        they are not to be printed.
    opaque : set of int
        The ``id`` of nodes whose ``axis`` is that of samples as rows.
    """

    def __init__(self, results: Sequence[Tensor], samples: Collection[int]) -> None:
        self.leaves: dict[int, Tensor] = {}
        self.hidden: set[int] = set()
        self.opaque: set[int] = set()
        self._samples = samples
        self._columns: dict[int, Tensor] = {}
        self._alive: list[Tensor] = []
        for node in toposort(results):
            self._alive.append(node)
            self._columns[id(node)] = self._column(node)

    def column(self, node: Tensor) -> Tensor:
        """Return the transpose of a node of two axes, a column for one of one axis."""
        return self._columns[id(node)]

    def knows(self, node: Tensor) -> bool:
        """Whether ``node`` is part of the graph."""
        return id(node) in self._columns

    def upright(self, node: Tensor) -> Tensor:
        """Return a matrix as it is, in column forms of what it is made of."""
        column = self._columns[id(node)]
        return self._transposed(column) if column.ndim == 2 else column

    # -- one node ----------------------------------------------------------------------------

    def _column(self, node: Tensor) -> Tensor:
        name = node.op.name
        if node.op is placeholder_op or node.op is constant:
            return self._leaf(node)
        if node.op.elementwise or name == "astype":
            return self._elementwise(node)
        if same_vector(node):
            return self._same_elements(self.column(node.inputs[0]), node)
        if node.ndim > 2 or any(child.ndim > 2 for child in node.inputs):
            return self._opaque(node)
        if name == "matmul" and all(child.ndim == 2 for child in node.inputs):
            return self._matmul(node)
        if name == "matrix_transpose" or node.attributes.get("axes") == (1, 0):
            return self._transposed(self.column(node.inputs[0]))
        if name == "broadcast_to":
            return self._broadcast(node)
        if name in _ORDER_FREE:
            return self._reduced(node)
        return self._opaque(node)

    def _leaf(self, node: Tensor) -> Tensor:
        if node.op is constant:
            return self._transposed(node) if node.ndim == 2 else self._stood_up(node)
        if node.ndim == 2 and id(node) not in self._samples:
            self.leaves[id(node)] = node
            return self._transposed(node)
        single = id(node) in self._samples and node.shape == (1,)
        shape = () if single else _column_shape(node.shape)
        leaf = node if shape == node.shape else placeholder(node.name, shape, node.dtype)
        self.leaves[id(node)] = leaf
        return leaf

    def _stood_up(self, node: Tensor) -> Tensor:
        """Return a value that is not a matrix as a column, or as a number."""
        shape = () if node.size == 1 else (node.size, 1)
        return node if node.shape == shape else self._hide(node.reshape(shape))

    def _elementwise(self, node: Tensor) -> Tensor:
        if node.ndim > 2 and any(child.shape not in ((), node.shape) for child in node.inputs):
            return self._opaque(node)
        inputs = [self.column(child) for child in node.inputs]
        turned = [x.op.name == "matrix_transpose" and id(x) not in self.hidden for x in inputs]
        if any(turned) and all(t or not x.shape for t, x in zip(turned, inputs, strict=True)):
            upright = [x.inputs[0] if t else x for t, x in zip(turned, inputs, strict=True)]
            return self._transposed(node.op(*upright, **node.attributes))
        return node.op(*inputs, **node.attributes)

    def _matmul(self, node: Tensor) -> Tensor:
        left, right = (self.column(child) for child in node.inputs)
        return right @ left if left.shape and right.shape else right * left

    def _broadcast(self, node: Tensor) -> Tensor:
        return node.op(self.column(node.inputs[0]), _column_shape(node.shape))

    def _same_elements(self, column: Tensor, node: Tensor) -> Tensor:
        """Return a vector in the shape that the column of ``node`` has."""
        shape = _column_shape(node.shape)
        if column.shape in ((), shape):
            return column
        return self._transposed(column) if shape else self._stood_up(column)

    def _reduced(self, node: Tensor) -> Tensor:
        (x,) = node.inputs
        column, axes = self.column(x), node.attributes["axis"]
        axes = (axes,) if isinstance(axes, int) else axes
        if all(x.shape[axis] == 1 for axis in axes):
            return self._same_elements(column, node)
        if not column.shape:
            return column
        if node.size == 1:
            return node.op(column)
        kept = node.op(column, axis=tuple(1 - axis for axis in axes), keepdims=True)
        return kept if node.ndim == 2 or kept.shape[1] == 1 else self._transposed(kept)

    def _opaque(self, node: Tensor) -> Tensor:
        """Apply an op to samples as it knows them, as rows, and print it as if to columns."""
        result = node.op(*(self._row(child) for child in node.inputs), **node.attributes)
        if "axis" in node.attributes:
            self.opaque.add(id(result))
            self._alive.append(result)
        if result.ndim == 2:
            turned = registry.get("op", "matrix_transpose")(result)
            return self._hide(turned) if 1 in result.shape else self._transposed(result)
        return self._stood_up(result)

    def _row(self, node: Tensor) -> Tensor:
        """Return a value in its original shape."""
        column = self.column(node)
        if node.shape == column.shape and node.ndim != 2:
            return column
        if id(column) in self.hidden and column.inputs[0].shape == node.shape:
            return column.inputs[0]
        if node.ndim == 2 and column.ndim == 2:
            turned = self._transposed(column)
            fresh = turned.inputs[:1] == (column,)
            return self._hide(turned) if fresh and 1 in column.shape else turned
        return self._hide(column.reshape(node.shape))

    def _transposed(self, node: Tensor) -> Tensor:
        if not node.shape:
            return node
        if node.op.name == "matrix_transpose" and id(node) not in self.hidden:
            return node.inputs[0]
        return registry.get("op", "matrix_transpose")(node)

    def _hide(self, node: Tensor) -> Tensor:
        self.hidden.add(id(node))
        self._alive.append(node)
        return node


def fits_columns(nodes: Sequence[Tensor], samples: Collection[int]) -> bool:
    """Whether every value is a number, a vector or a matrix, but for samples being flattened."""
    allowed = set(samples)
    for node in toposort(nodes):
        if node.ndim > 2 and id(node) not in allowed:
            flattens = node.op.elementwise or node.op.name in (*_RESHAPING, "astype")
            if not flattens or not all(id(child) in allowed for child in node.inputs):
                return False
            allowed.add(id(node))
    return True


def same_vector(node: Tensor) -> bool:
    """Whether a node only reshapes what as a column is the same column."""
    if node.op.name not in _RESHAPING:
        return False
    shapes = (node.shape, node.inputs[0].shape)
    return all(shape[:1] == (1,) or sum(n != 1 for n in shape) <= 1 for shape in shapes)


def _column_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the column of a value; a sample of many axes is one column."""
    if not shape:
        return ()
    if len(shape) == 2:
        return (shape[1], shape[0])
    return (math.prod(shape), 1)
