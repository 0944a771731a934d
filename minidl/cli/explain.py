"""``minidl explain``: the gradient rules that run, in the notation of a textbook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from minidl.cli.options import (
    config_options,
    json_option,
    print_json,
    read_config,
    shipped_configs,
)
from minidl.errors import UnknownNameError, suggestion

if TYPE_CHECKING:
    from minidl.explain import Explanation


@click.command("explain")
@click.argument("subject", metavar="OP|CONFIG")
@click.option("--values", is_flag=True, help="For a config: every value and gradient in numbers.")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which training sample to give the numbers for.",
)
@click.option("--latex", is_flag=True, help="Print LaTeX.")
@config_options
@json_option
def command(
    subject: str,
    values: bool,
    sample: int,
    latex: bool,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print how an op, or the network of a config, is differentiated.

    What is printed is traced from the rules that run. "worked-example" is the example of the
    manual: minidl explain worked-example --values.
    """
    path = _config_path(subject)
    if path is not None:
        from minidl.explain import explain_config

        config = read_config(path, overrides, device, backend, seed, plugins)
        explanation = explain_config(config, values=values, sample=sample)
    else:
        explanation = _explain_op(subject, plugins)
    if as_json:
        print_json(explanation.to_dict())
    else:
        click.echo(explanation.latex() if latex else explanation.text())


def _config_path(subject: str) -> Path | None:
    """Return the config that ``subject`` names: a file, or one that ships with minidl."""
    if subject.endswith(".toml") or Path(subject).is_file():
        return Path(subject)
    return shipped_configs().get(subject)


def _explain_op(name: str, plugins: tuple[str, ...]) -> Explanation:
    from minidl import registry
    from minidl.config import load_plugin
    from minidl.explain import explain_op

    for plugin in plugins:
        load_plugin(plugin)
    if registry.find("op", name) is None:
        known = [*registry.names("op"), *shipped_configs()]
        raise UnknownNameError(
            f"no op or config is called '{name}'{suggestion(name, known)}"
            f"{registry.broken_note('op')}"
        )
    return explain_op(name)
