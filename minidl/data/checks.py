"""What must hold of every dataset, whoever declares it, before a network sees a sample."""

from __future__ import annotations

import numpy as np

from minidl.data.parts import LazyArray, Part, Splits
from minidl.errors import DataError
from minidl.graph.spec import DTYPES

_TARGET_DTYPES = ("int64", "float32", "float64")
_BLOCK_BYTES = 1 << 22


def check_splits(splits: Splits, label: str) -> Splits:
    """Return ``splits`` if training can rely on it.

    Parameters
    ----------
    label : str
        The dataset in messages.

    Raises
    ------
    DataError
        If a part is empty, differs from the training part in shape or dtype, has a dtype that
        minidl has not, a value that is not finite, or a class index that is no class; where a
        sample has several, negative ones are places that have none. Values that are only made
        when they are asked for are not looked at.
    """
    seen: set[int] = set()
    for name, part in splits.parts():
        if len(part) == 0:
            raise DataError(f"{label}: the {name} part is empty")
        _check_specs(part, splits, f"{label}: the {name}")
        _check_classes(part, len(splits.classes), f"{label}: {name} target")
        for what, array in (("inputs", part.inputs), ("targets", part.targets)):
            if id(array) not in seen and not isinstance(array, LazyArray):
                check_finite(array, f"{label}: {name} {what}")
                seen.add(id(array))
    return splits


def check_finite(array: np.ndarray, label: str) -> None:
    """Raise DataError naming the first NaN or infinity of ``array``, by its indices.

    Works through it in blocks, so that an array on disk is never in memory as a whole.
    """
    if array.dtype.kind != "f" or array.size == 0:
        return
    rows = max(1, _BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        wrong = ~np.isfinite(array[start : start + rows])
        if wrong.any():
            place = [int(i) for i in np.argwhere(wrong)[0]]
            place[0] += start
            raise DataError(
                f"{label}[{', '.join(map(str, place))}] is {array[tuple(place)]}; "
                "replace it or leave the sample out"
            )


def _check_specs(part: Part, splits: Splits, label: str) -> None:
    if part.inputs.dtype.name not in DTYPES:
        raise DataError(f"{label} inputs have dtype {part.inputs.dtype}, which is not a number")
    if part.targets.dtype.name not in _TARGET_DTYPES:
        raise DataError(
            f"{label} targets have dtype {part.targets.dtype}; "
            "class indices must be int64, values float32 or float64"
        )
    for what in ("input", "target"):
        found, wanted = getattr(part, f"{what}_spec"), getattr(splits, f"{what}_spec")
        if found != wanted:
            raise DataError(f"{label} {what}s are {found} a sample, the train {what}s {wanted}")


def _check_classes(part: Part, classes: int, label: str) -> None:
    targets = part.targets
    if not classes or targets.dtype.kind != "i" or isinstance(targets, LazyArray):
        return
    none = targets < 0 if targets.ndim == 1 else False
    wrong = np.flatnonzero(none | (targets >= classes))
    if wrong.size:
        value = targets.reshape(-1)[wrong[0]]
        row = wrong[0] // max(1, targets[0].size)
        raise DataError(f"{label} {row} is class {value}; the {classes} classes count from 0")
