"""The node of the graph: an op applied to other nodes, with a known shape and dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minidl import registry
from minidl.errors import GraphError, ShapeError
from minidl.graph.spec import Spec

if TYPE_CHECKING:
    import numpy as np

    from minidl.graph.op import Op


class Tensor:
    """An immutable value of the graph: ``op`` applied to ``inputs``.

    Nothing is computed when a tensor is made; :meth:`numpy` computes it, once, and keeps the
    result. Operators and methods carry the names of the Python array API standard and build
    further nodes.

    Attributes
    ----------
    op : Op
        The declaration from the op table.
    inputs : tuple of Tensor
        What the op is applied to.
    attributes : Mapping
        The op's other arguments, in canonical form; not to be changed.
    spec : Spec
        Shape and dtype, inferred when the node was made.
    name : str
        The symbol it is printed with; empty for an intermediate value.
    """

    __slots__ = ("op", "inputs", "attributes", "spec", "name", "_value", "__weakref__")
    __array_priority__ = 1000
    __array_ufunc__ = None

    def __init__(
        self,
        op: Op,
        inputs: tuple[Tensor, ...],
        attributes: Mapping[str, Any],
        spec: Spec,
        name: str = "",
        value: Any = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.spec = spec
        self.name = name
        self._value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """Name of the dtype, for example ``"float32"``."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.spec.size

    # -- computing ---------------------------------------------------------------------------

    def array(self) -> Any:
        """Compute the value and return it as an array of the current backend."""
        from minidl.graph.interpreter import evaluate

        return evaluate([self])[0]

    def detach(self) -> Tensor:
        """Return the value alone: gradients do not flow through it.

        A value that was computed before also lets go of how it was computed, and so of the memory
        of all that it came from: a long loop of values ends each turn with it.
        """
        from minidl.graph.leaves import computed

        known = computed(self)
        return _op("stop_gradient")(self) if known is None else known

    def numpy(self) -> np.ndarray:
        """Compute the value and return it as a NumPy array of its own.

        Raises
        ------
        GraphError
            If it depends on a placeholder, which has no value outside a program.
        """
        from minidl.backends import current_backend

        return current_backend().to_numpy(self.array())

    def item(self) -> Any:
        """Compute a one-element value and return it as a Python number."""
        if self.size != 1:
            raise ShapeError(
                f"item() takes a value of one element; this one has shape {self.shape}"
            )
        return self.numpy().reshape(()).item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<Tensor{name} {self.spec} from {self.op.name}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    # -- operators ---------------------------------------------------------------------------

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Tensor:
        return _op("add")(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _op("add")(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _op("subtract")(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _op("subtract")(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _op("multiply")(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _op("multiply")(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _op("divide")(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _op("divide")(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return _op("floor_divide")(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _op("floor_divide")(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return _op("remainder")(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return _op("remainder")(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _op("pow")(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _op("pow")(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _op("matmul")(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _op("matmul")(other, self)

    def __neg__(self) -> Tensor:
        return _op("negative")(self)

    def __pos__(self) -> Tensor:
        return _op("positive")(self)

    def __abs__(self) -> Tensor:
        return _op("abs")(self)

    def __lt__(self, other: Any) -> Tensor:
        return _op("less")(self, other)

    def __le__(self, other: Any) -> Tensor:
        return _op("less_equal")(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _op("greater")(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _op("greater_equal")(self, other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return _op("equal")(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return _op("not_equal")(self, other)

    def __invert__(self) -> Tensor:
        return _op("logical_not")(self)

    def __and__(self, other: Any) -> Tensor:
        return _op("logical_and")(self, other)

    def __or__(self, other: Any) -> Tensor:
        return _op("logical_or")(self, other)

    def __xor__(self, other: Any) -> Tensor:
        return _op("logical_xor")(self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return _op("getitem")(self, key)

    # -- the methods people reach for --------------------------------------------------------

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix; the value itself if it has fewer than two axes."""
        if self.ndim > 2:
            raise ShapeError(
                f".T takes a matrix, this has shape {self.shape}; use .mT or permute_dims"
            )
        return self if self.ndim < 2 else self.mT

    @property
    def mT(self) -> Tensor:
        """The value with its last two axes exchanged."""
        return _op("matrix_transpose")(self)

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Sum over ``axis``."""
        return _op("sum")(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Arithmetic mean over ``axis``."""
        return _op("mean")(self, axis=axis, keepdims=keepdims)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Maximum over ``axis``."""
        return _op("max")(self, axis=axis, keepdims=keepdims)

    def min(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Minimum over ``axis``."""
        return _op("min")(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """The same elements in another shape; one length may be -1."""
        given = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return _op("reshape")(self, given)

    def astype(self, dtype: Any) -> Tensor:
        """The value converted to ``dtype``."""
        return _op("astype")(self, dtype)


def _op(name: str) -> Any:
    return registry.get("op", name)


def toposort(outputs: Sequence[Tensor], *, computed: bool = True) -> list[Tensor]:
    """Return every node that ``outputs`` depend on, inputs before their consumers.

    Iterative, so that a chain of any length can be sorted. With ``computed=False`` it does not
    look behind nodes whose value is already known.
    """
    order: list[Tensor] = []
    seen: set[int] = set()
    stack: list[tuple[Tensor, bool]] = [(node, False) for node in reversed(outputs)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            if not computed and node._value is not None:
                continue
            stack.extend((child, False) for child in reversed(node.inputs) if id(child) not in seen)
    return order


def require_tensor(value: object, what: str) -> Tensor:
    """Return ``value`` if it is a Tensor; raise GraphError naming ``what`` otherwise."""
    if not isinstance(value, Tensor):
        raise GraphError(f"{what} must be a Tensor, not {type(value).__name__}")
    return value
