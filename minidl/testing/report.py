"""What a check returns, and the comparison that every check comes down to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from minidl.errors import CheckError


@dataclass(frozen=True)
class Check:
    """One comparison that passed.

    Attributes
    ----------
    case : str
        What it was made on: one sample of an op, one mode of a layer.
    name : str
        What was compared: ``"gradient by b"``.
    error : float
        The largest relative error found; 0 where equality was asked for.
    allowed : float
        The largest relative error that passes.
    elements : int
        How many numbers were compared.
    total : int, optional
        Of how many, where only a sample of them was compared.
    kinks : int
        How many points were left out because a kink lies too near for finite differences.
    """

    case: str
    name: str
    error: float = 0.0
    allowed: float = 0.0
    elements: int = 1
    total: int | None = None
    kinks: int = 0


@dataclass(frozen=True)
class CheckReport:
    """All that was checked of one op, function or layer, every check having passed.

    Attributes
    ----------
    subject : str
        What was checked: ``"op 'multiply'"``.
    checks : tuple of Check
        In the order in which they were made.
    """

    subject: str
    checks: tuple[Check, ...]

    def by_name(self) -> dict[str, Check]:
        """Return, for each thing that was compared, its worst check over all cases."""
        worst: dict[str, Check] = {}
        for check in self.checks:
            held = worst.setdefault(check.name, check)
            if check.error > held.error:
                worst[check.name] = check
        return worst

    def worst(self, prefix: str = "") -> float:
        """Return the largest relative error of the checks whose name begins with ``prefix``."""
        return max((c.error for c in self.checks if c.name.startswith(prefix)), default=0.0)


@dataclass(frozen=True)
class Tolerance:
    """What two numbers may differ by: ``absolute + relative * max(|a|, |b|)``."""

    relative: float
    absolute: float

    def widened(self, absolute: float) -> Tolerance:
        """Return a tolerance of ``absolute`` more."""
        return Tolerance(self.relative, self.absolute + absolute)

    def errors(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return errors relative to the larger of both, softened so that ≤ relative passes.

        Equal infinities and NaN at the same place count as equal.
        """
        a, b = np.asarray(a, dtype="float64"), np.asarray(b, dtype="float64")
        with np.errstate(invalid="ignore", divide="ignore"):
            floor = self.absolute / self.relative if self.relative else 0.0
            scale = np.maximum(np.abs(a), np.abs(b)) + floor
            error = np.abs(a - b) / scale
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return np.where(same, 0.0, np.where(np.isfinite(error), error, np.inf))


def compare(
    case: str,
    name: str,
    got: np.ndarray,
    expected: np.ndarray,
    tolerance: Tolerance,
    words: tuple[str, str],
    explain: Callable[[tuple[int, ...]], str] | None = None,
    where: np.ndarray | None = None,
    place: str | None = None,
) -> Check:
    """Compare element by element.

    Parameters
    ----------
    words : (str, str)
        How the two sides are called in the message: ``("the rule gives", "… give")``.
    explain : callable, optional
        Given the index of the worst element, returns a sentence to end the message with.
    where : array of bool, optional
        Which elements to compare; default all.
    place : str, optional
        How the message says where it is; default the index of the worst element.

    Raises
    ------
    CheckError
        Naming the worst element, both values and the relative error.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    errors = tolerance.errors(got, expected)
    if where is not None:
        errors = np.where(where, errors, 0.0)
    if errors.size and errors.max() > tolerance.relative:
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(errors)), errors.shape))
        a, b = float(got[index]), float(expected[index])
        if place is None:
            place = f" at {list(index)}" if index else ""
        more = explain(index) if explain is not None else ""
        raise CheckError(
            f"{case}: {name} is wrong{place}: {words[0]} {a:.10g}, {words[1]} {b:.10g} "
            f"(relative error {_relative(a, b):.2g}, allowed {tolerance.relative:g})"
            f"{'; ' if more else ''}{more}"
        )
    count = errors.size if where is None else int(np.count_nonzero(where))
    return Check(case, name, float(errors.max(initial=0.0)), tolerance.relative, count)


def listed(items: Iterable[object]) -> str:
    """Return ``items`` separated by commas."""
    return ", ".join(str(item) for item in items)


def _relative(a: float, b: float) -> float:
    scale = max(abs(a), abs(b))
    return abs(a - b) / scale if scale > 0 and np.isfinite(scale) else float("inf")
