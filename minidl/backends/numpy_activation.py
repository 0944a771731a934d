"""Kernels of the numpy backend for activations: the passes of the pure rule, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import registry
from minidl.backends.base import kernel

_BLOCK = 8192
"""Elements that stay in a core's cache through many passes over them."""


@kernel("numpy", "leaky_relu")
def leaky_relu(x: np.ndarray, *, negative_slope: float, out: np.ndarray) -> np.ndarray:
    """The greater of x and slope * x, or the lesser where the slope is above 1."""
    np.multiply(x, negative_slope, out=out)
    choose = np.maximum if negative_slope <= 1 else np.minimum
    return choose(out, x, out=out)


def _by_blocks(name: str) -> Callable[..., np.ndarray]:
    """Return a kernel of the op ``name`` in which what lies between x and out stays in cache."""

    def compute(x: np.ndarray, *, out: np.ndarray, **attributes: Any) -> np.ndarray:
        op = registry.get("op", name)
        if x.size <= _BLOCK or not out.flags.c_contiguous:
            out[...] = op.run(np, x, **attributes)
            return out
        whole, result = np.ascontiguousarray(x).reshape(-1), out.reshape(-1)
        for start in range(0, whole.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            result[block] = op.run(np, whole[block], **attributes)
        return out

    return compute


for _name in ("elu", "softplus", "gelu_tanh", "silu", "mish", "hardswish"):
    kernel("numpy", _name)(_by_blocks(_name))


@kernel("numpy", "gelu_erf")
def gelu_erf(x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """By the kernel of ``erf``, which takes no exponential in float32."""
    np.multiply(x, 0.5**0.5, out=out)
    compute = registry.get("kernel", "numpy:erf").compute
    compute(out.copy(), out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)
    return np.multiply(out, x, out=out)
