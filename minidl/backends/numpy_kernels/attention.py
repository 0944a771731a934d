"""Kernels of the numpy backend for attention."""

from __future__ import annotations

import functools
import math

import numpy as np

from minidl.backends.base import kernel
from minidl.backends.numpy_kernels import arithmetic


@kernel("numpy", "masked_softmax")
def masked_softmax(x: np.ndarray, mask: np.ndarray, *, axis: int, out: np.ndarray) -> np.ndarray:
    """Work in place; with what is shut out at −∞, whose power is 0."""
    arithmetic.where(mask, x, np.array(-np.inf, x.dtype), out=out)
    side = np.empty(tuple(1 if i == axis else n for i, n in enumerate(x.shape)), x.dtype)
    arithmetic.max(out, axis=(axis,), keepdims=True, out=side)
    side[side == -np.inf] = 0
    np.exp(np.subtract(out, side, out=out), out=out)
    arithmetic.sum(out, axis=(axis,), keepdims=True, out=side)
    side[side == 0] = 1
    return np.divide(out, side, out=out)


@kernel("numpy", "rope")
def rope(
    x: np.ndarray, *, base: float, interleaved: bool, inverse: bool, out: np.ndarray
) -> np.ndarray:
    """Keep the tables of sines; write each half where it belongs."""
    half = x.shape[-1] // 2
    cos, sin = _turns(x.shape[-2], half, base, x.dtype.char)
    sin = -sin if inverse else sin
    halves = slice(0, None, 2), slice(1, None, 2)
    first, second = halves if interleaved else (slice(half), slice(half, None))
    a, b, z_a, z_b = x[..., first], x[..., second], out[..., first], out[..., second]
    np.subtract(np.multiply(a, cos, out=z_a), b * sin, out=z_a)
    np.add(np.multiply(b, cos, out=z_b), a * sin, out=z_b)
    return out


@functools.lru_cache(maxsize=16)
def _turns(length: int, pairs: int, base: float, char: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosines and sines of the angles, of shape (length, pairs)."""
    frequencies = np.exp(np.arange(pairs) * (-math.log(base) / max(pairs, 1)))
    angles = np.outer(np.arange(length), frequencies)
    return np.cos(angles).astype(char), np.sin(angles).astype(char)
