"""Random numbers on the host: functions of a seed, what they are for, an epoch and a batch.

All are made of raw words of the counter-based generator Philox 4x64-10 (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011), whose stream NumPy keeps fixed.
"""

from __future__ import annotations

import math

import numpy as np

SHUFFLE, VALIDATION, TEST, BALANCE, WINDOWS, AUGMENT, EXTRA = range(7)
"""What a draw is for: draws for one purpose say nothing about those for another."""

_WORD = 2**64 - 1


def random_order(count: int, seed: int, purpose: int = SHUFFLE, epoch: int = 0) -> np.ndarray:
    """Return a permutation of ``range(count)``: a function of its arguments alone."""
    return np.argsort(_philox(seed, purpose, epoch).random_raw(count), kind="stable")


def random_below(high: int, seed: int, purpose: int, epoch: int = 0) -> int:
    """Return one number from 0 to ``high`` − 1: a function of its arguments alone."""
    word = int(_philox(seed, purpose, epoch).random_raw())
    return word * high >> 64


class Draws:
    """Random numbers for one batch: functions of the arguments and of what was drawn before.

    Parameters
    ----------
    seed, epoch, batch : int
    stream : int
        Tells apart those who draw for the same batch.
    """

    def __init__(self, seed: int, epoch: int, batch: int, stream: int = 0) -> None:
        self._source = _philox(seed, AUGMENT, epoch, batch + (stream << 32))

    def uniform(self, *shape: int) -> np.ndarray:
        """Return float64 numbers drawn evenly from [0, 1): the upper 53 bits of a word each."""
        words = self._source.random_raw(math.prod(shape))
        return ((words >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def chance(self, p: float, *shape: int) -> np.ndarray:
        """Return booleans that are true with probability ``p``."""
        return self.uniform(*shape) < p

    def integers(self, high: int, *shape: int) -> np.ndarray:
        """Return int64 numbers drawn evenly from 0 to ``high`` − 1, ``high`` being below 2³²."""
        return (self.uniform(*shape) * high).astype(np.int64)

    def permutation(self, count: int) -> np.ndarray:
        """Return ``range(count)`` in an order in which all orders are alike."""
        return np.argsort(self._source.random_raw(count), kind="stable")

    def beta(self, alpha: float, *shape: int) -> np.ndarray:
        """Return float64 numbers in [0, 1] of the distribution Beta(α, α), α above 0.

        ½ (1 ± 1 / √(1 + 1 / q)) with q = (u^(−1/α) − 1) cos² 2πv and the sign of cos 2πv, u and v
        drawn evenly. It follows from Bailey, "Polar generation of random variates with the
        t-distribution", 1994: √2α (2b − 1) / (2 √(b (1 − b))) has that one with 2α degrees.
        """
        u, v = 1.0 - self.uniform(*shape), self.uniform(*shape)
        cosine = np.cos(2 * np.pi * v)
        with np.errstate(over="ignore", divide="ignore"):
            ratio = np.expm1(-np.log(u) / alpha) * cosine**2
            return 0.5 * (1.0 + np.copysign(1.0, cosine) / np.sqrt(1.0 + 1.0 / ratio))


def _philox(seed: int, purpose: int, epoch: int = 0, batch: int = 0) -> np.random.Philox:
    key = np.array([seed & _WORD, 0], np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, batch, epoch, purpose], np.uint64))
