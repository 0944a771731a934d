"""Making targets of arrays: what are class indices, what are values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from minidl.data.checks import check_finite
from minidl.data.parts import Part
from minidl.errors import DataError

Task = Literal["auto", "classification", "regression"]

_MOST_CLASSES = 1 << 20


def as_targets(values: np.ndarray, task: Task, dtype: str, label: str) -> np.ndarray:
    """Return ``values`` as class indices, int64, or as values of the float ``dtype``.

    Parameters
    ----------
    task : {"auto", "classification", "regression"}
        ``auto`` takes integers along one axis for class indices, everything else for values.
    label : str
        The array in messages.

    Returns
    -------
    numpy.ndarray
        Values along one axis become a column, shape (samples, 1), as a network's output is.

    Raises
    ------
    DataError
        If classes were asked for and the values are not whole, or one is no number.
    """
    whole = values.dtype.kind in "biu"
    if task == "classification" or (task == "auto" and whole and values.ndim == 1):
        check_finite(values, label)
        indices = values.astype(np.int64)
        if not whole and not np.array_equal(indices, values):
            raise DataError(f"{label}: class indices must be whole numbers; set task to regression")
        return indices
    floats = values.astype(dtype)
    return floats[:, np.newaxis] if floats.ndim == 1 else floats


def class_names(parts: Sequence[Part], given: Sequence[str], label: str) -> tuple[str, ...]:
    """Return the names of the classes: those given, or else their indices as text.

    Raises
    ------
    DataError
        If a class index is too great for a class.
    """
    if given or parts[0].targets.dtype.kind != "i":
        return tuple(given)
    targets = [np.asarray(part.targets) for part in parts]
    greatest = max((int(values.max()) for values in targets if values.size), default=-1)
    if greatest >= _MOST_CLASSES:
        raise DataError(
            f"{label}: a target is class {greatest}; classes count from 0, without gaps"
        )
    return tuple(map(str, range(greatest + 1)))
