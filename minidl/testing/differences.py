"""Numerical derivatives: receives a function of one number, returns its derivative at 0.

Central differences at three spacings, extrapolated twice (Richardson), have a truncation error
of order h⁶; the spacing is the one at which the last extrapolation moved the result least, so
that truncation, rounding and a kink near by are all kept in sight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SPACINGS = (2.0**-10, 2.0**-14, 2.0**-18, 2.0**-7, 2.0**-4)
"""Tried in this order. Powers of two, so that x + h is exact; a stencil reaches out to 4h."""


CLOSE = (2.0**-18, 2.0**-22, 2.0**-14, 2.0**-25)
"""Spacings for functions with many kinks, in the order in which :func:`slope_near` tries them."""


@dataclass(frozen=True)
class Derivative:
    """A numerical derivative, and how far it may be off by its own judgement."""

    value: np.ndarray
    error: np.ndarray


def derivative(
    function: Callable[[float], np.ndarray],
    enough: Callable[[np.ndarray], np.ndarray],
    project: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Derivative:
    """Return the derivative of ``project(function(t))`` at t = 0.

    Parameters
    ----------
    function : callable
        Vector-valued.
    enough : callable
        Given the derivative, returns the error that is small enough to stop at.
    project : callable
        Linear; applied to differences of ``function`` rather than to its values, which loses
        fewer digits.
    """
    best: Derivative | None = None
    with np.errstate(all="ignore"):
        for h in SPACINGS:
            found = _extrapolated(function, h, project)
            best = found if best is None else _better(best, found)
            if np.all(best.error <= enough(best.value)):
                break
    assert best is not None
    return best


def slopes(
    function: Callable[[float], np.ndarray], project: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope to the left and to the right of t = 0, which differ at a kink."""
    h = 2.0**-16
    with np.errstate(all="ignore"):
        middle = function(0.0)
        right = 4 * (function(h) - middle) - (function(2 * h) - middle)
        left = 4 * (middle - function(-h)) - (middle - function(-2 * h))
    return project(left) / (2 * h), project(right) / (2 * h)


def slope_near(
    function: Callable[[float], np.ndarray],
    expected: float,
    slack: float,
    project: Callable[[np.ndarray], np.ndarray],
    size: float = 0.0,
) -> tuple[float, float] | None:
    """Return the derivative of ``project(function(t))`` at t = 0 and how far rounding moves it.

    None where kinks hide it.

    A network of thousands of ReLUs has kinks next to every point, of which a finite difference
    sees those within its spacing. So one that comes to ``expected`` at any of four spacings
    confirms it. Where none does, one speaks against it if the function is straight there: if
    both one-sided slopes, and the slope at the next finer spacing, are the same to within a
    quarter of what ``expected`` is off by. A function that bends by more than that has a kink.

    Parameters
    ----------
    expected : float
        What the derivative should be.
    slack : float
        By how much a derivative may differ from ``expected`` and confirm it.
    size : float
        Norm of what ``project`` sums up at t = 0; its rounding error is added to ``slack``.
    """
    slopes: dict[float, float] = {}
    bends: dict[float, float] = {}
    rounding = {h: 2.0**-48 * size / h for h in CLOSE}  # a few rounding errors of float64
    with np.errstate(all="ignore"):
        middle = function(0.0)
        for h in CLOSE:
            right, left = function(h) - middle, middle - function(-h)
            slopes[h] = float(project(right + left)) / (2 * h)
            bends[h] = abs(float(project(right - left))) / h
            if abs(slopes[h] - expected) <= slack + rounding[h]:
                return slopes[h], rounding[h]
        widest_first = sorted(CLOSE, reverse=True)
        for h, finer in zip(widest_first, widest_first[1:], strict=False):
            least = abs(slopes[h] - expected) / 4
            if bends[h] <= least and abs(slopes[h] - slopes[finer]) <= least:
                return slopes[h], rounding[h]
    return None


def _extrapolated(
    function: Callable[[float], np.ndarray], h: float, project: Callable[[np.ndarray], np.ndarray]
) -> Derivative:
    first, second, third = (
        project(function(k * h) - function(-k * h)) / (2 * k * h) for k in (1, 2, 4)
    )
    fine, coarse = (4 * first - second) / 3, (4 * second - third) / 3
    value = (16 * fine - coarse) / 15
    error = np.abs(value - fine)
    return Derivative(value, np.where(np.isfinite(error), error, np.inf))


def _better(a: Derivative, b: Derivative) -> Derivative:
    return Derivative(np.where(b.error < a.error, b.value, a.value), np.minimum(a.error, b.error))
