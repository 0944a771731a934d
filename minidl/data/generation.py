"""Text, continued: receives a network's scores of what comes next, returns what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from minidl.data.draws import Draws
from minidl.data.text import Text
from minidl.errors import DataError


def continue_text(
    scores: Callable[[np.ndarray], np.ndarray],
    dataset: Text,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Iterator[int]:
    """Yield the tokens that continue ``prompt``, one at a time.

    Parameters
    ----------
    scores : callable
        Takes tokens, shape (1, context), and returns logits, shape (1, context, vocabulary), of
        the token behind each of them. What stands behind a token must not matter to its logits:
        a shorter text is filled up on the right.
    length : int
        How many tokens to add.
    temperature : float
        What logits are divided by; 0 always takes the most probable token.
    top_k : int, optional
        Draw from so many of the most probable tokens; of equal ones the first are taken.
    seed : int
        Draws are a function of it.

    Raises
    ------
    DataError
        If the prompt is empty or has a character that the vocabulary lacks, or a number is too
        small.
    """
    least = {"length": (length, 1), "temperature": (temperature, 0), "seed": (seed, 0)}
    if top_k is not None:
        least["top_k"] = (top_k, 1)
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise DataError(f"{name} must be at least {smallest}, got {value}")
    encoded = dataset.encode(prompt)
    if not len(encoded):
        raise DataError("the prompt is empty; give at least one character to continue")
    tokens, context = encoded.tolist(), dataset.context
    window = np.zeros((1, context), encoded.dtype)
    for index in range(length):
        recent = tokens[-context:]
        window[0, : len(recent)] = recent
        logits = scores(window)[0, len(recent) - 1].astype(np.float64)
        token = pick(logits, temperature, top_k, Draws(seed, 0, index))
        tokens.append(token)
        yield token


def pick(logits: np.ndarray, temperature: float, top_k: int | None, draws: Draws) -> int:
    """Draw a token from the softmax of ``logits`` / ``temperature``."""
    if temperature == 0:
        return int(logits.argmax())
    scaled = logits / temperature
    if top_k is not None and top_k < len(scaled):
        scaled[np.argsort(-scaled, kind="stable")[top_k:]] = -np.inf
    shares = np.exp(scaled - scaled.max()).cumsum()
    drawn = float(draws.uniform(1)[0]) * shares[-1]
    return int(np.searchsorted(shares, drawn, side="right"))
