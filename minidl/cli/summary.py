"""``minidl summary``: the layers of a config's network, before it is trained."""

from __future__ import annotations

import click

from minidl.cli.options import config_options, json_option, print_json, read_config


@click.command("summary")
@click.argument("config", required=False, type=click.Path(dir_okay=False))
@config_options
@json_option
def command(
    config: str | None,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show layers, shapes, parameters, FLOPs and memory of CONFIG's network."""
    loaded = read_config(config, overrides, device, backend, seed, plugins)
    from minidl.training import Model
    from minidl.training.summary import summarize

    summary = summarize(Model.from_config(loaded), loaded.optimizer)
    if as_json:
        print_json(summary.to_dict())
    else:
        click.echo(summary.text())
