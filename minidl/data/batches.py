"""From a part to batches: receives samples, a seed and an epoch, returns what one step takes.

Every order drawn here is a function of the seed, what it is for and the epoch, and of nothing
else: keys are raw words of the counter-based generator Philox 4x64-10 (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011), whose stream NumPy keeps fixed, sorted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidl.data.parts import Part
from minidl.errors import DataError

SHUFFLE, VALIDATION, TEST = range(3)
"""What an order is drawn for: draws for one purpose say nothing about those for another."""

_WORD = 2**64 - 1


def random_order(count: int, seed: int, purpose: int = SHUFFLE, epoch: int = 0) -> np.ndarray:
    """Return a permutation of ``range(count)``: a function of its arguments alone."""
    key = np.array([seed & _WORD, 0], np.uint64)
    counter = np.array([0, 0, epoch, purpose], np.uint64)
    words = np.random.Philox(key=key, counter=counter).random_raw(count)
    return np.argsort(words, kind="stable")


def split_rows(
    count: int,
    fraction: float,
    seed: int,
    *,
    classes: np.ndarray | None = None,
    purpose: int = VALIDATION,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide ``range(count)`` in two at random: the rest, and ``fraction`` of it, both sorted.

    Parameters
    ----------
    classes : numpy.ndarray, optional
        Class of each; the share of every class is then the same in both, within one sample.

    Raises
    ------
    DataError
        If one of the two would be empty.
    """
    held_count = max(1, round(fraction * count))
    if held_count >= count:
        raise DataError(
            f"cannot hold out {fraction:g} of {count} samples and keep any; "
            "hold out less, or bring more samples"
        )
    order = random_order(count, seed, purpose)
    if classes is not None:
        order = order[np.argsort(_shuffled(classes, seed, purpose)[order], kind="stable")]
    # Evenly spaced places in an order sorted by class take from each class its share.
    places = ((np.arange(held_count) + 0.5) * (count / held_count)).astype(np.intp)
    held = np.zeros(count, bool)
    held[order[places]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out(
    part: Part, fraction: float, seed: int, purpose: int = VALIDATION
) -> tuple[Part, Part]:
    """Divide ``part`` into what remains for training and a part that is held out.

    Which samples are held out is a function of ``seed``; class indices keep the share of every
    class. No sample is copied: both share the arrays of ``part``.

    Raises
    ------
    DataError
        If one of the two would be empty.
    """
    rows = np.arange(len(part.inputs)) if part.rows is None else part.rows
    classes = part.targets[rows] if _is_class_index(part.targets) else None
    rest, held = split_rows(len(part), fraction, seed, classes=classes, purpose=purpose)
    return Part(part.inputs, part.targets, rows[rest]), Part(part.inputs, part.targets, rows[held])


def batch_count(samples: int, batch_size: int, drop_last: bool = False) -> int:
    """Return how many batches an epoch of ``samples`` has.

    Raises
    ------
    DataError
        If there is none.
    """
    if batch_size < 1:
        raise DataError(f"a batch needs at least one sample, not batch_size = {batch_size}")
    count = samples // batch_size if drop_last else -(-samples // batch_size)
    if count == 0:
        raise DataError(
            f"{samples} samples make no batch of {batch_size}; "
            "lower batch_size, or keep the last, smaller batch"
        )
    return count


def batches(
    part: Part,
    batch_size: int,
    seed: int = 0,
    epoch: int = 0,
    *,
    shuffle: bool = True,
    drop_last: bool = False,
    start: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the batches of one epoch as (inputs, targets), in the dtypes they are stored in.

    Parameters
    ----------
    shuffle : bool
        In an order that is a function of ``seed`` and ``epoch``, each sample copied once into a
        batch of its own. Otherwise in the order of the part, and where possible as views of it,
        which are not to be written to.
    drop_last : bool
        Leave out the last batch if it is smaller than the others.
    start : int
        The batch to begin with, to go on with an epoch that was interrupted.

    Raises
    ------
    DataError
        If the epoch has no batch; on the call, not when the first is asked for.
    """
    count = batch_count(len(part), batch_size, drop_last)
    order = random_order(len(part), seed, SHUFFLE, epoch) if shuffle else None
    return _batches(part, batch_size, order, range(start, count))


def _batches(
    part: Part, batch_size: int, order: np.ndarray | None, indices: range
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for index in indices:
        first, last = index * batch_size, (index + 1) * batch_size
        if order is None:
            yield part.span(first, last)
        else:
            yield part.gather(order[first:last])


def _shuffled(classes: np.ndarray, seed: int, purpose: int) -> np.ndarray:
    """Return the classes under other numbers, so that no rare class is always the one left out."""
    names, indices = np.unique(classes, return_inverse=True)
    return random_order(len(names), seed, purpose, epoch=1)[indices]


def _is_class_index(targets: np.ndarray) -> bool:
    return targets.ndim == 1 and targets.dtype.kind in "iu"
