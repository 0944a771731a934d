"""One registry for everything that can be named: receives declarations, returns them by name.

An entry is (kind, name, object, source). Built-ins and plugins arrive the same way: a
distribution lists modules under the entry-point group of a kind (``minidl.layers`` …), importing
one runs its decorators, and they call :func:`register`. Nothing is imported before a name of its
kind is asked for, and a plugin that fails to import harms nobody who does not ask for it.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from minidl.errors import CollisionError, PluginError, UnknownNameError, suggestion

KINDS: dict[str, str] = {
    "op": "minidl.ops",
    "kernel": "minidl.kernels",
    "backend": "minidl.backends",
    "layer": "minidl.layers",
    "initializer": "minidl.initializers",
    "loss": "minidl.losses",
    "metric": "minidl.metrics",
    "optimizer": "minidl.optimizers",
    "schedule": "minidl.schedules",
    "dataset": "minidl.datasets",
    "transform": "minidl.transforms",
}
"""Each kind with the entry-point group that brings it."""


@dataclass(frozen=True)
class Entry:
    """One registered object and where it came from (``minidl 0.1.0``, or a file's path)."""

    kind: str
    name: str
    value: Any
    source: str


_entries: dict[tuple[str, str], Entry] = {}
_loaded: dict[tuple[str, str, str], BaseException | None] = {}
_lock = threading.RLock()


def register(kind: str, name: str, value: Any, source: str | None = None) -> Any:
    """Enter ``value`` under ``kind`` and ``name`` and return it.

    Raises
    ------
    CollisionError
        If another object holds the name; the message names both sources.
    """
    _require_kind(kind)
    source = source or _source_of(value)
    with _lock:
        held = _entries.get((kind, name))
        if held is not None and not _same_declaration(held.value, value):
            raise CollisionError(
                f"two sources register the {kind} '{name}': {held.source} and {source}; "
                f"rename one of them, for example to '{_prefix(source)}.{name}'"
            )
        _entries[kind, name] = Entry(kind, name, value, source)
    return value


def get(kind: str, name: str) -> Any:
    """Return the object registered under ``kind`` and ``name``, loading plugins as needed.

    Raises
    ------
    UnknownNameError
        If no source brings the name; suggests the nearest one and names broken plugins.
    PluginError
        If the plugin that claims exactly this name fails to load.
    """
    return entry(kind, name).value


def find(kind: str, name: str) -> Any | None:
    """Return the object registered under ``kind`` and ``name``, or None if there is none."""
    _require_kind(kind)
    if (kind, name) not in _entries:
        _load_all(kind)
    found = _entries.get((kind, name))
    return None if found is None else found.value


def entry(kind: str, name: str) -> Entry:
    """Return the :class:`Entry` of ``kind`` and ``name``; raises as :func:`get` does."""
    _require_kind(kind)
    for load in (_nothing, _load_own, _load_claimed, _load_all):
        load(kind, name)
        found = _entries.get((kind, name))
        if found is not None:
            return found
    message = f"unknown {kind} '{name}'{suggestion(name, _names(kind))}{broken_note(kind)}"
    raise UnknownNameError(f"{message}\nknown: {', '.join(_names(kind))}")


def names(kind: str) -> list[str]:
    """Return every registered name of ``kind``, sorted, after loading all its plugins."""
    _require_kind(kind)
    _load_all(kind)
    return _names(kind)


def entries(kind: str) -> list[Entry]:
    """Return every :class:`Entry` of ``kind``, sorted by name, after loading all its plugins."""
    return [_entries[kind, name] for name in names(kind)]


def held() -> list[Entry]:
    """Return every :class:`Entry` that is there already, of all kinds, loading nothing."""
    with _lock:
        return list(_entries.values())


def broken_plugins(kind: str | None = None) -> dict[str, str]:
    """Return the plugins that failed to load, as ``{"name from distribution": "reason"}``."""
    return {
        f"{name} from {source}": f"{type(error).__name__}: {error}"
        for (group, name, source), error in _loaded.items()
        if error is not None and (kind is None or group == KINDS[kind])
    }


def broken_note(*kinds: str) -> str:
    """Return a line for a message that names the plugins of ``kinds`` that failed, or nothing."""
    broken = {key: why for kind in kinds for key, why in broken_plugins(kind).items()}
    lines = "; ".join(f"{plugin} ({why})" for plugin, why in broken.items())
    return f"\nplugins that failed to load: {lines}" if lines else ""


def forget(kind: str, name: str) -> None:
    """Remove one entry; for tests and for reloading a plugin file."""
    _entries.pop((kind, name), None)


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError(f"unknown kind '{kind}'{suggestion(kind, KINDS)}")


def _names(kind: str) -> list[str]:
    return sorted(name for held, name in _entries if held == kind)


@functools.cache
def _entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=group))


def _nothing(kind: str, name: str = "") -> None:
    """Load nothing: the first, free step of a look-up."""


def _load_own(kind: str, name: str = "") -> None:
    for point in _points(kind):
        if _distribution(point) == "minidl" and point.name == "minidl":
            _load(point, strict=True)


def _load_claimed(kind: str, name: str) -> None:
    for point in _points(kind):
        if point.name == name:
            _load(point, strict=True)


def _load_all(kind: str, name: str = "") -> None:
    for point in _points(kind):
        _load(point, strict=False)


def _points(kind: str) -> Iterator[metadata.EntryPoint]:
    yield from _entry_points(KINDS[kind])


def _load(point: metadata.EntryPoint, *, strict: bool) -> None:
    origin = _origin(point)
    key = (point.group, point.name, origin)
    with _lock:
        if key not in _loaded:
            _loaded[key] = None
            try:
                point.load()
            except Exception as error:  # a plugin may fail in any way; it is reported, not raised
                _loaded[key] = error
    failure = _loaded[key]
    if strict and failure is not None:
        raise PluginError(
            f"the plugin '{point.name}' of {origin} failed to load: "
            f"{type(failure).__name__}: {failure}"
        ) from failure


def _distribution(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _origin(point: metadata.EntryPoint) -> str:
    if point.dist is None:
        return point.value
    return f"{point.dist.name} {point.dist.version}"


def _source_of(value: Any) -> str:
    """Name the package that declares ``value``, or the file where it stands alone."""
    name = declared_in(value)[0] or type(value).__module__
    package = name.partition(".")[0]
    module = sys.modules.get(package)
    if hasattr(module, "__path__"):
        return package
    return str(getattr(module, "__file__", None) or package)


def declared_in(value: Any) -> tuple[str | None, str | None]:
    """Return the module and qualified name of a declaration.

    An instance made by a decorator (an op, a kernel) carries those of what was decorated, as its
    attribute ``declared_in``.
    """
    if hasattr(value, "declared_in"):
        return value.declared_in
    return getattr(value, "__module__", None), getattr(value, "__qualname__", None)


def _prefix(source_name: str) -> str:
    return source_name.rpartition("/")[2].split()[0].removesuffix(".py")


def _same_declaration(held: Any, value: Any) -> bool:
    """Whether ``value`` is ``held`` declared again (a module reloaded), not a rival."""
    return held is value or declared_in(held) == declared_in(value)
