"""Where things stand in a TOML text: receives a valid text, returns a position for every path.

``tomllib`` keeps no positions, so the text is scanned a second time. What it holds is known to be
valid by then, so the scanner reads only as much of the grammar as tells keys, values, and where
they end. One pass serves every message, and each part of a dotted key has a place of its own; to
render the text with a mark in it, as can be done with tomlkit, costs a parse for each message and
finds no keys. The tests hold the scanner to that way.
"""

from __future__ import annotations

import bisect
import re
import sys
import tomllib
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where a value stands in a document: ``("model", "layers", 2, "units")``."""


@dataclass(frozen=True)
class Position:
    """A place in a text; line and column count from 1, in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class Positions:
    """Where each path of a document is first named, and where its value begins.

    A table that stands under a header is named and begins at its header.
    """

    keys: dict[Path, Position]
    values: dict[Path, Position]

    def key(self, path: Path) -> Position | None:
        """Return where the last part of ``path`` is named."""
        return self.keys.get(path) or self.values.get(path)

    def value(self, path: Path) -> Position | None:
        """Return where the value at ``path`` begins."""
        return self.values.get(path)


def positions(text: str) -> Positions:
    """Return the positions of every key and value of a valid TOML text."""
    scanner = _Scanner(text)
    scanner.document()
    return Positions(scanner.keys, scanner.values)


_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"""(?:"{0,2})'
    r"|'''[\s\S]*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
)
_BARE_KEY = re.compile(r"[^\s.=\]\"'#]+")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*")
_SCALAR = re.compile(r"[^\s,\]}#]+")


@dataclass(frozen=True)
class Locator:
    """Tells where the value of a path comes from: the file, or outside it.

    Attributes
    ----------
    source : str
        Name of the file, as messages give it.
    positions : Positions, optional
        None for a config that was never a text.
    overrides : tuple of (path, label)
        What was set from outside, in order.
    """

    source: str
    positions: Positions | None = None
    overrides: tuple[tuple[Path, str], ...] = ()

    def locate(self, path: Path, *, key: bool = False) -> str:
        """Return ``"net.toml:12:1"``, or the label of the override that ``path`` comes from.

        Parameters
        ----------
        key : bool
            Whether to point at the key and not at its value. What has no place of its own, as a
            missing key, is at the nearest table that holds it.
        """
        found = self._find(path, key)
        return f"{self.source}:{found}" if isinstance(found, Position) else found

    def is_outside(self, path: Path) -> bool:
        """Return whether the value at ``path`` was set from outside the file."""
        return any(path[: len(over)] == over for over, _ in self.overrides)

    def order(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return what problems are sorted by: line and column, overrides last."""
        found = self._find(path, key)
        return (found.line, found.column) if isinstance(found, Position) else (sys.maxsize, 0)

    def _find(self, path: Path, key: bool) -> Position | str:
        for over, label in reversed(self.overrides):
            if path[: len(over)] == over:
                return label
        if self.positions is None:
            return self.source
        while path:
            at = self.positions.key(path) if key else self.positions.value(path)
            if at is not None:
                return at
            for over, label in reversed(self.overrides):
                if over[: len(path)] == path:
                    return label
            path, key = path[:-1], False
        return Position(1, 1)


class _Scanner:
    """Reads a valid document from start to end; ``at`` is the offset it has reached."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self.array_lengths: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self.skip(_SPACE)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_SPACE)

    def header(self) -> Path:
        start = self.position(self.at)
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        parts = [name for name, _ in self.key()]
        self.at += 2 if is_array else 1
        path: Path = ()
        for i, name in enumerate(parts):
            path = (*path, name)
            self.name(path, start)
            if path in self.array_lengths and (i < len(parts) - 1 or is_array):
                self.array_lengths[path] += i == len(parts) - 1
                path = (*path, self.array_lengths[path] - 1)
            elif is_array and i == len(parts) - 1:
                self.array_lengths[path] = 1
                path = (*path, 0)
            self.name(path, start)
        self.keys[path] = self.values[path] = start  # its own header, not one of a table inside it
        return path

    def name(self, path: Path, at: Position) -> None:
        self.keys.setdefault(path, at)
        self.values.setdefault(path, at)

    def pair(self, table: Path) -> None:
        path = table
        named = self.key()
        for i, (name, at) in enumerate(named):
            path = (*path, name)
            if i < len(named) - 1:
                self.name(path, at)
            else:
                self.keys[path] = at
        self.at += 1
        self.skip(_BLANK)
        self.value(path)

    def key(self) -> list[tuple[str, Position]]:
        """Read a dotted key and stop after the blanks behind it."""
        parts = []
        while True:
            self.skip(_BLANK)
            at = self.position(self.at)
            quoted = self.text[self.at] in "\"'"
            word = self.take(_STRING if quoted else _BARE_KEY)
            parts.append((parse_key(word) if quoted else word, at))
            self.skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def value(self, path: Path) -> None:
        self.values[path] = self.position(self.at)
        first = self.text[self.at]
        if first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        elif first in "\"'":
            self.take(_STRING)
        elif _DATE_TIME.match(self.text, self.at):
            self.take(_DATE_TIME)
        else:
            self.take(_SCALAR)

    def array(self, path: Path) -> None:
        index = 0
        while not self.at_end_of("]"):
            self.value((*path, index))
            index += 1

    def inline_table(self, path: Path) -> None:
        while not self.at_end_of("}"):
            self.pair(path)

    def at_end_of(self, closing: str) -> bool:
        """Step over an opening bracket or a comma; at ``closing``, step over it and return True."""
        self.skip(_SPACE)
        if self.text[self.at] in "[{,":
            self.at += 1
            self.skip(_SPACE)
        if self.text[self.at] != closing:
            return False
        self.at += 1
        return True

    def skip(self, pattern: re.Pattern[str]) -> None:
        self.take(pattern)

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, f"no {pattern.pattern!r} at offset {self.at}"
        self.at = match.end()
        return match.group()

    def position(self, offset: int) -> Position:
        line = bisect.bisect_right(self.line_starts, offset)
        return Position(line, offset - self.line_starts[line - 1] + 1)


def parse_key(quoted: str) -> str:
    """Return the name that a quoted TOML key stands for."""
    return next(iter(tomllib.loads(f"{quoted} = 0")))
