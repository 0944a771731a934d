"""Shortening formulas: receives nodes, returns nodes of the same value with less to write.

For print alone: unlike the compiler's simplifying pass, it may change the last bits of a result,
since numbers are multiplied out in another order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from minidl import registry
from minidl.graph import Op, Tensor, toposort
from minidl.graph.leaves import scalar_constant, scalar_value
from minidl.graph.spec import broadcast_shapes, is_float

_RESHAPING = ("reshape", "expand_dims", "squeeze", "permute_dims", "matrix_transpose")


class Shortened:
    """The nodes that ``results`` depend on, shortened.

    Numbers are multiplied out and stand in front, factors of 1 go, and so does every broadcast
    that a later operation makes anyway.

    Parameters
    ----------
    results : sequence of Tensor
        What is printed.
    named : collection of int
        The ``id`` of nodes that are printed as a symbol, into which nothing is moved.
    hidden : collection of int
        The ``id`` of nodes that are not printed, and so are left as they are.
    """

    def __init__(
        self, results: Sequence[Tensor], named: Collection[int], hidden: Collection[int] = ()
    ) -> None:
        self._new: dict[int, Tensor] = {}
        self._old = toposort(results)
        self._atoms: set[int] = set()
        for node in self._old:
            rebuilt = self._rebuild(node)
            short = rebuilt if id(node) in hidden else self._rewrite(rebuilt)
            self._new[id(node)] = short
            if id(node) in named or id(node) in hidden:
                self._atoms.add(id(short))

    def __getitem__(self, node: Tensor) -> Tensor:
        return self._new[id(node)]

    def moved(self, ids: Collection[int]) -> set[int]:
        """Return the ``id`` of what became of nodes that kept their op."""
        return {
            id(self._new[id(node)])
            for node in self._old
            if id(node) in ids and self._new[id(node)].op is node.op
        }

    def _rebuild(self, node: Tensor) -> Tensor:
        inputs = tuple(self._new[id(child)] for child in node.inputs)
        if _ids(inputs) == _ids(node.inputs):
            return node
        return Tensor(node.op, inputs, node.attributes, node.spec, node.name)

    def _rewrite(self, node: Tensor) -> Tensor:
        if node.op.elementwise:
            return self._elementwise(node)
        if node.op.name == "broadcast_to" or node.op.name in _RESHAPING:
            return self._reshaping(node)
        if node.op.name == "astype" and is_float(node.dtype):
            value = scalar_value(node.inputs[0])
            return node if value is None else scalar_constant(float(value), node.dtype)
        return node

    def _reshaping(self, node: Tensor) -> Tensor:
        (x,) = node.inputs
        core = self._unbroadcast(x)
        if node.spec == x.spec and node.op.name in ("reshape", "broadcast_to"):
            return x
        if node.op.name == "broadcast_to":
            return node if core is x else _spread(core, node)
        if not core.shape:
            return _spread(core, node)
        if id(x) in self._atoms:
            return node
        if node.op.name == "matrix_transpose":
            return self._transposed(node)
        if x.op.name == "sum" and _drops_reduced_axes(node, x):
            return x.op(*x.inputs, axis=x.attributes["axis"])
        return node

    def _transposed(self, node: Tensor) -> Tensor:
        """Return (A.T).T as A, (A.T @ B).T as B.T @ A, and sums of such term by term."""
        turned = self._turned(node.inputs[0], node.op)
        return node if turned is None else turned

    def _turned(self, x: Tensor, transpose: Op) -> Tensor | None:
        """Return the transpose of ``x`` where it saves a sign to write it another way."""
        if x.op is transpose:
            return x.inputs[0]
        if x.ndim != 2 or x.op.name not in ("matmul", "add"):
            return None
        parts = [
            None if id(child) in self._atoms or child.ndim != 2 else self._turned(child, transpose)
            for child in x.inputs
        ]
        if x.op.name == "add":
            return None if any(part is None for part in parts) else x.op(*parts)
        if all(part is None for part in parts):
            return None
        left, right = (
            transpose(child) if part is None else part
            for child, part in zip(x.inputs, parts, strict=True)
        )
        return right @ left

    def _elementwise(self, node: Tensor) -> Tensor:
        """Let broadcasts happen in the operation, then multiply numbers out."""
        inputs = tuple(self._unbroadcast(child) for child in node.inputs)
        shape = broadcast_shapes(*(child.shape for child in inputs))
        spec = node.spec.with_shape(shape)
        bare = self._numbers(Tensor(node.op, inputs, node.attributes, spec, node.name))
        if bare.shape == node.shape:
            same = bare.op is node.op and _ids(bare.inputs) == _ids(node.inputs)
            return node if same else bare
        return _spread(bare, node)

    def _unbroadcast(self, node: Tensor) -> Tensor:
        while node.op.name == "broadcast_to" and id(node) not in self._atoms:
            node = node.inputs[0]
        return node

    def _numbers(self, node: Tensor) -> Tensor:
        name = node.op.name
        if name in ("add", "subtract"):
            return _without_zero(node)
        if name not in ("multiply", "divide", "negative") or not is_float(node.dtype):
            return node
        factor, rest = self._product(node)
        if rest is None:
            return scalar_constant(factor, node.dtype)
        if rest.shape != node.shape:
            rest = _spread(rest, node)
        if factor == 1:
            return rest
        if factor == -1:
            return registry.get("op", "negative")(rest)
        inverse = 1 / factor if factor else 0.0
        if inverse.is_integer() and inverse > 2:
            return rest / scalar_constant(inverse, node.dtype)
        return scalar_constant(factor, node.dtype) * rest

    def _product(self, node: Tensor) -> tuple[float, Tensor | None]:
        """Return ``node`` as a number times the rest; None where nothing is left."""
        parts = [self._scaled(child) for child in node.inputs]
        if node.op.name == "negative":
            (factor, rest), *_ = parts
            return -factor, rest
        (c, x), (d, y) = parts
        if node.op.name == "multiply":
            if x is None or y is None:
                return c * d, y if x is None else x
            untouched = x is node.inputs[0] and y is node.inputs[1]
            return c * d, node if untouched else x * y
        if y is None:
            return (c / d, x) if d else (1.0, node)
        if x is None:
            return 1.0, node if d == 1 else scalar_constant(c / d, node.dtype) / y
        untouched = x is node.inputs[0] and y is node.inputs[1]
        return c / d, node if untouched else x / y

    def _scaled(self, node: Tensor) -> tuple[float, Tensor | None]:
        value = scalar_value(node)
        if value is not None:
            return float(value), None
        if id(node) in self._atoms:
            return 1.0, node
        if node.op.name == "negative":
            factor, rest = self._scaled(node.inputs[0])
            return -factor, rest
        if node.op.name in ("multiply", "divide"):
            first, second = (scalar_value(child) for child in node.inputs)
            if node.op.name == "multiply" and first is not None:
                return float(first), node.inputs[1]
            if node.op.name == "divide" and second:
                return 1 / float(second), node.inputs[0]
        return 1.0, node


def _drops_reduced_axes(node: Tensor, x: Tensor) -> bool:
    """Whether ``node`` reshapes a sum to the shape it would have without ``keepdims``."""
    axes = x.attributes["axis"]
    kept = tuple(n for axis, n in enumerate(x.inputs[0].shape) if axis not in axes)
    return node.op.name == "reshape" and x.attributes["keepdims"] and node.shape == kept


def _without_zero(node: Tensor) -> Tensor:
    a, b = node.inputs
    if scalar_value(b) == 0 and a.spec == node.spec:
        return a
    if node.op.name == "add" and scalar_value(a) == 0 and b.spec == node.spec:
        return b
    return node


def _spread(node: Tensor, like: Tensor) -> Tensor:
    if node.shape == like.shape:
        return node
    return registry.get("op", "broadcast_to")(node, like.shape)


def _ids(nodes: Sequence[Tensor]) -> list[int]:
    return [id(node) for node in nodes]
