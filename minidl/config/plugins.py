"""Local plugin files: receives paths of Python files, returns them loaded and their parts entered.

A file is run when it is first asked for, and again when it has changed. A config names its files,
so what they declare holds while it is read: a file that an earlier config named gives way where
both declare one name, as it must when a run's copy of a file is loaded after the file itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import re
import sys
import traceback
import zlib
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path

from minidl import registry
from minidl.config.schema import Config
from minidl.errors import CollisionError, ConfigError, PluginError


@dataclass(frozen=True)
class Plugin:
    """A local plugin file that was loaded.

    Attributes
    ----------
    path : pathlib.Path
        Absolute.
    source : bytes
        The file as it was run, whatever has become of it since.
    entries : tuple of registry.Entry
        What it declares.
    """

    path: Path
    source: bytes = field(repr=False)
    entries: tuple[registry.Entry, ...]

    @property
    def sha256(self) -> str:
        """Return the hash of the source, in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()


_plugins: dict[Path, Plugin] = {}


def load_plugins(paths: Iterable[str | Path]) -> list[Plugin]:
    """Load local plugin files, in order, and return them.

    Parameters
    ----------
    paths : iterable of str or pathlib.Path
        Python files; relative ones are relative to the working directory.

    Raises
    ------
    ConfigError
        If a path is no Python file that can be read.
    PluginError
        If a file fails to run; the message begins with the file and the line that failed.
    """
    files = list(dict.fromkeys(plugin_file(path) for path in paths))
    others = [plugin for path, plugin in _plugins.items() if path not in files]
    for path in _plugins:
        _withdraw(path)
    try:
        return [_load(path) for path in files]
    finally:
        for plugin in others:
            _enter_what_is_free(plugin)


def load_plugin(path: str | Path) -> Plugin:
    """Load one local plugin file; see :func:`load_plugins`."""
    return load_plugins([path])[0]


def plugin_file(path: str | Path, directory: str | Path = ".") -> Path:
    """Return the absolute path of a plugin file; ``path`` may be relative to ``directory``.

    Raises
    ------
    ConfigError
        If there is no such file, or it is not a Python file.
    """
    file = (Path(directory) / Path(path).expanduser()).resolve()
    if file.suffix != ".py":
        raise ConfigError(
            f"plugin '{path}' is not a Python file (.py); installed plugins need no mention"
        )
    if not file.is_file():
        raise ConfigError(f"plugin file '{path}' does not exist (looked for {file})")
    return file


def copy_plugins(config: Config, directory: str | Path) -> list[str]:
    """Copy the plugin files of a config, as they were run, into ``directory``.

    Their hashes go into a file ``SHA256SUMS`` beside them, as ``sha256sum --check`` reads it. A
    config without plugin files makes no directory.

    Returns
    -------
    list of str
        Names of the copies, in order; files of one name are told apart by a number.
    """
    sums: dict[str, str] = {}
    for path in map(plugin_file, config.plugins):
        plugin = _plugins[path] if path in _plugins else load_plugin(path)
        name = _free_name(path, sums)
        Path(directory).mkdir(parents=True, exist_ok=True)
        (Path(directory) / name).write_bytes(plugin.source)
        sums[name] = plugin.sha256
    if sums:
        lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        (Path(directory) / "SHA256SUMS").write_text(lines, encoding="utf-8")
    return list(sums)


def _free_name(file: Path, taken: Container[str]) -> str:
    names = itertools.chain([file.name], (f"{file.stem}_{i}.py" for i in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _load(path: Path) -> Plugin:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"plugin file '{path}' cannot be read: {error.strerror}") from None
    known = _plugins.get(path)
    if known is not None and known.source == source:
        _enter(known)
        return known
    _plugins.pop(path, None)
    try:
        _run(path, source)
    except (Exception, SystemExit) as error:
        _withdraw(path)
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise PluginError(
            f"{path}:{_failing_line(path, error)}: {type(error).__name__}: {reason}"
        ) from error
    _plugins[path] = Plugin(path, source, tuple(_entries_of(path)))
    return _plugins[path]


def _run(path: Path, source: bytes) -> None:
    """Run the file as a module; from ``source``, because a cache beside it may be out of date."""
    stem = re.sub(r"\W", "_", path.stem)
    name = f"minidl_local_{stem}_{zlib.crc32(str(path).encode()):08x}"
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    held = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and type hints look a class's module up there
    try:
        exec(loader.source_to_code(source, str(path)), module.__dict__)
    except BaseException:
        sys.modules.pop(name)
        if held is not None:
            sys.modules[name] = held
        raise


def _failing_line(path: Path, error: BaseException) -> int:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return (lines[-1] if lines else None) or 1


def _entries_of(path: Path) -> list[registry.Entry]:
    return [entry for entry in registry.held() if entry.source == str(path)]


def _withdraw(path: Path) -> None:
    for entry in _entries_of(path):
        registry.forget(entry.kind, entry.name)


def _enter(plugin: Plugin) -> None:
    """Enter what a file declares, which may have given way to another file's since it ran."""
    try:
        for entry in plugin.entries:
            registry.register(entry.kind, entry.name, entry.value, entry.source)
    except CollisionError as error:
        raise PluginError(f"{plugin.path}: {error}") from error


def _enter_what_is_free(plugin: Plugin) -> None:
    for entry in plugin.entries:
        with contextlib.suppress(CollisionError):  # a file that was asked for declares that name
            registry.register(entry.kind, entry.name, entry.value, entry.source)
