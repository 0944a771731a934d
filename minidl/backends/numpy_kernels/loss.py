"""Kernels of the numpy backend for losses."""

from __future__ import annotations

import numpy as np

from minidl.backends.base import kernel


@kernel("numpy", "softmax_cross_entropy")
def softmax_cross_entropy(
    x: np.ndarray, t: np.ndarray, *, axis: int, out: np.ndarray
) -> np.ndarray:
    """Σ t · log Σ e^(x − max x) + Σ t · (max x − x), in two temporaries.

    0 · ∞ is put right only where it turned up, which is rare: at a class ruled out by its logit.
    """
    below = x.max(axis=axis, keepdims=True) - x
    work = np.negative(below)
    log_sum = np.log(np.exp(work, out=work).sum(axis=axis))
    missed = np.multiply(t, below, out=work).sum(axis=axis)
    if np.isnan(missed).any():
        missed = np.where(t == 0, 0, work).sum(axis=axis)
    return np.add(t.sum(axis=axis) * log_sum, missed, out=out)
