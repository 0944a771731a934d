"""Test inputs: receives a description, returns a NumPy array."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.errors import CheckError
from minidl.graph import Draw, Spec, Tensor
from minidl.graph.spec import is_float

_MARGIN = 0.05
"""How far drawn values keep away from kinks."""


def draw(what: Any, rng: np.random.Generator) -> np.ndarray:
    """Make one test input.

    Parameters
    ----------
    what : Draw, Spec, shape or array
        A shape or Spec is drawn uniformly from [-2, 2), integers from {0, 1}. An array, nested
        list or Tensor is itself; Python floats in a list become float64.
    rng : numpy.random.Generator
        Where random numbers come from.
    """
    if isinstance(what, Spec):
        what = _draw_of(what)
    elif isinstance(what, tuple) and all(isinstance(length, int) for length in what):
        what = Draw(what)
    if isinstance(what, Tensor):
        return what.numpy()
    if not isinstance(what, Draw):
        return np.array(what)
    if what.dtype == "bool":
        return rng.random(what.shape) < 0.5
    if not is_float(what.dtype):
        low, high = int(what.low), max(int(what.high), int(what.low) + 1)
        return rng.integers(low, high, what.shape).astype(what.dtype)
    if what.distinct:
        return _distinct(what, rng).astype(what.dtype)
    return _uniform(what, what.shape, rng).astype(what.dtype)


def _draw_of(spec: Spec) -> Draw:
    if is_float(spec.dtype):
        return Draw(spec.shape, dtype=spec.dtype)
    return Draw(spec.shape, 0, 2, dtype=spec.dtype)


def _uniform(what: Draw, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    values = rng.uniform(what.low, what.high, shape)
    for _ in range(100):
        near = _near(values, what.kinks)
        if not near.any():
            return values
        values = np.where(near, rng.uniform(what.low, what.high, shape), values)
    raise CheckError(f"{what} leaves no room between its kinks")


def _distinct(what: Draw, rng: np.random.Generator) -> np.ndarray:
    """Return a shuffled, jittered grid, so that neighbours in value stay well apart."""
    count = int(np.prod(what.shape))
    points = 2 * count + 20 * len(what.kinks) if what.kinks else count
    step = (what.high - what.low) / max(points, 1)
    grid = what.low + step * (np.arange(points) + rng.uniform(0.3, 0.7, points))
    grid = grid[~_near(grid, what.kinks)]
    if len(grid) < count:
        raise CheckError(f"{what} leaves no room between its kinks")
    return rng.permutation(grid)[:count].reshape(what.shape)


def _near(values: np.ndarray, kinks: tuple[float, ...]) -> np.ndarray:
    near = np.zeros(values.shape, dtype=bool)
    for kink in kinks:
        near |= np.abs(values - kink) < _MARGIN
    return near
