"""From text to tokens: receives text or a file of it, returns small integers, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data.files import reading
from minidl.errors import DataError

_CHUNK = 1 << 20


class Tokenizer(ABC):
    """Makes tokens of text and text of tokens.

    Attributes
    ----------
    names : tuple of str
        What stands for each token where a person reads it.
    """

    names: tuple[str, ...]

    @abstractmethod
    def read(self, path: Path) -> np.ndarray:
        """Return the tokens of a file, shape (tokens,), in the smallest dtype that holds them."""

    @abstractmethod
    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text, in the dtype that :meth:`read` returns."""

    @abstractmethod
    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        """Return the text of tokens."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what the tokens are, in values that JSON has."""


class ByteTokenizer(Tokenizer):
    """A token is a byte."""

    names = tuple(chr(b) if 32 < b < 127 else f"0x{b:02x}" for b in range(256))

    def read(self, path: Path) -> np.ndarray:
        """Map the file: its bytes are its tokens.

        Raises
        ------
        DataError
            If it is missing or empty.
        """
        with reading(path):
            if path.stat().st_size == 0:
                raise DataError(f"{path}: is empty")
            return np.asarray(np.memmap(path, np.uint8, "r"))

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        return np.asarray(tokens).astype(np.uint8).tobytes().decode(errors="replace")

    def state(self) -> dict[str, Any]:
        return {"tokenizer": "byte"}


class CharTokenizer(Tokenizer):
    """A token is a character, by its index in a vocabulary.

    Parameters
    ----------
    vocabulary : str
        Each character once, sorted.
    """

    def __init__(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary
        self.names = tuple(vocabulary)
        self.dtype = np.min_scalar_type(max(0, len(vocabulary) - 1))
        self._codes = _code_points(vocabulary)

    @classmethod
    def of(cls, path: Path) -> CharTokenizer:
        """Return the one whose vocabulary is the characters that a file has.

        Raises
        ------
        DataError
            If the file is missing, empty or not UTF-8.
        """
        seen: set[str] = set()
        for text in _chunks(path):
            seen.update(text)
        return cls("".join(sorted(seen)))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CharTokenizer:
        """Return the one that :meth:`state` described.

        Raises
        ------
        DataError
            If it described none.
        """
        vocabulary = state.get("vocabulary")
        if not isinstance(vocabulary, str) or list(vocabulary) != sorted(set(vocabulary)):
            raise DataError("the stored state of the dataset is not a vocabulary of characters")
        return cls(vocabulary)

    def read(self, path: Path) -> np.ndarray:
        """Read the file, a million characters at a time.

        Raises
        ------
        DataError
            If it is missing, empty or not UTF-8, or naming the place of an unknown character.
        """
        tokens, lines = array(self.dtype.char), 1
        for text in _chunks(path):
            tokens.frombytes(self._encode(text, f"{path}:", lines).tobytes())
            lines += text.count("\n")
        return np.frombuffer(tokens, self.dtype)

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text.

        Raises
        ------
        DataError
            Naming a character that is not in the vocabulary.
        """
        return self._encode(text, "the text, line ", 1)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        return "".join(self.names[int(token)] for token in tokens)

    def state(self) -> dict[str, Any]:
        return {"tokenizer": "char", "vocabulary": self.vocabulary}

    def _encode(self, text: str, where: str, line: int) -> np.ndarray:
        codes = _code_points(text)
        tokens = np.searchsorted(self._codes, codes)
        known = tokens < len(self._codes)
        known[known] = self._codes[tokens[known]] == codes[known]
        if not known.all():
            place = int(np.argmin(known))
            line += text.count("\n", 0, place)
            raise DataError(
                f"{where}{line}: {text[place]!r} is not among the {len(self.names)} characters "
                "of the vocabulary"
            )
        return tokens.astype(self.dtype)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _chunks(path: Path) -> Iterator[str]:
    """Yield the text of a file piece by piece, its line ends as they are."""
    empty = True
    with reading(path):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                while text := file.read(_CHUNK):
                    empty = False
                    yield text
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8, or set "
                "tokenizer = 'byte'"
            ) from None
    if empty:
        raise DataError(f"{path}: is empty")
