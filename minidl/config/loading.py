"""Loading: receives TOML text and what was set from outside, returns a :class:`Config`."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minidl import registry
from minidl.component import make, schema_of
from minidl.config.overrides import Override, apply, parse_literal
from minidl.config.plugins import load_plugins, plugin_file
from minidl.config.positions import Locator, positions
from minidl.config.problems import (
    SECTIONS,
    Problem,
    config_error,
    problems_of,
    shown,
    unknown_key,
)
from minidl.config.schema import (
    BatchConfig,
    Config,
    DataConfig,
    General,
    ModelConfig,
    TrainingConfig,
)
from minidl.data import Dataset
from minidl.errors import ConfigError, MinidlError

ENVIRONMENT = {
    "MINIDL_DEVICE": "device",
    "MINIDL_BACKEND": "backend",
}
"""Environment variables that beat the file, and the keys they set. The command line beats both."""

_COMPONENTS = ("loss", "optimizer", "schedule")
_REQUIRED = ("data", "model", "loss", "optimizer")


def load_config(
    path: str | Path,
    overrides: Sequence[str | Override] = (),
    *,
    plugins: Sequence[str | Path] = (),
    environ: Mapping[str, str] | None = None,
    dataset: str | None = None,
) -> Config:
    """Read and validate a config file.

    Parameters
    ----------
    path : str or pathlib.Path
        A TOML file.
    overrides : sequence of str or Override
        ``"training.epochs=3"``: what the command line sets; it beats the environment, which beats
        the file. A later one beats an earlier one.
    plugins : sequence of str or pathlib.Path
        Local plugin files to load beside those that the file names; relative to the working
        directory.
    environ : mapping, optional
        The environment; default ``os.environ``. See :data:`ENVIRONMENT`.
    dataset : str, optional
        The dataset of a config that names none.

    Raises
    ------
    ConfigError
        A line for each thing that is wrong: ``net.toml:12:1: unknown key 'batch_sise' in [data];
        did you mean 'batch_size'?``
    PluginError
        If a plugin file fails to run.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this config: {error.strerror}") from None
    return parse_config(
        text,
        str(path),
        overrides,
        plugins=plugins,
        environ=environ,
        directory=path.parent,
        dataset=dataset,
    )


def parse_config(
    text: str,
    source: str = "config.toml",
    overrides: Sequence[str | Override] = (),
    *,
    plugins: Sequence[str | Path] = (),
    environ: Mapping[str, str] | None = None,
    directory: str | Path = ".",
    dataset: str | None = None,
) -> Config:
    """Validate the text of a config.

    Parameters
    ----------
    source : str
        What messages call the text.
    directory : str or pathlib.Path
        What the paths of plugin files in the text are relative to.
    overrides, plugins, environ, dataset
        See :func:`load_config`, which tells the errors too.
    """
    table = _with_dataset(_read_toml(text, source), dataset)
    given = _overrides(overrides, os.environ if environ is None else environ)
    merged, paths = apply(table, given)
    labels = tuple(zip(paths, (override.short_label for override in given), strict=True))
    locator = Locator(source, positions(text), labels)
    checked = _validate(merged, locator, Path(directory), plugins)
    return dataclasses.replace(checked, source_text=text, overrides=[o.label for o in given])


def config_from_dict(
    table: Mapping[str, Any],
    source: str = "config",
    *,
    directory: str | Path = ".",
    dataset: str | None = None,
) -> Config:
    """Validate a config given as nested mappings; parts may be components already.

    Parameters
    ----------
    source, directory, dataset
        See :func:`parse_config`.

    Raises
    ------
    ConfigError
        A line for each thing that is wrong.
    """
    copy, _ = apply(_with_dataset(table, dataset), [])
    checked = _validate(copy, Locator(source), Path(directory), ())
    return dataclasses.replace(checked, source_text=checked.to_toml())


def _with_dataset(table: Mapping[str, Any], dataset: str | None) -> Mapping[str, Any]:
    """Return ``table`` with a dataset, unless it names one or its ``data`` is no table."""
    data = table.get("data", {})
    if dataset is None or not isinstance(data, Mapping):
        return table
    return {**table, "data": {"dataset": dataset, **data}}


def _read_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_message(str(error), text, source)) from None
    except RecursionError:
        raise ConfigError(f"{source}: values are nested too deeply") from None


def _syntax_message(message: str, text: str, source: str) -> str:
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if match is None:
        return f"{source}: not valid TOML: {message}"
    reason = match[1][:1].lower() + match[1][1:]
    lines = text.split("\n")
    ends_early = match[2] is None
    at = f"{len(lines)}:{len(lines[-1]) + 1}" if ends_early else f"{match[2]}:{match[3]}"
    if reason == "invalid value":
        reason += ": the text ends too early" if ends_early else "; text stands in quotes"
    return f"{source}:{at}: not valid TOML: {reason}"


def _overrides(given: Sequence[str | Override], environ: Mapping[str, str]) -> list[Override]:
    from_environment = [
        Override((key,), parse_literal(environ[name]), f"{name}={environ[name]}")
        for name, key in ENVIRONMENT.items()
        if environ.get(name)
    ]
    parsed = [each if isinstance(each, Override) else Override.parse(each) for each in given]
    return from_environment + parsed


def _validate(
    table: dict[str, Any], locator: Locator, directory: Path, plugins: Sequence[str | Path]
) -> Config:
    table.setdefault("name", Path(locator.source).stem)
    table["plugins"] = _load_plugins(table, locator, directory, plugins)
    found = _Findings(table)
    values = found.general()
    values["data"] = found.data()
    values["model"] = found.section("model", ModelConfig)
    values["training"] = found.section("training", TrainingConfig)
    for kind in _COMPONENTS:
        values[kind] = found.part(kind)
    if found.problems:
        raise config_error(found.problems, locator)
    if values["training"].metrics is None:
        metrics = [make("metric", name) for name in values["loss"].metrics]
        values["training"] = dataclasses.replace(values["training"], metrics=metrics)
    _resolve_paths(values["data"].dataset, locator, directory)
    return Config(**values, locator=locator)


def _resolve_paths(dataset: Dataset, locator: Locator, directory: Path) -> None:
    """Make the paths of a dataset absolute: those in the file are relative to its folder."""
    for name in dataset.paths:
        path = getattr(dataset, name)
        if path:
            base = _base(("data", name), locator, directory)
            object.__setattr__(dataset, name, str((base / Path(path).expanduser()).resolve()))


def _base(path: tuple[str | int, ...], locator: Locator, directory: Path) -> Path:
    """Return what a path in the config is relative to; one from outside, to where we are."""
    return Path() if locator.is_outside(path) else directory


def _load_plugins(
    table: Mapping[str, Any], locator: Locator, directory: Path, more: Sequence[str | Path]
) -> list[str]:
    """Load the plugin files first: without them, the names they bring would be unknown."""
    listed = table.get("plugins", [])
    if not isinstance(listed, list):
        text = f"plugins must be a list of Python files, got {shown(listed)}"
        raise config_error([Problem(("plugins",), text)], locator)
    problems, files = [], []
    for i, entry in enumerate(listed):
        try:
            if not isinstance(entry, str):
                raise ConfigError(f"plugins[{i}] must be a string, got {shown(entry)}")
            base = _base(("plugins", i), locator, directory)
            files.append(plugin_file(entry, base))
        except ConfigError as error:
            problems.append(Problem(("plugins", i), str(error)))
    if problems:
        raise config_error(problems, locator)
    files += [plugin_file(path) for path in more]
    return [str(plugin.path) for plugin in load_plugins(files)]


class _Findings:
    """Validates the sections of one document and collects what is wrong with any of them."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        known = {f.name for f in dataclasses.fields(General)} | set(SECTIONS)
        self.problems = [unknown_key((key,), table) for key in table if key not in known]
        self.problems += [
            Problem((), f"missing table [{name}]") for name in _REQUIRED if table.get(name) is None
        ]

    def general(self) -> dict[str, Any]:
        names = {f.name for f in dataclasses.fields(General)}
        given = {k: v for k, v in self.table.items() if k in names}
        self.check_name(given["name"])
        self.check_device(given.get("device", "auto"), given.get("backend"))
        return self.checked(General, (), given)

    def data(self) -> Any:
        table = self.mapping("data")
        if table is None:
            return None
        own = {f.name for f in dataclasses.fields(BatchConfig)}
        options = {k: v for k, v in table.items() if k not in own | {"dataset", "type"}}
        if "type" in table:  # what a dataset is called stands under "dataset"
            self.problems.append(unknown_key(("data", "type"), self.table))
        named = {"type": table["dataset"]} if "dataset" in table else {}
        given = {**named, **options}
        if isinstance(table.get("dataset"), Dataset) and not options:
            given = table["dataset"]
        dataset = self.component("dataset", given, "data")
        values = self.checked(BatchConfig, ("data",), {k: table[k] for k in table if k in own})
        return DataConfig(dataset=dataset, **values) if dataset is not None and values else None

    def section(self, name: str, cls: type) -> Any:
        table = self.mapping(name)
        values = None if table is None else self.checked(cls, (name,), table)
        return cls(**values) if values else None

    def part(self, kind: str) -> Any:
        value = self.table.get(kind)
        return None if value is None else self.component(kind, value, kind)

    def component(self, kind: str, value: Any, section: str) -> Any:
        try:
            return make(kind, value)
        except ValueError as error:
            self.problems += problems_of(error, (section,), self.table)
            return None

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """Return a section, None if it is missing or no table; a missing optional one is empty."""
        table = self.table.get(name)
        if table is None:
            return None if name in _REQUIRED else {}
        if isinstance(table, Mapping):
            return table
        text = f"[{name}] must be a table, got {shown(table)}"
        self.problems.append(Problem((name,), text))
        return None

    def checked(self, cls: type, at: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of ``cls``, checked and filled in; empty if something is wrong."""
        try:
            values = schema_of(cls).model_validate(given)
        except ValueError as error:
            self.problems += problems_of(error, at, self.table)
            return {}
        return {name: getattr(values, name) for name in type(values).model_fields}

    def check_name(self, name: Any) -> None:
        if isinstance(name, str) and re.fullmatch(r"[ .]*|.*[/\\\x00-\x1f].*", name, re.DOTALL):
            text = f"name must be fit for a folder, without slashes, got {shown(name)}"
            self.problems.append(Problem(("name",), text))

    def check_device(self, device: Any, backend: Any) -> None:
        """Without a backend, only the devices of those built in can be meant."""
        if isinstance(backend, str):
            try:
                registry.get("backend", backend)
            except MinidlError as error:
                text = str(error).replace("\nknown:", "; known:")
                self.problems.append(Problem(("backend",), text))
        elif isinstance(device, str) and not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            text = f"unknown device '{device}'; known: auto, cpu, cuda, cuda:N"
            self.problems.append(Problem(("device",), text))
