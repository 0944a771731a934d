"""Mixed precision: receives values of a float32 graph, returns them with products in 16 bits.

What each op does is declared with the op (``autocast`` in :func:`minidl.op`). Gradients are taken
afterwards, through the conversions, so those of float32 parameters are float32.

P. Micikevicius et al., "Mixed Precision Training", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf

from minidl.graph import Tensor, toposort
from minidl.graph.leaves import scalar_constant, scalar_value

FULL = "float32"
_TINY, _HUGE = 2.0**-14, 65504.0
"""The smallest and the largest normal number of float16."""


def autocast(values: Sequence[Tensor], low: str) -> list[Tensor]:
    """Return ``values``, of the dtypes that they have, computed in mixed precision.

    Parameters
    ----------
    values : sequence of Tensor
        float32 is what is converted; values of other dtypes, float64 too, stay as they are.
    low : str
        ``"float16"`` or ``"bfloat16"``.
    """
    new: dict[int, Tensor] = {}
    for node in toposort(values, computed=False):
        new[id(node)] = node if node._value is not None else _rebuild(node, new, low)
    return [new[id(value)].astype(value.dtype) for value in values]


def _rebuild(node: Tensor, new: Mapping[int, Tensor], low: str) -> Tensor:
    cast = _cast_inputs(node, [new[id(child)] for child in node.inputs], low)
    same = all(a is b for a, b in zip(cast, node.inputs, strict=True))
    return node if same else node.op.again(node, cast)


def _cast_inputs(node: Tensor, inputs: Sequence[Tensor], low: str) -> list[Tensor]:
    if node.op.autocast == "low":
        return [_cast(child, low) if child.dtype == FULL else child for child in inputs]
    if node.op.autocast == "float32":
        return [_cast(child, FULL) if child.dtype == low else child for child in inputs]
    # a parameter or a number takes the dtype of the values that it meets
    computed = {child.dtype for child in inputs if child.inputs}
    if low not in computed or FULL in computed:
        return list(inputs)
    return [_cast(child, low) if child.dtype == FULL else child for child in inputs]


def _cast(value: Tensor, dtype: str) -> Tensor:
    number = scalar_value(value)
    if number is None:
        return value.astype(dtype)
    return scalar_constant(number, dtype) if _holds(dtype, number) else value


def _holds(dtype: str, number: float) -> bool:
    """Whether ``number`` becomes neither 0 nor infinite: an op on one that does is in float32."""
    return dtype != "float16" or number == 0 or _TINY <= abs(number) <= _HUGE or isinf(number)
