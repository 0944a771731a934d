"""Values from outside the file: receives ``KEY=VALUE``, returns the table with the value in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minidl.config.positions import Path, parse_key
from minidl.errors import ConfigError

_PART = re.compile(
    r"""(?P<bare>[A-Za-z0-9_-]+) | (?P<quoted>"(?:\\.|[^"\\])*"|'[^']*')""", re.VERBOSE
)
_INDEX = re.compile(r"\[\s*(-?\d+)\s*\]")
_NAMED_PARTS = (
    ("model",),
    ("loss",),
    ("optimizer",),
    ("schedule",),
    ("training",),
    ("data", "transforms"),
)
"""Where a string is the name of a part, which may have options."""


@dataclass(frozen=True)
class Override:
    """A value that replaces what the file says.

    Attributes
    ----------
    path : tuple of str and int
        What it replaces.
    value : object
        The value, as TOML would give it.
    label : str
        Where it came from, as it was written: ``"--set training.epochs=3"``.
    """

    path: Path
    value: Any
    label: str

    @property
    def short_label(self) -> str:
        """The label as messages give it, without the end of a long value."""
        return self.label if len(self.label) <= 80 else f"{self.label[:77]}..."

    @classmethod
    def parse(cls, assignment: str) -> Override:
        """Return the override of ``KEY=VALUE``: dotted keys, list indices, a TOML literal.

        What is no TOML literal is a string, so ``device=cuda:1`` needs no quotes.

        Raises
        ------
        ConfigError
            If ``assignment`` does not begin with a path and ``=``.
        """
        label = f"--set {assignment}"
        read = _read_path(assignment)
        if read is None or not assignment[read[1] :].lstrip().startswith("="):
            raise ConfigError(f"{label}: expected KEY=VALUE, such as training.epochs=3")
        path, end = read
        return cls(path, parse_literal(assignment[end:].lstrip()[1:]), label)


def parse_override(assignment: str) -> tuple[str, Any]:
    """Return the key and the value of ``KEY=VALUE``; raises as :meth:`Override.parse` does."""
    override = Override.parse(assignment)
    return format_path(override.path), override.value


def parse_literal(text: str) -> Any:
    """Return the value of a TOML literal, or ``text`` itself where it is none."""
    text = text.strip()
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def parse_path(text: str) -> Path:
    """Return the path written as ``model.layers[0].units`` or ``model.layers.0.units``.

    Raises
    ------
    ConfigError
        If it is not a path.
    """
    read = _read_path(text)
    if read is None or read[1] != len(text):
        raise ConfigError(f"'{text}' is not a path such as model.layers[0].units")
    return read[0]


def format_path(path: Path) -> str:
    """Return ``path`` as it is written: ``model.layers[0].units``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else _quote(part)
            text += f".{quoted}" if text else quoted
    return text


def apply(table: Mapping[str, Any], overrides: list[Override]) -> tuple[dict[str, Any], list[Path]]:
    """Return a copy of ``table`` with the overrides in it, and the path that each one set.

    Tables that do not exist are made, so that validation can tell what is unknown about them. The
    name of a part (``loss = "huber"``) becomes a table when an option is set beside it.

    Raises
    ------
    ConfigError
        If a path leads through a plain value or past the end of a list.
    """
    copy = _copied(table)
    return copy, [_assign(copy, override) for override in overrides]


def _assign(table: dict[str, Any], override: Override) -> Path:
    holder: Any = table
    path: list[str | int] = []
    for i, part in enumerate(override.path):
        key = _key_in(holder, part, path, override)
        path.append(key)
        if i == len(override.path) - 1:
            holder[key] = _copied(override.value)
        else:
            if isinstance(holder, dict):
                holder.setdefault(key, {})
            if isinstance(holder[key], str) and _names_a_part(path):
                holder[key] = {"type": holder[key]}
            holder = holder[key]
    return tuple(path)


def _names_a_part(path: list[str | int]) -> bool:
    return any(tuple(path[: len(place)]) == place for place in _NAMED_PARTS)


def _key_in(holder: Any, part: str | int, path: list[str | int], override: Override) -> str | int:
    """Return ``part`` as a key of ``holder``: a string of a table, an index of a list."""
    place = format_path(tuple(path))
    if isinstance(holder, dict):
        return str(part)
    if not isinstance(holder, list):
        raise ConfigError(f"{override.short_label}: {place} is a plain value and holds nothing")
    if isinstance(part, str) and not part.isdecimal():
        raise ConfigError(
            f"{override.short_label}: {place} is a list: an index must follow, not '{part}'"
        )
    index = int(part)
    if not -len(holder) <= index < len(holder):
        last = f"its last is [{len(holder) - 1}]" if holder else "it is empty"
        raise ConfigError(f"{override.short_label}: {place} has no item [{index}]; {last}")
    return index % len(holder)


def _read_path(text: str) -> tuple[Path, int] | None:
    """Return the path that ``text`` begins with, and where it ends."""
    parts: list[str | int] = []
    at = 0
    while True:
        part = _PART.match(text, at)
        if part is None:
            return None
        try:
            parts.append(part["bare"] or parse_key(part["quoted"]))
        except tomllib.TOMLDecodeError:
            return None
        at = part.end()
        while (index := _INDEX.match(text, at)) is not None:
            parts.append(int(index[1]))
            at = index.end()
        if not text.startswith(".", at):
            return tuple(parts), at
        at += 1


def _quote(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'


def _copied(value: Any) -> Any:
    """Copy tables and lists, and nothing else."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value
