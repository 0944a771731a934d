"""From a part to batches: receives samples, a seed and an epoch, returns what one step takes.

Every order drawn here is a function of the seed, what it is for and the epoch, and of nothing
else; what transforms draw is a function of the batch too.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Literal

import numpy as np

from minidl.data.draws import BALANCE, EXTRA, SHUFFLE, TEST, VALIDATION, Draws, random_order
from minidl.data.parts import LazyArray, Part
from minidl.data.prefetch import prefetched
from minidl.data.transforms import Transform
from minidl.errors import DataError, placed

__all__ = ["TEST", "VALIDATION", "batch_count", "batches", "hold_out", "split_rows"]

Batch = tuple[np.ndarray, np.ndarray]
Sampler = Literal["uniform", "balanced"]


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
    sampler: Sampler = "uniform",
    transforms: Sequence[Transform] = (),
    prefetch: int = 0,
) -> Generator[Batch, None, None]:
    """Yield the batches of one epoch as (inputs, targets), in the dtypes they are stored in.

    They are a function of the arguments alone; whoever stops before the last one closes the
    iterator (:func:`contextlib.closing`), which ends the thread that prefetches.

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
    sampler : {"uniform", "balanced"}
        Each sample once, or as many samples of every class: see :func:`balanced_order`.
    transforms : sequence of Transform
        What each batch goes through, set up by who calls.
    prefetch : int
        How many batches a thread prepares ahead; 0 for no thread.

    Raises
    ------
    DataError
        If the epoch has no batch, or the sampler cannot serve; on the call, not when the first is
        asked for.
    """
    count = batch_count(len(part), batch_size, drop_last)
    part = part.in_epoch(seed, epoch) if shuffle else part
    with placed("data.sampler"):
        order = _order(part, seed, epoch, shuffle, sampler)
    made = _batches(part, batch_size, order, range(start, count))
    if transforms:
        made = _transformed(made, transforms, seed, epoch, start)
    return prefetched(made, prefetch) if prefetch else made


def balanced_order(classes: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return as many positions as ``classes`` has, as many of each class, in random order.

    Shares differ by one at most, and within a class so do the times that a sample appears: of a
    frequent class some samples wait for another epoch, those of a rare one appear several times.
    """
    count = len(classes)
    order = random_order(count, seed, SHUFFLE, epoch)
    _, indices, sizes = np.unique(classes[order], return_inverse=True, return_counts=True)
    members = np.split(order[np.argsort(indices, kind="stable")], np.cumsum(sizes)[:-1])
    shares = np.full(len(sizes), count // len(sizes))
    lucky = random_order(len(sizes), seed, EXTRA, epoch)[: count % len(sizes)]
    shares[lucky] += 1
    chosen = np.concatenate(
        [np.resize(rows, share) for rows, share in zip(members, shares, strict=True)]
    )
    return chosen[random_order(count, seed, BALANCE, epoch)]


def _order(part: Part, seed: int, epoch: int, shuffle: bool, sampler: Sampler) -> np.ndarray | None:
    if sampler == "uniform":
        return random_order(len(part), seed, SHUFFLE, epoch) if shuffle else None
    if not shuffle:
        raise DataError("sampler = 'balanced' draws an order of its own; leave shuffle = true")
    if not _is_class_index(part.targets):
        raise DataError(
            f"sampler = 'balanced' needs a class for each sample; the targets are "
            f"{part.target_spec} a sample"
        )
    targets = np.asarray(part.targets if part.rows is None else part.targets[part.rows])
    return balanced_order(targets, seed, epoch)


def _batches(
    part: Part, batch_size: int, order: np.ndarray | None, indices: range
) -> Generator[Batch, None, None]:
    for index in indices:
        first, last = index * batch_size, (index + 1) * batch_size
        if order is None:
            yield part.span(first, last)
        else:
            yield part.gather(order[first:last])


def _transformed(
    made: Generator[Batch, None, None],
    transforms: Sequence[Transform],
    seed: int,
    epoch: int,
    start: int,
) -> Generator[Batch, None, None]:
    for batch, (inputs, targets) in enumerate(made, start):
        for stream, change in enumerate(transforms):
            inputs, targets = change(inputs, targets, Draws(seed, epoch, batch, stream))
        yield inputs, targets


def _shuffled(classes: np.ndarray, seed: int, purpose: int) -> np.ndarray:
    """Return the classes under other numbers, so that no rare class is always the one left out."""
    names, indices = np.unique(classes, return_inverse=True)
    return random_order(len(names), seed, purpose, epoch=1)[indices]


def _is_class_index(targets: np.ndarray | LazyArray) -> bool:
    return targets.ndim == 1 and targets.dtype.kind in "iu"
