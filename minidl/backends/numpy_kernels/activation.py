"""Kernels of the numpy backend for activations that beat the pure rule."""

from __future__ import annotations

import numpy as np

from minidl import registry
from minidl.backends.base import kernel


@kernel("numpy", "leaky_relu")
def leaky_relu(x: np.ndarray, *, negative_slope: float, out: np.ndarray) -> np.ndarray:
    """The greater of x and slope * x, or the lesser where the slope is above 1."""
    np.multiply(x, negative_slope, out=out)
    choose = np.maximum if negative_slope <= 1 else np.minimum
    return choose(out, x, out=out)


@kernel("numpy", "gelu_erf")
def gelu_erf(x: np.ndarray, *, out: np.ndarray) -> np.ndarray:
    """By the kernel of ``erf``, which takes no exponential in float32."""
    np.multiply(x, 0.5**0.5, out=out)
    compute = registry.get("kernel", "numpy:erf").compute
    compute(out.copy(), out=out)
    np.add(out, 1, out=out)
    np.multiply(out, 0.5, out=out)
    return np.multiply(out, x, out=out)
