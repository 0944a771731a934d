"""Parameter groups: receives an optimiser and parameters' names, returns who updates which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from minidl.errors import ConfigError
from minidl.optimizers.base import Optimizer


def assign(optimizer: Optimizer, paths: Iterable[str]) -> dict[str, Optimizer | None]:
    """Return the optimiser of each parameter, None for a frozen one.

    The first group of ``optimizer.groups`` with a pattern that matches a parameter's path decides;
    the optimiser itself takes what no group matches.

    Raises
    ------
    ConfigError
        If a group matches no parameter, or its fields are wrong.
    """
    names = list(paths)
    members = [variant(optimizer, group) for group in optimizer.groups]
    owners: dict[str, Optimizer | None] = dict.fromkeys(names, optimizer)
    for group, member in reversed(list(zip(optimizer.groups, members, strict=True))):
        matched = [name for name in names if matches(group, name)]
        if not matched:
            raise ConfigError(
                f"optimizer '{optimizer.type_name}': the group with match = {group['match']!r} "
                f"matches no parameter; they are: {', '.join(names)}"
            )
        owners.update(dict.fromkeys(matched, member))
    return owners


def matches(group: Mapping[str, Any], path: str) -> bool:
    """Whether one of the group's patterns matches a parameter's path."""
    patterns = group["match"]
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def variant(optimizer: Optimizer, group: Mapping[str, Any]) -> Optimizer | None:
    """Return ``optimizer`` with the fields that a group changes, None if it freezes them."""
    if group.get("frozen", False):
        return None
    changes = {name: value for name, value in group.items() if name not in ("match", "frozen")}
    return optimizer.variant(changes) if changes else optimizer
