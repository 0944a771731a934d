"""The same numbers laid out otherwise in memory: receives NumPy arrays, returns views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np


def layouts(
    arrays: Sequence[np.ndarray],
) -> Iterator[tuple[str, list[np.ndarray], list[np.ndarray]]]:
    """Yield (name, arrays laid out in that way, contiguous arrays of the same values).

    Three layouts keep the values. A fourth repeats the first element of the last axis with a
    stride of 0, as broadcasting does, so its values are others.
    """
    if not any(array.size > 1 for array in arrays):
        return
    for name, change in _LAYOUTS.items():
        changed = [change(array) if array.size > 1 else array for array in arrays]
        yield name, changed, [np.ascontiguousarray(a).reshape(a.shape) for a in changed]


def _every_other(array: np.ndarray) -> np.ndarray:
    wide = np.repeat(array, 2, axis=-1)
    wide[..., 1::2] = False if array.dtype == bool else 1
    return wide[..., ::2]


def _column_major(array: np.ndarray) -> np.ndarray:
    return np.asfortranarray(array)


def _reversed(array: np.ndarray) -> np.ndarray:
    every = (slice(None, None, -1),) * array.ndim
    return array[every].copy()[every]


def _repeated(array: np.ndarray) -> np.ndarray:
    return np.broadcast_to(array[..., :1], array.shape)


_LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "every other element": _every_other,
    "column-major": _column_major,
    "reversed": _reversed,
    "broadcast": _repeated,
}
