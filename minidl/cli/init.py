"""``minidl init``: a config to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from minidl.cli.options import shipped_configs
from minidl.errors import ConfigError, suggestion


@click.command("init")
@click.option("-t", "--template", default="digits", show_default=True, help="Which config.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="File to write; default NAME.toml.",
)
@click.option("-l", "--list", "list_them", is_flag=True, help="List the templates.")
@click.option("-f", "--force", is_flag=True, help="Write over a file that is there.")
def command(template: str, output: str | None, list_them: bool, force: bool) -> None:
    """Write a config that trains as it is, to change as you like."""
    known = shipped_configs()
    if list_them:
        width = max(len(name) for name in known)
        for name, path in known.items():
            click.echo(f"{name:{width}}  {_first_line(path)}")
        return
    if template not in known:
        raise ConfigError(
            f"no template is called '{template}'{suggestion(template, known)} "
            f"(there are: {', '.join(known)})"
        )
    target = Path(output or f"{template}.toml")
    _copy(known[template], target, force)
    data = known[template].parent / _data_path(known[template])
    if data.is_file():
        _copy(data, target.parent / data.name, force)
    click.echo(f"{target} written; train it with: minidl train {target}")


def _copy(source: Path, target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already; name another with -o, or give --force")
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from None


def _data_path(config: Path) -> str:
    """Return the file that a config reads, which may come with minidl; empty for none."""
    import tomllib

    return tomllib.loads(config.read_text(encoding="utf-8"))["data"].get("path", "")


def _first_line(path: Path) -> str:
    """Return the comment that a shipped config begins with."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
