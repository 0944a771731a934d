"""``minidl config``: check a config, show it with every default, print its schema."""

from __future__ import annotations

import click

from minidl.cli.options import config_options, print_json, read_config


@click.group("config")
def command() -> None:
    """Check a config, show it resolved, or print the schema of all configs."""


@command.command("check")
@click.argument("path", metavar="CONFIG", type=click.Path(dir_okay=False))
@config_options
def check(
    path: str,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
) -> None:
    """Report everything that is wrong in CONFIG, with file, line and column."""
    loaded = read_config(path, overrides, device, backend, seed, plugins)
    click.echo(f"{path}: ok ({loaded.name}, {len(loaded.model.layers)} layers)")


@command.command("show")
@click.argument("path", metavar="[CONFIG]", required=False, type=click.Path(dir_okay=False))
@config_options
def show(
    path: str | None,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
) -> None:
    """Print CONFIG with every default filled in; the output is a valid config."""
    click.echo(read_config(path, overrides, device, backend, seed, plugins).to_toml(), nl=False)


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of configs, with all registered parts, for editors."""
    from minidl.config import json_schema

    print_json(json_schema())
