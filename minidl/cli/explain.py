"""``minidl explain``: rules that run, in the notation of a textbook; and what a part is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from minidl.cli.options import (
    config_file,
    config_options,
    json_option,
    print_json,
    read_config,
    shipped_configs,
)
from minidl.errors import UnknownNameError, suggestion

if TYPE_CHECKING:
    from minidl.explain import Part

_KINDS = (
    *("op", "layer", "loss", "metric", "optimizer", "schedule"),
    *("initializer", "dataset", "transform", "backend"),
)


@click.command("explain")
@click.argument("subject", metavar="NAME|CONFIG")
@click.option("--values", is_flag=True, help="For a config: every value and gradient in numbers.")
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which training sample to give the numbers for.",
)
@click.option("--latex", is_flag=True, help="Print LaTeX.")
@click.option("--kind", type=click.Choice(_KINDS), help="Where several parts have the name.")
@config_options
@json_option
def command(
    subject: str,
    values: bool,
    sample: int,
    latex: bool,
    kind: str | None,
    overrides: tuple[str, ...],
    device: str | None,
    backend: str | None,
    seed: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print how the network of a config, an op or a layer is differentiated, or what a part is.

    NAME is that of anything registered: minidl explain linear, minidl explain adam. Of a part
    comes its documentation and its fields, of an op or a layer also its rules. Where several
    parts have the name all are printed, with --json as a list.

    Rules are traced from those that run. "worked-example" is the example of the manual: minidl
    explain worked-example --values.
    """
    path = config_file(subject)
    parts = [] if path else _parts(subject, kind, plugins)
    path = path or (None if parts or kind else shipped_configs().get(subject))
    explained: list[Any] = list(parts)
    if path is not None:
        from minidl.explain import explain_config

        config = read_config(path, overrides, device, backend, seed, plugins)
        explained = [explain_config(config, values=values, sample=sample)]
    elif not parts:
        raise _unknown(subject, kind)
    elif values or overrides:
        raise click.UsageError(f"--values and -s are for configs; '{subject}' is no config")
    if as_json:
        plain = [each.to_dict() for each in explained]
        print_json(plain if len(plain) > 1 else plain[0])
    elif latex:
        click.echo("\n".join(each.latex() for each in explained if each.latex()))
    else:
        click.echo(f"\n\n{'─' * 72}\n\n".join(each.text() for each in explained))


def _parts(name: str, kind: str | None, plugins: tuple[str, ...]) -> list[Part]:
    """Return every part of that name."""
    from minidl import registry
    from minidl.config import load_plugins
    from minidl.explain import explain_part

    load_plugins(plugins)
    kinds = _KINDS if kind is None else (kind,)
    found = [each for each in kinds if registry.find(each, name) is not None]
    return [explain_part(registry.entry(each, name)) for each in found]


def _unknown(name: str, kind: str | None) -> UnknownNameError:
    from minidl import registry

    kinds = _KINDS if kind is None else (kind,)
    known = [each for kind in kinds for each in registry.names(kind)]
    hint = suggestion(name, known if kind else [*known, *shipped_configs()])
    what = "part or config" if kind is None else kind
    return UnknownNameError(f"no {what} is called '{name}'{hint}{registry.broken_note(*kinds)}")
