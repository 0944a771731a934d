"""Text, for networks that predict the next character or byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt

from minidl.data.base import Dataset, dataset
from minidl.data.checks import check_splits
from minidl.data.draws import WINDOWS, random_below
from minidl.data.files import find_files
from minidl.data.parts import LazyArray, Part, Splits
from minidl.data.tokens import ByteTokenizer, CharTokenizer, Tokenizer
from minidl.errors import DataError
from minidl.graph import Tensor

_TINY_SHAKESPEARE = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
)


class Windows(LazyArray):
    """Windows of equal length, one behind the other, cut from tokens when asked for.

    Parameters
    ----------
    tokens : numpy.ndarray
        All tokens, shape (tokens,).
    count, length : int
        How many windows there are, and of how many tokens.
    start : int
        Where the first one begins.
    dtype : str
        Of the windows.
    """

    def __init__(
        self, tokens: np.ndarray, count: int, length: int, start: int, dtype: str | np.dtype
    ) -> None:
        super().__init__((count, length), dtype)
        self.tokens = tokens
        self._all = np.lib.stride_tricks.sliding_window_view(tokens[start:], length)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return windows, shape (rows, length)."""
        return self._all[np.asarray(rows) * self.shape[1]].astype(self.dtype, copy=False)


@dataclass(frozen=True)
class TextPart(Part):
    """Windows and, one token further on, their targets; moved along the text every epoch.

    Attributes
    ----------
    shifts : int
        At how many places the windows of an epoch can begin.
    """

    shifts: int = 1

    @classmethod
    def cut(
        cls, tokens: np.ndarray, context: int, *, moving: bool = False, start: int = 0
    ) -> TextPart:
        """Return a text cut into windows without gaps or overlap; what is left over is dropped.

        With ``moving`` there is room for the first window to begin at any of ``context`` places,
        as far as the text is long enough.
        """
        count = (len(tokens) - 1) // context
        if moving:
            count = max(1, len(tokens) // context - 1)
        return cls(
            Windows(tokens, count, context, start, tokens.dtype),
            Windows(tokens, count, context, start + 1, "int64"),
            shifts=min(context, len(tokens) - count * context) if moving else 1,
        )

    def in_epoch(self, seed: int, epoch: int) -> Part:
        """Return the windows of an epoch: a function of ``seed`` and ``epoch``."""
        windows = self.inputs
        if self.shifts == 1 or not isinstance(windows, Windows):
            return self
        start = random_below(self.shifts, seed, WINDOWS, epoch)
        return self.cut(windows.tokens, windows.shape[1], moving=True, start=start)


@dataset("text")
class Text(Dataset):
    """A text, cut into windows of ``context`` tokens; what comes after each is to be predicted.

    Inputs and targets are token indices of shape (samples, context), the targets one token further
    on. The first part of the text trains, the last validates, and behind it comes the test part,
    if there is one; nothing is held out at random, so ``validation`` does nothing. An epoch
    sees the training text once: as windows side by side, which begin at another place every
    epoch, in random order. Tokens stay a byte each where 256 are enough; windows are cut when
    their batch is used.

    Attributes
    ----------
    path : str
        A file of text. Either it or ``corpus``.
    corpus : str
        Name of a folder with ``input.txt``, or with one file ``*.txt``, in the folder that the
        environment variable MINIDL_DATA names, else in minidl's folder among the user's data:
        ``tinyshakespeare``.
    tokenizer : {"char", "byte"}
        Tokens are the characters that the text has, which must be UTF-8, or the 256 bytes.
    context : int
        Tokens of a window.
    validation_fraction, test_fraction : float
        Shares of the text; 0 for none.
    """

    paths: ClassVar[tuple[str, ...]] = ("path",)
    validates_by: ClassVar[str] = "validation_fraction decides what validates"
    predicts_inputs: ClassVar[bool] = True

    path: str = ""
    corpus: str = ""
    tokenizer: Literal["char", "byte"] = "char"
    context: Annotated[int, Ge(1)] = 64
    validation_fraction: Annotated[float, Ge(0), Lt(1)] = 0.1
    test_fraction: Annotated[float, Ge(0), Lt(1)] = 0.0

    _tokens: Tokenizer | None = field(default=None, init=False)

    def check_fields(self) -> None:
        if bool(self.path) == bool(self.corpus):
            raise ValueError("give either path, a file of text, or corpus, such as tinyshakespeare")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction leave nothing to train with")

    def load(self) -> Splits:
        """Read the text as tokens.

        Raises
        ------
        DataError
            If it is missing, empty, not UTF-8, has a character that a network trained before does
            not know, or is too short for a window.
        """
        path = self._file()
        if self._tokens is None:
            self._tokens = CharTokenizer.of(path) if self.tokenizer == "char" else ByteTokenizer()
        tokens = self._tokens.read(path)
        last = len(tokens) - round(len(tokens) * self.test_fraction)
        first = last - round(len(tokens) * self.validation_fraction)
        return Splits(
            self._part(path, tokens[:first], "training", moving=True),
            self._part(path, tokens[first:last], "validation") if first < last else None,
            self._part(path, tokens[last:], "test") if last < len(tokens) else None,
            classes=self._tokens.names,
        )

    def splits(self, validation: float = 0.0, seed: int = 0) -> Splits:
        """Read the text as tokens; only ``validation_fraction`` decides what validates.

        Raises
        ------
        DataError
            As :meth:`load` does.
        """
        return check_splits(self.load(), self.label)

    def prepare(self, inputs: Tensor) -> Tensor:
        """Return the tokens as int64, for an embedding."""
        return inputs.astype("int64")

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a text, shape (tokens,), in the dtype of the inputs.

        Raises
        ------
        DataError
            If it has a character that is not in the vocabulary.
        """
        return self.vocabulary.encode(text)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> str:
        """Return the text of tokens; bytes that are no UTF-8 become replacement characters."""
        return self.vocabulary.decode(tokens)

    @property
    def vocabulary(self) -> Tokenizer:
        """What makes tokens of text and text of tokens; reads the text if nothing did before."""
        if self._tokens is None:
            self.load()
        assert self._tokens is not None
        return self._tokens

    def state(self) -> dict[str, Any]:
        """Return the vocabulary; empty as long as none is known."""
        return {} if self._tokens is None else self._tokens.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a vocabulary in; later texts are read with it."""
        if self.tokenizer == "byte":
            self._tokens = ByteTokenizer()
        else:
            self._tokens = CharTokenizer.from_state(state)

    def _file(self) -> Path:
        if self.path:
            return Path(self.path)
        if self.corpus == "tinyshakespeare":
            advice = f"get input.txt from {_TINY_SHAKESPEARE}"
        else:
            advice = "make input.txt of the texts"
        patterns = ("input.txt", "*.txt")
        found = find_files(self.corpus, patterns, "input.txt", advice, setting="path")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DataError(f"{found[0].parent}: has several texts ({names}); set path to one")
        return found[0]

    def _part(self, path: Path, tokens: np.ndarray, part: str, moving: bool = False) -> TextPart:
        if len(tokens) <= self.context:
            raise DataError(
                f"{path}: the {part} part has {len(tokens)} tokens, too few for a window of "
                f"context = {self.context} and the token behind it; lower context, or bring more "
                "text"
            )
        return TextPart.cut(tokens, self.context, moving=moving)
