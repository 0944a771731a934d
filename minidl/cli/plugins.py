"""``minidl plugins``: what is registered and where it comes from; a plugin to begin with."""

from __future__ import annotations

import contextlib
import keyword
import re
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import click

from minidl.cli.options import json_option, plugin_option, print_json
from minidl.errors import ConfigError, UnknownNameError, suggestion

if TYPE_CHECKING:
    from minidl.registry import Entry

_SKELETON = Path(__file__).parent / "skeleton"
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "__init__.py": "$package/__init__.py",
    "layers.py": "$package/layers.py",
    "test_layers.py": "tests/test_layers.py",
}
"""The files of the skeleton, and where each goes."""


@click.group("plugins")
def command() -> None:
    """List what is registered, tell of one plugin, or write a new one."""


@command.command("list")
@click.argument("kind", required=False)
@plugin_option
@json_option
def list_parts(kind: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """Print everything that is registered, or all of one KIND (layer, loss, op …).

    Each with the first sentence of its documentation, and the plugin that it comes from where
    that is not minidl.
    """
    from minidl import registry

    _load(plugins)
    if kind is not None and kind not in registry.KINDS:
        known = ", ".join(registry.KINDS)
        hint = suggestion(kind, registry.KINDS)
        raise UnknownNameError(f"no kind is called '{kind}'{hint} (there are: {known})")
    found = {each: registry.entries(each) for each in ([kind] if kind else registry.KINDS)}
    if as_json:
        print_json([_plain(entry) for entries in found.values() for entry in entries])
        return
    for each, entries in found.items():
        click.echo(click.style(each, bold=True))
        click.echo(_rows([(e.name, _about(e)) for e in entries]))
    _warn_of_broken(*found)


@command.command("info")
@click.argument("name")
@plugin_option
@json_option
def info(name: str, plugins: tuple[str, ...], as_json: bool) -> None:
    """Tell of the plugin NAME, or of the part NAME and the plugin that brings it."""
    _load(plugins)
    report = _plugin_report(name) or _part_report(name)
    if as_json:
        print_json(report)
        return
    click.echo(click.style(report["name"], bold=True))
    told = {key: value for key, value in report.items() if key not in ("name", "parts") and value}
    if told:
        click.echo(_rows([(key, str(value)) for key, value in told.items()]))
    for part in report["parts"]:
        click.echo(f"  {part['kind']} {part['name']}: {part['summary']}")


@command.command("new")
@click.argument("name")
@click.option("-o", "--output-dir", type=click.Path(), help="Folder, new or empty; default NAME.")
@click.option("--layer", help="What its layer is called; default NAME without minidl-.")
def new(name: str, output_dir: str | None, layer: str | None) -> None:
    """Write a plugin with a layer and its tests, ready for pip install, in the folder NAME."""
    import minidl
    from minidl import registry

    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConfigError(
            f"a plugin cannot be called '{name}'; write small letters and digits, with - between "
            f"words: minidl-gate"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or find_spec(package) is not None:
        raise ConfigError(f"'{package}' is there already in Python; choose another name")
    layer = layer or package.removeprefix("minidl_")
    if not re.fullmatch(r"[a-z]\w*", layer):
        raise ConfigError(f"a layer cannot be called '{layer}'; write it as my_layer")
    if registry.find("layer", layer) is not None:
        raise ConfigError(f"a layer '{layer}' is there already; choose another with --layer")
    target = Path(output_dir or name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is there already; name another folder with -o")
    words = {
        "name": name,
        "package": package,
        "layer": layer,
        "class_name": "".join(word.capitalize() for word in layer.split("_")),
        "version": minidl.__version__,
    }
    for source, place in _FILES.items():
        template = (_SKELETON / f"{source}.txt").read_text("utf-8")
        path = target / Template(place).substitute(words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(template).substitute(words), encoding="utf-8")
    click.echo(f"{target} written; install it with: pip install -e {target}")


def _load(plugins: tuple[str, ...]) -> None:
    from minidl.config import load_plugins

    load_plugins(plugins)


def _about(entry: Entry) -> str:
    origin = "" if entry.source == "minidl" else f" (from {entry.source})"
    return _plain(entry)["summary"] + origin


def _plain(entry: Entry) -> dict[str, str]:
    from minidl.explain.parts import summary

    told = {"kind": entry.kind, "name": entry.name, "source": entry.source}
    return {**told, "summary": summary(entry.value)}


def _plugin_report(name: str) -> dict[str, Any] | None:
    """Return what is known of a plugin: a distribution, its package, or a file."""
    from importlib import metadata

    from minidl import registry

    packages = metadata.packages_distributions()
    wanted = name.replace("-", "_").lower()
    entries = [
        entry
        for kind in registry.KINDS
        for entry in registry.entries(kind)
        if wanted in _names_of(entry.source, packages)
    ]
    broken = {
        plugin: why
        for plugin, why in registry.broken_plugins().items()
        if plugin.partition(" from ")[2].split()[0].replace("-", "_").lower() == wanted
    }
    if not entries and not broken:
        return None
    source = entries[0].source if entries else name
    distribution = (packages.get(source) or [name])[0]
    report: dict[str, Any] = {"name": source}
    with contextlib.suppress(metadata.PackageNotFoundError):  # a file, or a module on the path
        about = metadata.metadata(distribution)
        report = {"name": about["Name"], "version": about["Version"], "summary": about["Summary"]}
    report["broken"] = "; ".join(f"{plugin}: {why}" for plugin, why in broken.items())
    return {**report, "parts": [_plain(entry) for entry in entries]}


def _names_of(source: str, packages: Any) -> set[str]:
    """Return how a source may be called: its package, its distribution; a file by its name."""
    names = {source, *packages.get(source, ()), Path(source).name, Path(source).stem}
    return {name.replace("-", "_").lower() for name in names}


def _part_report(name: str) -> dict[str, Any]:
    from minidl import registry

    held = [kind for kind in registry.KINDS if registry.find(kind, name) is not None]
    if not held:
        entries = [entry for kind in registry.KINDS for entry in registry.entries(kind)]
        known = {entry.source for entry in entries} | {entry.name for entry in entries}
        raise UnknownNameError(
            f"no plugin or part is called '{name}'{suggestion(name, sorted(known))}"
            f"{registry.broken_note(*registry.KINDS)}"
        )
    parts = [registry.entry(kind, name) for kind in held]
    return {
        "name": name,
        "source": ", ".join(sorted({entry.source for entry in parts})),
        "declared in": ", ".join(str(registry.declared_in(e.value)[0]) for e in parts),
        "parts": [_plain(entry) for entry in parts],
    }


def _rows(rows: list[tuple[str, str]]) -> str:
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name:{width}}  {text}".rstrip() for name, text in rows)


def _warn_of_broken(*kinds: str) -> None:
    from minidl import registry

    note = registry.broken_note(*kinds).strip()
    if note:
        click.echo(note, err=True)
