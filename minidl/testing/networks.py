"""Network checks: receive a network and a batch, return a report of a sample of its gradients.

A network has more parameters than finite differences can visit and, next to every point, more
kinks than they can avoid. So a few elements of each parameter are compared, and all of them
together along a random direction; a point that turns out to lie at a kink is put aside for
another one. What the report says was compared agrees as closely as in any other check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minidl.errors import CheckError
from minidl.graph import tensor
from minidl.testing.differences import slope_near
from minidl.testing.draws import draw
from minidl.testing.gradients import (
    WORDS,
    Traced,
    flat,
    same_in_float32,
    signs,
)
from minidl.testing.layers import LayerRun, first_values, require_connected, through_config
from minidl.testing.report import Check, CheckReport, Tolerance, compare

POINTS = 160
"""In how many points a network is compared by default, over all its parameters."""
_TRIES = 4
"""How many points are tried for each that is to be compared."""


def check_network(
    network: Any,
    *inputs: Any,
    subject: str = "network",
    seed: int = 0,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    elements: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Check the gradients of a network as training computes them, to first order.

    That its config makes it again; that its output has the shape and dtype it said; that the
    same seed gives the same bits; that every trainable parameter reaches the output; that the
    gradient by each agrees with finite differences in float64, in training mode; and that
    float32 gives the same to within its rounding.

    Parameters
    ----------
    network : Layer
        What is checked is a copy made from its config.
    *inputs
        What :func:`minidl.testing.draw` takes; best a few real samples.
    subject : str
        What the network is called in messages.
    seed : int
        Decides drawn inputs, parameters, output weights, elements and directions.
    rtol, atol : float
        Allowed difference: ``atol + rtol * max(|rule|, |finite difference|, r)``, where r is the
        root mean square of the gradient by that parameter, or its norm for a direction.
    elements : int, optional
        How many elements of each parameter are compared; by default so many that the whole
        network has about 160 points, and at least one.
    progress : callable, optional
        ``progress(done, total)`` is called as parameters are done.

    Returns
    -------
    CheckReport
        Its checks say how many elements were compared, of how many.

    Raises
    ------
    CheckError
        At the first fault, saying where it is; or if a parameter has a kink at every point tried.
    """
    fresh = through_config(network, subject)
    rng = np.random.default_rng(seed)
    arrays = [draw(each, rng) for each in inputs]
    arrays = [a.astype("float32") if a.dtype.kind == "f" else a for a in arrays]
    fresh.setup(*(tensor(array).spec for array in arrays))
    run = LayerRun(fresh, subject, arrays, first_values(fresh, seed, rng))
    checks = [Check(subject, "the config round trip"), run.check_outputs()]
    checks.append(run.check_repeats(training=True, seed=seed))
    traced = run.traced(True, seed, rng, fixed=run.names[: len(arrays)])
    require_connected(traced)
    checks += _sampled(traced, Tolerance(rtol, atol), rng, elements, progress)
    checks += same_in_float32(traced, forgiving=True)
    return CheckReport(subject, tuple(checks))


def _sampled(
    traced: Traced,
    tolerance: Tolerance,
    rng: np.random.Generator,
    elements: int | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Check]:
    total = len(traced.variables)
    each = max(1, POINTS // max(total, 1) - 1) if elements is None else elements
    gradients = traced.gradient_values(traced.arrays)
    size = _size(traced)
    for done, (index, gradient) in enumerate(zip(traced.variables, gradients, strict=True), 1):
        yield _Points(traced, index, gradient, tolerance, size).check(rng, each)
        if progress is not None:
            progress(done, total)


def _size(traced: Traced) -> float:
    """Return the norm of what finite differences sum up; raise CheckError if it is not finite."""
    values = traced.values(traced.arrays)
    if not all(np.isfinite(value).all() for value in values):
        raise CheckError(f"{traced.case}: its output is not finite, so nothing can be compared")
    return float(np.linalg.norm(flat(traced.weights) * flat(values)))


class _Points:
    """Compares the gradient by one variable with finite differences, point by point."""

    def __init__(
        self, traced: Traced, index: int, gradient: np.ndarray, tolerance: Tolerance, size: float
    ) -> None:
        self.traced, self.index, self.gradient = traced, index, gradient
        self.tolerance, self.size = tolerance, size
        self.name = f"the gradient by '{traced.names[index]}'"
        self.errors: list[float] = []
        self.kinks = 0

    def check(self, rng: np.random.Generator, elements: int) -> Check:
        """Compare ``elements`` elements, and all of them along a direction."""
        wanted = min(elements, self.gradient.size)
        for position in self._candidates(rng, wanted * _TRIES):
            if len(self.errors) == wanted:
                break
            self._compare_element(position)
        compared = len(self.errors)
        if self.gradient.size > 1:
            any(self._compare_along(signs(self.gradient.shape, rng)) for _ in range(_TRIES))
        if self.gradient.size and not self.errors:
            raise CheckError(
                f"{self.traced.case}: {self.name} cannot be compared: a kink lies at each of "
                f"{self.kinks} points that were tried; try another seed"
            )
        largest = max(self.errors, default=0.0)
        relative, total = self.tolerance.relative, self.gradient.size
        return Check(self.traced.case, self.name, largest, relative, compared, total, self.kinks)

    def _candidates(self, rng: np.random.Generator, count: int) -> list[int]:
        """Return elements in the order to try them: by turns one that matters, and any other."""
        order = rng.permutation(self.gradient.size)
        live = order[self.gradient.ravel()[order] != 0][: (count + 1) // 2]
        rest = order[~np.isin(order, live)][: count - len(live)]
        both = np.concatenate([live, rest])
        turns = np.concatenate([2 * np.arange(len(live)), 2 * np.arange(len(rest)) + 1])
        return [int(position) for position in both[np.argsort(turns)]]

    def _compare_element(self, position: int) -> bool:
        element = tuple(int(i) for i in np.unravel_index(position, self.gradient.shape))
        direction = np.zeros(self.gradient.shape)
        direction[element] = 1.0
        scale = float(np.sqrt(np.mean(np.square(self.gradient))))
        place = f" at {list(element)}" if element else ""
        return self._compare(direction, scale, place)

    def _compare_along(self, direction: np.ndarray) -> bool:
        scale = float(np.linalg.norm(self.gradient))
        return self._compare(direction, scale, " along a random direction")

    def _compare(self, direction: np.ndarray, scale: float, place: str) -> bool:
        """Compare along ``direction``; False where a kink hides the slope."""
        rule = np.vdot(self.gradient, direction)
        slack = self.tolerance.widened(self.tolerance.relative * scale)
        along = self.traced.along({self.index: direction}, self.traced.values)
        room = slack.absolute + slack.relative * float(abs(rule))
        found = slope_near(along, float(rule), room, self.traced.project, self.size)
        if found is None:
            self.kinks += 1
            return False
        slope, rounding = np.asarray(found[0]), found[1]
        slack = slack.widened(rounding)
        check = compare(self.traced.case, self.name, rule, slope, slack, WORDS, place=place)
        self.errors.append(check.error)
        return True
