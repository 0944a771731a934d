"""The nodes without inputs: constants, which hold a value, and placeholders, which await one."""

from __future__ import annotations

import functools
from typing import Any

from minidl.backends import current_backend
from minidl.errors import DtypeError, GraphError
from minidl.graph.node import Tensor
from minidl.graph.op import op
from minidl.graph.spec import DEFAULT_FLOAT, DEFAULT_INTEGER, Spec, array_dtype, check_dtype

_NO_RULE = "it is a leaf of the graph"


@op("constant", no_gradient=_NO_RULE)
class constant:
    """A value that is known when the graph is built."""

    def infer(*, spec: Spec) -> Spec:
        return spec

    def forward(xp, *, spec):
        raise GraphError("a constant has no forward: the interpreter reads its value")


@op("placeholder", no_gradient=_NO_RULE)
class placeholder_op:
    """A value that is given each time a program runs."""

    def infer(*, spec: Spec) -> Spec:
        return spec

    def forward(xp, *, spec):
        raise GraphError("a placeholder has no value outside a program")


def tensor(data: Any, dtype: Any = None, name: str = "") -> Tensor:
    """Make a constant from a number, nested lists or an array.

    Parameters
    ----------
    data : number, sequence, array or Tensor
        Copied, so that changing it later does not change the graph.
    dtype : optional
        Name of the dtype. Default: an array keeps its own; Python floats become float32,
        integers int64.
    name : str
        The symbol it is printed with.

    Raises
    ------
    DtypeError
        If the data is not numeric, is ragged, or does not fit into the dtype.
    """
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == check_dtype(dtype) else data.astype(dtype)
    backend = current_backend()
    wanted = check_dtype(dtype) if dtype is not None else _default_dtype(data)
    try:
        return from_array(backend.from_data(data, wanted), name=name)
    except (TypeError, ValueError, OverflowError) as error:
        raise DtypeError(f"cannot make a tensor from {type(data).__name__}: {error}") from None


def from_array(array: Any, name: str = "") -> Tensor:
    """Wrap an array of the current backend as a constant, without copying it."""
    spec = Spec(tuple(array.shape), array_dtype(array.dtype))
    return Tensor(constant, (), {"spec": spec}, spec, name, (current_backend(), array))


def computed(node: Tensor) -> Tensor | None:
    """Return a constant of the value of ``node``, None if it was not computed yet."""
    if node._value is None:
        return None
    return Tensor(constant, (), {"spec": node.spec}, node.spec, node.name, node._value)


def placeholder(name: str, shape: tuple[int, ...], dtype: Any = DEFAULT_FLOAT) -> Tensor:
    """Make a node whose value is given when a program runs."""
    spec = Spec(tuple(shape), check_dtype(dtype))
    return Tensor(placeholder_op, (), {"spec": spec}, spec, name)


@functools.lru_cache(maxsize=4096)
def _scalar(value: bool | int | float, kind: type, sign: str, dtype: str) -> Tensor:
    spec = Spec((), dtype)
    return Tensor(constant, (), {"spec": spec}, spec, value=(None, value))


def scalar_constant(value: bool | int | float, dtype: str) -> Tensor:
    """Make a 0-d constant from a Python number; equal ones are one node."""
    return _scalar(value, type(value), str(value)[:1], dtype)


def scalar_value(node: Tensor) -> bool | int | float | None:
    """Return the Python number that a scalar constant was made from, or None."""
    if node.op is constant and node._value is not None and node._value[0] is None:
        return node._value[1]
    return None


def _default_dtype(data: Any) -> str | None:
    if hasattr(data, "dtype"):
        return None
    first = data
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, Tensor):
        return first.dtype
    flat = _scalars(data)
    for value in flat:
        if value is None or isinstance(value, str | bytes):
            raise DtypeError(
                f"cannot make a tensor from {type(data).__name__}: {value!r} is not a number"
            )
    if any(isinstance(value, float) for value in flat):
        return DEFAULT_FLOAT
    if flat and all(isinstance(value, bool) for value in flat):
        return "bool"
    if flat and all(isinstance(value, int) for value in flat):
        return DEFAULT_INTEGER
    return DEFAULT_FLOAT if not flat else None


def _scalars(data: Any) -> list[Any]:
    if not isinstance(data, list | tuple):
        return [data]
    return [value for part in data for value in _scalars(part)]
