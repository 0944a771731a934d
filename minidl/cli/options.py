"""Options that several commands share, and how they become a config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from minidl.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])

SHIPPED = Path(__file__).parent.parent / "configs"
DEFAULT_CONFIG = SHIPPED / "digits.toml"

_SET = click.option(
    "-s",
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the config: a TOML value, as in -s optimizer.lr=1e-2 -s model.layers[0].units=64.",
)
_DEVICE = click.option("--device", help="auto, cpu, cuda or cuda:N.", metavar="DEVICE")
_BACKEND = click.option("--backend", help="A backend by name: numpy, cupy …", metavar="NAME")
_SEED = click.option("--seed", type=click.IntRange(min=0), help="Seed of every random draw.")
plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Load a plugin file before the config.",
)


def config_options(command: Command) -> Command:
    """Add the options that change a config: --set, --device, --backend, --seed, --plugin."""
    for option in (plugin_option, _SEED, _BACKEND, _DEVICE, _SET):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

checkpoint_option = click.option(
    "--checkpoint",
    default="last",
    show_default=True,
    metavar="WHICH",
    help="last, best, or the number of a step.",
)


def read_config(
    path: str | Path | None,
    overrides: tuple[str, ...] = (),
    device: str | None = None,
    backend: str | None = None,
    seed: int | None = None,
    plugins: tuple[str, ...] = (),
    epochs: int | None = None,
) -> Config:
    """Load a config (the digits example for None) with the command line's changes."""
    from minidl.config import Override, load_config

    given = {"device": device, "backend": backend, "seed": seed, "epochs": epochs}
    options = [
        Override(("training", name) if name == "epochs" else (name,), value, f"--{name} {value}")
        for name, value in given.items()
        if value is not None
    ]
    return load_config(path or DEFAULT_CONFIG, [*overrides, *options], plugins=plugins)


def config_file(subject: str) -> Path | None:
    """Return the config file that ``subject`` is the path of; None where it is a name."""
    return Path(subject) if subject.endswith(".toml") or Path(subject).is_file() else None


def print_json(value: Any) -> None:
    """Write ``value`` to stdout as JSON."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def shipped_configs() -> dict[str, Path]:
    """Return the configs that come with minidl, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}
