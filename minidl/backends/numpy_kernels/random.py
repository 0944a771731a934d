"""Kernels of the numpy backend for random draws: NumPy's own Philox, written in C."""

from __future__ import annotations

import math

import numpy as np

from minidl.backends.base import kernel


@kernel("numpy", "random_key")
def random_key(
    seed: np.ndarray, stream: np.ndarray, step: np.ndarray, *, out: np.ndarray
) -> np.ndarray:
    """The three numbers, side by side."""
    out[0], out[1], out[2] = seed, stream, step
    return out


@kernel("numpy", "random_bits")
def random_bits(key: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
    """The same words as the op's rule: NumPy counts up before it makes a block, from 1 on."""
    seed, stream, step = key.astype(np.uint64)
    counter = np.array([0, 0, step, 0], dtype=np.uint64)
    generator = np.random.Philox(key=np.array([seed, stream]), counter=counter)
    return generator.random_raw(math.prod(shape)).reshape(shape)


@kernel("numpy", "uniform_from_bits")
def uniform_from_bits(
    bits: np.ndarray, *, shape: tuple[int, ...], dtype: str, out: np.ndarray
) -> np.ndarray:
    """The upper bits of each word, or of each half of one, times a power of two."""
    if dtype == "float64":
        numbers, drop, scale = bits, 11, 2.0**-53
    else:
        numbers = np.ascontiguousarray(bits, dtype="<u8").view("<u4")
        drop, scale = (8, 2.0**-24) if dtype == "float32" else (21, 2.0**-11)
    numbers = (numbers[: math.prod(shape)] >> numbers.dtype.type(drop)).reshape(shape)
    return np.multiply(numbers, scale, out=out, dtype=out.dtype, casting="unsafe")
