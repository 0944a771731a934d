"""``minidl doctor``: what this machine has, what is missing, and why."""

from __future__ import annotations

from typing import Any

import click

from minidl.cli.options import json_option, print_json


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Show versions, devices and why one is missing, BLAS, threads and plugins."""
    report = _report()
    if as_json:
        print_json(report)
        return
    for section, content in report.items():
        click.echo(click.style(section, bold=True))
        for name, value in content.items():
            click.echo(f"  {name:20} {value}")


def _report() -> dict[str, dict[str, Any]]:
    from minidl import registry
    from minidl.training.environment import versions

    found = versions()
    threads = found.pop("threads")
    return {
        "versions": found,
        "threads": threads or {"environment": "no limit set: BLAS uses every CPU"},
        "packages": {name: _version(name) for name in _PACKAGES},
        "backends": {
            entry.name: _availability(entry.value) for entry in registry.entries("backend")
        },
        "plugins": _plugins(),
    }


_PACKAGES = (
    "click",
    "rich",
    "pydantic",
    "tomlkit",
    "safetensors",
    "platformdirs",
    "array-api-compat",
    "ml_dtypes",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "pillow",
)


def _availability(backend: Any) -> str:
    parts = [backend.unavailable(), backend.advice()]
    return "; ".join(part for part in parts if part) or ", ".join(backend.devices())


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _plugins() -> dict[str, Any]:
    from minidl import registry

    found: dict[str, list[str]] = {}
    for kind in registry.KINDS:
        for entry in registry.entries(kind):
            if entry.source != "minidl":
                found.setdefault(entry.source, []).append(f"{kind} {entry.name}")
    plugins: dict[str, Any] = {source: ", ".join(names) for source, names in found.items()}
    plugins |= {name: f"BROKEN: {why}" for name, why in registry.broken_plugins().items()}
    return plugins or {"none": "no plugin is installed"}
